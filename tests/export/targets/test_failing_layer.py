"""A model that a converter cannot take is refused with exit code 4 and the name of the layer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cifar_fixtures.recipes import export_recipe

from cifar_export.pipeline import export
from cifar_runtime.errors import ArtefactError

Save = Callable[[Any, Path], None]


def _sine(keras: Any, tensor: Any) -> Any:
    return keras.ops.sin(tensor)


def _erf(keras: Any, tensor: Any) -> Any:
    return keras.ops.erf(tensor)


def _erfinv(keras: Any, tensor: Any) -> Any:
    return keras.ops.erfinv(keras.ops.sigmoid(tensor) / 2)  # inside -1..1, where it is finite


@pytest.mark.parametrize(
    ("build", "fmt", "precision", "message"),
    [
        (
            _sine,
            "tflite",
            "int8",
            "layer 'sin': its int8 file holds the operator SIN, expected integer builtins only.",
        ),
        (
            _erf,
            "tflite",
            "none",
            "layer 'erf': TensorFlow Lite cannot convert it: it has no form of tf.Erf.",
        ),
        (
            _erfinv,
            "onnx",
            "none",
            "layer 'erfinv': onnx.checker refuses the conversion: it has no operator Erfinv.",
        ),
    ],
)
def test_the_layer_that_cannot_be_converted_is_named(
    build: Any, fmt: Any, precision: Any, message: str, save: Save, tmp_path: Path
) -> None:
    import keras

    keras.backend.clear_session()  # the names of operations are counted on from test to test
    inputs = keras.Input((32, 32, 3))
    tensor = keras.layers.Conv2D(4, 5, strides=4, activation="relu")(inputs)
    tensor = keras.layers.Flatten()(build(keras, tensor))
    model = keras.Model(inputs, keras.layers.Dense(10)(tensor), name="odd")
    save(model, tmp_path / "odd.keras")
    with pytest.raises(ArtefactError) as caught:
        export(
            export_recipe(
                checkpoint=tmp_path / "odd.keras",
                output=tmp_path,
                formats=(fmt,),
                quantize=(precision,),
                calibration_samples=8,
                eval_split="test-sample",
            )
        )
    assert caught.value.exit_code == 4
    assert caught.value.message.startswith(f"odd.keras: {message}")
    assert caught.value.hint
