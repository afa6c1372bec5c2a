"""What ``import cifar_runtime`` offers: lazy, listed by help, and every example in a docstring runs."""

import doctest
import pydoc
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cifar_runtime
from cifar_runtime.classifier import default_model

ROOT = Path(__file__).parents[2]
NAMES = sorted(set(cifar_runtime.__all__) - {"__version__"})
WITH_EXAMPLES = [name for name in NAMES if not name.endswith("Error")] + ["CifarEdgeError"]


@pytest.fixture
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory of the examples: a picture, and the packaged models."""
    shutil.copy(ROOT / "train/cifar_data/samples/images/cat.png", tmp_path)
    for model in map(default_model, ("tflite", "onnx")):
        if not model.exists():
            pytest.skip("the packaged models are not built")
        shutil.copy(model, tmp_path)
        shutil.copy(f"{model}.json", tmp_path)
    monkeypatch.chdir(tmp_path)


def test_the_public_names_are_these() -> None:
    assert {
        *("Artefact", "ArtefactError", "CifarEdgeError", "Classifier", "Contract", "GateError"),
        *("InputError", "MissingDependencyError", "Prediction", "UsageError"),
        *("model_info", "open_artefact", "self_test"),
    } == set(NAMES)
    assert set(NAMES) <= set(dir(cifar_runtime))
    with pytest.raises(AttributeError, match="module 'cifar_runtime' has no attribute 'classify'"):
        _ = cifar_runtime.classify


def test_help_shows_classifier_and_prediction_with_their_docstrings() -> None:
    text = pydoc.plain(pydoc.render_doc(cifar_runtime))
    assert "class Classifier(" in text
    assert "An open model that classifies images; threads may share it." in text
    assert "class Prediction(" in text
    assert "What the model says of one image." in text
    assert "open_artefact(path: " in text


def test_importing_the_package_imports_neither_numpy_nor_pillow() -> None:
    program = (
        "import sys, cifar_runtime; dir(cifar_runtime)\n"
        "print(*{'numpy', 'PIL', 'ai_edge_litert', 'onnxruntime', 'pathlib'} & sys.modules.keys())"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "runtime")},
    )
    assert ended.stdout == "\n"


@pytest.mark.usefixtures("_in_a_folder")
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_example_in_a_docstring_runs(name: str) -> None:
    public = getattr(cifar_runtime, name)
    (example,) = [
        found for found in doctest.DocTestFinder().find(public, name) if found.name == name
    ]
    assert example.examples
    said: list[str] = []
    doctest.DocTestRunner().run(example, out=said.append)
    assert said == []


@pytest.mark.usefixtures("_in_a_folder")
def test_python_m_classifies_as_the_command_does() -> None:
    arguments = ["cat.png", "-k", "2"]
    module, command = (
        subprocess.run(
            [sys.executable, *how, *arguments], check=False, capture_output=True, text=True
        )
        for how in (
            ["-m", "cifar_runtime"],
            [
                "-c",
                "import sys; from cifar_runtime.commands.classify import main; sys.exit(main())",
            ],
        )
    )
    assert module.returncode == 0
    assert module.stdout.splitlines()[1].split()[:3] == ["cat.png", "cat", "99.51"]
    assert (module.stdout, module.stderr) == (command.stdout, command.stderr)
