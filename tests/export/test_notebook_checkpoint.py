"""The notebook's own checkpoint keeps its accuracy as int8, through the installed command."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_int8_of_the_checkpoint_in_another_model_is_that_of_the_checkpoint(
    save: Callable[[Any, Path], None], tmp_path: Path
) -> None:
    """A backbone called as one layer is prepared as its layers are."""
    import keras

    flat = keras.saving.load_model(CHECKPOINT, compile=False)
    inputs = keras.Input(flat.input_shape[1:])
    save(keras.Model(inputs, keras.Sequential([flat], name="inner")(inputs)), tmp_path / "in.keras")
    limits = ["--max-accuracy-drop", "2pp", "--min-agreement", "0.96"]
    options = ["--quantize", "int8", "--eval-split", "test-sample", *limits]
    found = [
        subprocess.run(
            [COMMAND, path, *options, "-o", tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
        for path in (CHECKPOINT, tmp_path / "in.keras")
    ]
    assert [ended.returncode for ended in found] == [0, 0], found[1].stderr
    figures = [re.search(r"top-1 .* of test", ended.stdout) for ended in found]
    assert figures[0] is not None
    assert figures[1] is not None
    assert figures[0][0] == figures[1][0]
