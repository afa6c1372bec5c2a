"""Models from their files, each exported by the installed command in a process of its own.

Keras names layers by counters that start at 0 in every process: what an export inserts meets the names of the model's
own layers only where nothing was built before.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_data import packaged
from cifar_runtime import Classifier

COMMAND = Path(sys.executable).with_name("cifar-export")
OPTIONS = (
    *("--format", "tflite,onnx", "--quantize", "none,int8", "--calibration-samples", "64"),
    *("--eval-split", "test-sample", "--max-accuracy-drop", "100%", "--min-agreement", "0"),
)
NAMES = ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx")

Save = Callable[[Any, Path], None]


def newcomers(x: Any, layers: Any, ops: Any) -> Any:
    """A ReLU layer, and a dense layer whose activation bias correction puts behind it: "re_lu"."""
    del ops
    x = layers.MaxPooling2D(4)(layers.ReLU(name="re_lu")(layers.Conv2D(8, 3)(x)))
    x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
    return layers.Dense(10, activation="softmax")(x)


def residual(x: Any, layers: Any, ops: Any) -> Any:
    """A shift that cannot fold stays an addition: "add"."""
    del ops
    x = layers.Conv2D(8, 3, activation="relu")(x)
    y = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Add(name="add")([x, layers.BatchNormalization(momentum=0.0)(y)])
    return layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def gated(x: Any, layers: Any, ops: Any) -> Any:
    """A scale with nothing to fold into stays a multiplication: "multiply"."""
    del ops
    x = layers.ReLU(max_value=6.0)(layers.Conv2D(8, 3)(x))
    x = layers.BatchNormalization(momentum=0.0)(x)
    x = layers.Multiply(name="multiply")([x, layers.Activation("sigmoid")(x)])
    x = layers.Conv2D(8, 3, activation="relu")(x)
    return layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def operations(x: Any, layers: Any, ops: Any) -> Any:
    """No layer where an operation will do."""
    x = ops.relu(layers.Conv2D(8, 3)(ops.subtract(x, ops.convert_to_tensor([125.0, 123.0, 114.0]))))
    y = layers.BatchNormalization(momentum=0.0)(ops.relu(layers.Conv2D(8, 3, padding="same")(x)))
    x = ops.mean(ops.multiply(ops.add(x, y), 0.5), axis=(1, 2))
    return ops.softmax(layers.Dense(10)(ops.reshape(x, (-1, 8))))


def named_like_ours(x: Any, layers: Any, ops: Any) -> Any:
    """The names that an export gives to what it inserts are taken."""
    del ops
    x = layers.Conv2D(8, 3, activation="relu", name="stated_input_range")(x)
    x = layers.BatchNormalization(momentum=0.0, name="stated_probabilities")(x)
    x = layers.MaxPooling2D(4, name="pooling")(x)
    x = layers.Conv2D(8, 1, activation="relu", name="pooling_negated")(x)
    return layers.Dense(10)(layers.Flatten(name="pooling_joined")(x))


def nested(x: Any, layers: Any, ops: Any) -> Any:
    """Models of equal names inside, one of them shared, and separable convolutions."""
    import keras

    def block(channels: int) -> Any:
        inputs = keras.Input((None, None, channels))
        y = layers.SeparableConv2D(8, 3, padding="same", activation="relu", name="conv")(inputs)
        return keras.Model(inputs, layers.BatchNormalization(momentum=0.0, name="norm")(y))

    augmentation = keras.Sequential([keras.Input((32, 32, 3)), layers.RandomFlip()], name="conv")
    again = block(8)
    x = block(3)(layers.Rescaling(1 / 128, offset=-1.0)(augmentation(x)))
    x = ops.add(again(x), again(layers.ReLU()(x)))
    x = layers.BatchNormalization(momentum=0.0)(x)
    return layers.Dense(10, activation="softmax")(layers.Flatten()(layers.MaxPooling2D(8)(x)))


BUILDERS: dict[str, tuple[Callable[[Any, Any, Any], Any], tuple[str, ...]]] = {
    "newcomer's": (newcomers, ()),
    "residual": (residual, ()),
    "gated": (gated, ()),
    "operations": (operations, ()),
    "nested": (nested, ()),
    "operations, logits of 0..1": (
        operations,
        ("--output-kind", "logits", "--input-range", "0..1"),
    ),
    "names like ours": (
        named_like_ours,
        ("--output-kind", "probabilities", "--input-range", "0..1"),
    ),
}


def built(build: Callable[[Any, Any, Any], Any]) -> Any:
    """A model with the statistics of real images, and gammas of both signs."""
    import keras

    keras.utils.set_random_seed(5)
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, build(inputs, keras.layers, keras.ops))
    model(packaged.test_sample().images[::16].astype(np.float32), training=True)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(np.where(np.arange(layer.gamma.shape[0]) % 3, 1.0, -1.0))
    return model


@pytest.mark.parametrize("name", BUILDERS)
def test_a_model_is_exported_in_a_process_of_its_own(name: str, save: Save, tmp_path: Path) -> None:
    build, options = BUILDERS[name]
    model, path = built(build), tmp_path / "net.keras"
    save(model, path)
    ended = subprocess.run(
        [COMMAND, path, "-o", tmp_path, *OPTIONS, *options],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    images = packaged.test_sample().images[:64]
    is_unit = "0..1" in options
    pixels = images.astype(np.float32) / (255 if is_unit else 1)
    expected = np.asarray(model(pixels, training=False))
    for ending in NAMES:
        scores = Classifier(tmp_path / f"net-{ending}").scores(images)
        agreement = float((scores.argmax(axis=1) == expected.argmax(axis=1)).mean())
        assert agreement >= (0.8 if "int8" in ending else 0.98), ending
