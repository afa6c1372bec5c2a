"""The networks, each built fresh by name; inputs are raw RGB pixels 0..255, float32, shape (n, 32, 32, 3)."""

from collections.abc import Callable
from typing import Any

from cifar_train.dataset import IMAGE_SHAPE, LABELS
from cifar_train.recipes import Architecture


def build(architecture: Architecture) -> Any:
    """A ``keras.Model`` with fresh weights that returns probabilities, float32, shape (n, 10)."""
    import keras

    builders: dict[str, Callable[[], list[Any]]] = {
        "notebook": _notebook_layers,
        "seed-cnn": lambda: [_centred_pixels(), *_notebook_layers()],
    }
    return keras.Sequential(
        [keras.Input(IMAGE_SHAPE), *builders[architecture]()], name=architecture.replace("-", "_")
    )


def _centred_pixels() -> Any:
    """(x - 128) / 64: calibrated to int8 this is exactly pixel - 128."""
    from keras import layers

    return layers.Rescaling(scale=1 / 64, offset=-2.0, name="centred_pixels")


def _notebook_layers() -> list[Any]:
    """The notebook's layers: 382,858 parameters, 17.94 million multiply-accumulates, BatchNorm after the ReLU."""
    from keras import layers

    stack: list[Any] = []
    for filters, kernel_size in ((64, 7), (128, 3), (256, 3)):
        stack += [
            layers.Conv2D(filters, kernel_size, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
        ]
    return [
        *stack,
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(len(LABELS), activation="softmax", dtype="float32"),
    ]
