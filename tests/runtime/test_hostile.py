"""Every case of the hostile catalogue ends with its documented exit code, one sentence, and soon."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
from cifar_fixtures.hostile.catalogue import catalogue, prepare

from cifar_runtime.commands import parser
from cifar_runtime.commands.classify import main
from cifar_runtime.errors import CifarEdgeError

SCRIPT = Path(sysconfig.get_path("scripts")) / "cifar-classify"
ARTEFACTS = Path(__file__).parent / "artefacts" / "v1"
# Each ends within two seconds, Python's start included. A busy machine must not make the suite fail, so that processor
# time is what is held here, of a process and of the children it waited for.
MAX_CPU_SECONDS = 2
TIMEOUT_SECONDS = 120


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _through_the_script(
    arguments: list[str], folder: Path
) -> tuple["subprocess.CompletedProcess[str]", float]:
    """How the installed command ends, and the processor seconds of it and of its children."""
    began = _cpu_seconds()
    ended = subprocess.run(
        [SCRIPT, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return ended, _cpu_seconds() - began


CASES = {case.name: case for case in catalogue()}
THROUGH_THE_SCRIPT = [
    "tflite-one-bit-flipped",
    "tflite-while-forever",
    "onnx-loop-forever",
    "png-bomb-of-400-megapixels",
    "model-is-a-fifo",
]


@pytest.fixture(scope="module")
def start_seconds(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Processor seconds of a whole command on a good model and a good picture."""
    folder = tmp_path_factory.mktemp("start")
    prepare(folder, ARTEFACTS)
    ended, seconds = _through_the_script(["good.png", "-m", "good.onnx"], folder)
    assert ended.returncode == 0, ended.stderr
    return seconds


def test_the_catalogue_has_at_least_forty_cases_with_names_of_their_own() -> None:
    assert len(CASES) == len(catalogue()) >= 40


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_ends_with_its_exit_code(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    start_seconds: float,
) -> None:
    """Run in this process, which has started already: a start's processor time is added."""
    case = CASES[name]
    prepare(tmp_path, ARTEFACTS)
    monkeypatch.chdir(tmp_path)
    errors: list[CifarEdgeError] = []
    report = parser._report

    def spied(program: str, error: CifarEdgeError, *, as_json: bool) -> None:
        errors.append(error)
        report(program, error, as_json=as_json)

    monkeypatch.setattr(parser, "_report", spied)
    arguments = case.write(tmp_path)
    began = _cpu_seconds()
    code = main(arguments)
    seconds = _cpu_seconds() - began
    out, err = capfd.readouterr()
    assert (code, out) == (case.exit_code, ""), err
    assert case.says in err
    assert err.startswith("cifar-classify: ")
    assert len(err.splitlines()) == 1
    assert all(error.hint for error in errors), "a refusal says what to do"
    assert start_seconds + seconds < MAX_CPU_SECONDS


@pytest.mark.parametrize("name", THROUGH_THE_SCRIPT)
def test_the_installed_command_ends_alike(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    prepare(tmp_path, ARTEFACTS)
    ended, seconds = _through_the_script(case.write(tmp_path), tmp_path)
    assert (ended.returncode, ended.stdout) == (case.exit_code, ""), ended.stderr
    assert case.says in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert seconds < MAX_CPU_SECONDS
