"""The public names: cheap to import, seen by help() and dir(), each with an example that runs."""

import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

PUBLIC = {
    "cifar_data": {
        "FetchRecipe",
        "Pictures",
        "Split",
        "calibration_sample",
        "fetch",
        "load_pictures",
        "load_split",
        "picture_contract",
        "read_image_folder",
        "test_sample",
    },
    "cifar_train": {"RECIPES", "RunOptions", "TrainRecipe", "build", "train"},
}
# fetch's example needs an archive: tests/train/cifar_data/cifar10/test_fetch.py runs it.
EXAMPLES = [
    ("cifar_data", "Split"),
    ("cifar_data", "load_split"),
    ("cifar_data", "read_image_folder"),
    ("cifar_train", "build"),
    ("cifar_train", "train"),
]


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_are_loaded_on_first_use(package: str) -> None:
    module = importlib.import_module(package)
    assert set(module.__all__) == PUBLIC[package]
    assert PUBLIC[package] <= set(dir(module))
    for name in PUBLIC[package]:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'absent'"):
        module.absent  # noqa: B018


@pytest.mark.parametrize("package", PUBLIC)
def test_help_shows_the_public_names(package: str) -> None:
    import pydoc

    text = pydoc.plain(pydoc.render_doc(importlib.import_module(package)))
    for name in PUBLIC[package]:
        assert name in text


@pytest.mark.parametrize("package", PUBLIC)
def test_importing_a_package_waits_for_nothing_heavy(package: str) -> None:
    code = f"import {package}, sys; dir({package}); print(*sorted(sys.modules))"
    finished = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "PIL", "keras", "tensorflow", "sklearn"} & set(finished.stdout.split())


def test_recipes_are_known_before_numpy_is_there() -> None:
    code = "import cifar_train, sys; cifar_train.RECIPES['quick']; print('numpy' in sys.modules)"
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert finished.stdout == "False\n"


@pytest.mark.parametrize(("package", "name"), EXAMPLES)
def test_the_docstrings_example_runs(
    package: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    public = getattr(importlib.import_module(package), name)
    (test,) = doctest.DocTestFinder(recurse=False).find(
        public, name, module=inspect.getmodule(public), globs={}
    )
    assert test.examples
    reported: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=reported.append)
    assert reported == []
