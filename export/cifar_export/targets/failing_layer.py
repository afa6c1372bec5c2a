"""Which layer of a model a converter cannot take: each is converted alone until one fails. For error messages only."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cifar_export.int8.calibration import RepresentativeDataset
from cifar_runtime.errors import ArtefactError

# What every converter takes, unless an odd activation is inside: tried last.
_PLAIN = (
    "Add",
    "AveragePooling2D",
    "BatchNormalization",
    "Conv2D",
    "Cropping2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "MaxPooling2D",
    "ReLU",
    "Rescaling",
    "Softmax",
    "ZeroPadding2D",
)


def with_layer_name(
    error: ArtefactError, model: Any, convert: Callable[[Any, RepresentativeDataset], object]
) -> ArtefactError:
    """The error with the name of the layer that causes it, where one can be found.

    Args:
        error: what converting the whole model raised; its message begins with the model's name.
        model: a functional Keras model.
        convert: converts a functional model, calibrated on the feed, or raises ArtefactError.
    """
    layer = _failing_layer(_reason(error, model), model, convert)
    if layer is None:
        return error
    return ArtefactError(f"{model.name}: layer '{layer}': {_reason(error, model)}", hint=error.hint)


def _failing_layer(
    reason: str, model: Any, convert: Callable[[Any, RepresentativeDataset], object]
) -> str | None:
    """The layer that fails alone for the same reason, or else the first that fails at all."""
    fallback: str | None = None
    for layer in sorted(model.operations, key=lambda layer: type(layer).__name__ in _PLAIN):
        part = _alone(layer)
        if part is None:
            continue
        try:
            convert(part, _noise(part))
        except ArtefactError as error:
            if _reason(error, part) == reason:
                return str(layer.name)
            fallback = fallback or str(layer.name)
    return fallback


def _alone(layer: Any) -> Any | None:
    """A functional model of one layer; None where it takes or gives several tensors, or is called several times."""
    import keras

    try:
        taken, given = layer.input, layer.output
    except (AttributeError, ValueError):
        return None
    tensors = (taken, given)
    is_simple = all(isinstance(tensor, keras.KerasTensor) for tensor in tensors)
    if not is_simple or taken is given or None in taken.shape[1:]:
        return None
    inputs = keras.Input(taken.shape[1:], dtype=taken.dtype)
    try:
        return keras.Model(inputs, type(layer).from_config(layer.get_config())(inputs))
    except (
        TypeError,
        ValueError,
    ):  # it takes numbers besides its tensor, which its config does not hold
        return None


def _noise(part: Any) -> RepresentativeDataset:
    shape = (4, *part.inputs[0].shape[1:])
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return RepresentativeDataset(images=images, multiplier=1 / 64, offset=-2.0)


def _reason(error: ArtefactError, model: Any) -> str:
    return error.message.removeprefix(f"{model.name}: ")
