"""The public names of cifar_eval and cifar_bench: loaded on first use, seen by help, their examples run."""

import doctest
import importlib
import pkgutil
import pydoc
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cifar_bench
import cifar_eval
from cifar_eval import compare, measure_robustness
from cifar_runtime.classifier import default_model
from cifar_runtime.errors import InputError, UsageError

RECORDED = Path(__file__).parents[2] / "benchmarks" / "reports" / "shipped.json"
NAMES = [(package, name) for package in (cifar_eval, cifar_bench) for name in package.__all__]


@pytest.mark.parametrize(("package", "name"), NAMES, ids=[name for _, name in NAMES])
def test_the_example_of_every_public_name_runs(
    package: object, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ai_edge_litert")
    if name == "compare":
        pytest.importorskip("keras")
    shutil.copyfile(RECORDED, tmp_path / "report.json")
    monkeypatch.chdir(tmp_path)
    public = getattr(package, name)
    examples = doctest.DocTestParser().get_doctest(public.__doc__ or "", {}, name, None, None)
    assert examples.examples
    report: list[str] = []
    doctest.DocTestRunner().run(examples, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("package", ["cifar_eval", "cifar_bench"])
def test_importing_a_package_waits_for_no_numpy(package: str) -> None:
    code = f"import sys, {package}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("package", "name"), NAMES, ids=[name for _, name in NAMES])
def test_help_and_dir_show_every_public_name(package: object, name: str) -> None:
    assert name in dir(package)
    assert name in pydoc.render_doc(package, renderer=pydoc.plaintext)


def test_no_module_has_the_name_of_a_public_function() -> None:
    """A command's module is named as the command, in a folder of its own."""
    for package in (cifar_eval, cifar_bench):
        modules = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        names = {one.name.rpartition(".")[2] for one in modules if ".commands" not in one.name}
        assert not names & set(package.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'cifar_eval' has no attribute 'guess'"):
        _ = importlib.import_module("cifar_eval").guess


def test_models_are_named_by_text_or_path_and_images_by_a_split_or_a_folder(
    tmp_path: Path,
) -> None:
    model = default_model("tflite")
    parity = compare(str(model), model, limit=10)
    assert (parity.seen, parity.agreeing) == (10, 10)
    with pytest.raises(UsageError, match="images is 'tset', expected one of"):
        compare(model, model, images="tset")
    with pytest.raises(UsageError, match="no candidate to compare"):
        measure_robustness(model)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="has no folder for airplane"):
        compare(model, model, images=str(tmp_path))
