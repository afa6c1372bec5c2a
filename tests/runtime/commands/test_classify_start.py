"""What a run of ``cifar-classify`` imports: starting is most of a single prediction."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"tensorflow", "keras", "tf_keras", "onnx", "sklearn", "matplotlib", "jax", "tf2onnx"}
# A sixth of a first prediction's instructions, which a lone picture does not need.
PROCESSES = {"multiprocessing", "concurrent", "subprocess", "socket", "tempfile"}
LIST_MODULES = """
import sys
from cifar_runtime.commands.classify import main
code = main(sys.argv[1:])
sys.stderr.write(" ".join({name.split(".")[0] for name in sys.modules}))
raise SystemExit(code)
"""


@pytest.mark.parametrize(
    ("model_format", "other"), [("tflite", "onnxruntime"), ("onnx", "ai_edge_litert")]
)
def test_classifying_imports_nothing_heavy(
    request: pytest.FixtureRequest, folder: Path, model_format: str, other: str
) -> None:
    model = request.getfixturevalue(f"{model_format}_model")
    found = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, "red.png", "-m", str(model)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(found.stderr.split())
    assert "numpy" in modules
    assert modules & (HEAVY | PROCESSES | {other}) == set()


def test_help_does_not_import_numpy(tmp_path: Path) -> None:
    found = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-c",
            "from cifar_runtime.commands.classify import parse; parse(['-h'])",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cifar_runtime.commands.parser" in found.stderr
    assert not {"numpy", "PIL", "pathlib", "json"} & {
        line.split("|")[-1].strip() for line in found.stderr.splitlines()
    }
