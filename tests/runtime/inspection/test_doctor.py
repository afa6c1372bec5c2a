"""What a bug report is told of an installation."""

import importlib.metadata
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cifar_runtime.commands.doctor import lines
from cifar_runtime.commands.info import main
from cifar_runtime.formats.known_formats import KNOWN_FORMATS
from cifar_runtime.inspection import doctor


@pytest.fixture
def requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two distributions are installed, with extras; of what they need, numpy only."""

    def requires(name: str) -> list[str]:
        if name == "numpy":
            return ["no-such-c; extra == 'fast'", "pillow; extra == 'drawn'"]
        if name != "cifar-edge":
            raise importlib.metadata.PackageNotFoundError(name)
        return [
            "pillow>=11",
            "numpy>=2; extra == 'bench'",
            "no-such-a>=1; (python_version < '3.14') and extra == 'train'",
            "no-such-b; extra == 'train'",
            "cifar-edge[bench,train]; extra == 'all'",
            "numpy[drawn]; extra == 'drawn'",
            "numpy[fast]>=2; extra == 'gpu'",
        ]

    monkeypatch.setattr(importlib.metadata, "requires", requires)


@pytest.mark.usefixtures("requirements")
def test_an_extra_lacks_what_is_not_installed() -> None:
    assert doctor.lacking_packages() == {
        "all": ("no-such-a>=1; (python_version < '3.14')", "no-such-b"),
        "bench": (),
        "drawn": (),
        "gpu": ("numpy[fast]>=2",),
        "train": ("no-such-a>=1; (python_version < '3.14')", "no-such-b"),
    }


@pytest.mark.parametrize("name", KNOWN_FORMATS)
def test_an_interpreter_that_is_installed_works(name: str) -> None:
    known = KNOWN_FORMATS[name]  # type: ignore[index]
    pytest.importorskip(known.package)
    check = doctor.check_interpreter(known)
    assert (check.title, check.works) == (known.title, True)
    assert check.answer.startswith("passed: ")
    diagnosis = replace(doctor.diagnose(), interpreters=(check,))
    (line,) = (line for line in lines(diagnosis) if line.startswith(known.title))
    assert line.startswith(f"{known.title:<12}works: all 8 golden vectors ")


def test_an_interpreter_that_ends_its_process_does_not_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "_SELF_TEST", "import os; os.abort()")
    check = doctor.check_interpreter(KNOWN_FORMATS["tflite"])
    assert (check.works, check.answer) == (False, "ended with status -6")


def test_a_python_that_cannot_be_started_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    check = doctor.check_interpreter(KNOWN_FORMATS["tflite"])
    answer = "could not be started: No such file or directory"
    assert (check.works, check.answer) == (False, answer)


def test_folders_name_no_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "home" / "cache"
    (cache / "cifar10").mkdir(parents=True)
    (cache / "cifar10" / "a.npy").write_bytes(bytes(1234))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(cache))
    found = doctor.diagnose()
    stored = next(folder for folder in found.folders if folder.purpose == "cache: cifar10")
    assert (stored.path, stored.used_bytes) == ("~/cache/cifar10", 1234)
    assert found.data_set == "not stored: run cifar-data fetch"
    assert str(tmp_path / "home") not in "\n".join(lines(found))


def test_a_model_does_not_go_with_the_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--doctor", "model.tflite"]) == 2
    assert capsys.readouterr().err == (
        "cifar-info: --doctor describes this installation, and takes no model. Give it --json only.\n"
    )
