"""The notebook's own checkpoint keeps its accuracy as int8, through the installed command."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKPOINT = Path(__file__).parents[2] / "models" / "notebook.keras"
COMMAND = Path(sys.executable).with_name("cifar-export")


@pytest.mark.parametrize(
    "split", ["test-sample", pytest.param("test", marks=pytest.mark.full_data)]
)
@pytest.mark.parametrize("model_format", ["tflite", "onnx"])
def test_int8_stays_within_2_points_of_float(model_format: str, split: str, tmp_path: Path) -> None:
    options = ["--format", model_format, "--quantize", "int8", "--eval-split", split]
    limits = ["--max-accuracy-drop", "2pp", "--min-agreement", "0.96"]
    ended = subprocess.run(
        [COMMAND, CHECKPOINT, *options, *limits, "-o", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / f"notebook-int8.{model_format}").is_file()
