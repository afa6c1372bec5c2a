"""The notebook's own checkpoint keeps its accuracy as int8, through the installed command."""

import functools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHECKPOINT = Path(__file__).parents[2] / "models" / "notebook.keras"
COMMAND = Path(sys.executable).with_name("cifar-export")


LIMITS = ["--max-accuracy-drop", "2pp", "--min-agreement", "0.96"]

Exported = Callable[[str], tuple[Path, str]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The folder of both formats, judged on a split, and what the command printed; made once."""

    @functools.cache
    def export(split: str) -> tuple[Path, str]:
        folder = tmp_path_factory.mktemp(split)
        options = ["--format", "tflite,onnx", "--quantize", "int8", "--eval-split", split]
        ended = subprocess.run(
            [COMMAND, CHECKPOINT, *options, *LIMITS, "-o", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return folder, ended.stdout

    return export


@pytest.mark.parametrize(
    "split", ["test-sample", pytest.param("test", marks=pytest.mark.full_data)]
)
@pytest.mark.parametrize("model_format", ["tflite", "onnx"])
def test_int8_stays_within_2_points_of_float(
    model_format: str, split: str, exported: Exported
) -> None:
    folder, _ = exported(split)
    assert (folder / f"notebook-int8.{model_format}").is_file()


def test_int8_of_the_checkpoint_in_another_model_is_that_of_the_checkpoint(
    save: Callable[[Any, Path], None], tmp_path: Path, exported: Exported
) -> None:
    """A backbone called as one layer is prepared as its layers are."""
    import keras

    flat = keras.saving.load_model(CHECKPOINT, compile=False)
    inputs = keras.Input(flat.input_shape[1:])
    save(keras.Model(inputs, keras.Sequential([flat], name="inner")(inputs)), tmp_path / "in.keras")
    options = ["--quantize", "int8", "--eval-split", "test-sample", *LIMITS]
    ended = subprocess.run(
        [COMMAND, tmp_path / "in.keras", *options, "-o", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    figures = [
        re.search(r"int8\.tflite .*(top-1 .* of test)", printed)
        for printed in (exported("test-sample")[1], ended.stdout)
    ]
    assert figures[0] is not None
    assert figures[1] is not None
    assert figures[0][1] == figures[1][1]
