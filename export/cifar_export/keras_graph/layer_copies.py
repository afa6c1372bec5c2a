"""What stands for a layer in every copy of a model: a fresh one in float32 with the state of the original.

A Normalization becomes a Rescaling of the same affine map: it keeps its statistics in tensors beside its weights,
which copying weights does not reach and which an ONNX file would take for further inputs. A keras.ops operation
becomes the layer of the same arithmetic, where there is one, so that all that knows layers knows operations; so does
``Activation("relu")``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.errors import ArtefactError

_DIVISIONS = ("Divide", "TrueDivide")
_RELU_SETTINGS: Mapping[str, Mapping[str, float]] = {
    "relu": {},
    "relu6": {"max_value": 6.0},
    "leaky_relu": {"negative_slope": 0.2},
}
_ARITHMETIC = ("Add", "Subtract", "Multiply", *_DIVISIONS)


def copied(layer: Any, *, use_bias: bool) -> Any:
    """A fresh layer of the same name and arithmetic, in float32: exported files hold no mixed precision.

    Args:
        layer: a Keras layer, but no model, or a Keras operation; it is not changed.
        use_bias: give the copy a bias, which the original may lack.

    Raises:
        ArtefactError: its configuration does not make such a layer again.
    """
    import keras

    if type(layer) is keras.layers.Normalization:
        return _normalizing(layer)
    try:
        if type(layer) is keras.layers.Activation and (relu := _relu_of(layer)) is not None:
            return relu
        if isinstance(layer, keras.layers.Layer):
            return type(layer).from_config(_float32_config(layer, use_bias=use_bias))
        return _layer_of(layer) or type(layer).from_config(layer.get_config())
    except Exception as error:
        raise ArtefactError(
            f"layer '{layer.name}' is a {type(layer).__name__} that cannot be built again: {str(error)[:300]}, "
            "expected one that its configuration describes.",
            hint="Replace the layer, and save the model again.",
        ) from error


def as_rescaling(operation: Any, args: tuple[Any, ...]) -> tuple[Any, Any] | None:
    """The Rescaling that an operation on a tensor and a constant is, and that tensor; None where it is none.

    Folding moves a Rescaling into the next layer, and a subtraction has no int8 form in ONNX.

    Args:
        operation: a Keras operation or layer.
        args: what it is called with, in order.
    """
    import keras

    kind = type(operation).__name__
    if kind not in _ARITHMETIC or isinstance(operation, keras.layers.Layer) or len(args) != 2:
        return None
    tensor, constant = args if isinstance(args[0], keras.KerasTensor) else (args[1], args[0])
    is_constant_first = tensor is not args[0]
    if isinstance(constant, keras.KerasTensor) or (kind in _DIVISIONS and is_constant_first):
        return None
    values = np.asarray(constant, np.float64)
    if "float" not in tensor.dtype or not _keeps_shape(values.shape, tuple(tensor.shape)):
        return None
    one, zero = np.ones(1), np.zeros(1)
    scale, offset = {
        "Add": (one, values),
        "Subtract": (-one, values) if is_constant_first else (one, -values),
        "Multiply": (values, zero),
    }.get(kind) or (1 / values, zero)
    return _rescaling(scale, offset, name=operation.name), tensor


def take_state(original: Any, copy: Any) -> None:
    """Gives ``copy``, called before, the weights of ``original``, and what follows from them.

    Raises:
        ArtefactError: the copy has other weights.
    """
    if type(copy) is not type(original) or not getattr(original, "weights", None):
        return
    try:
        copy.set_weights(original.get_weights())
    except ValueError as error:
        raise ArtefactError(
            f"layer '{original.name}' is a {type(original).__name__} that has other weights when it is built again: "
            f"{str(error)[:300]}, expected the same.",
            hint="Replace the layer, and save the model again.",
        ) from error
    wrapped: Any = getattr(copy, "layer", None)
    if type(wrapped).__name__ == "Normalization":
        wrapped.finalize_state()


def _float32_config(layer: Any, *, use_bias: bool) -> dict[str, Any]:
    import keras

    config: dict[str, Any] = layer.get_config()
    if not isinstance(layer, keras.Model) and layer.compute_dtype in ("float16", "bfloat16"):
        config["dtype"] = "float32"
    if use_bias:
        config["use_bias"] = True
    return config


def _normalizing(normalization: Any) -> Any:
    """The Rescaling of a Normalization; the statistics are those it computes with, without the batch axis."""
    import keras

    mean, variance = (
        keras.ops.convert_to_numpy(values).astype(np.float64)
        for values in (normalization.mean, normalization.variance)
    )
    deviation = np.maximum(np.sqrt(variance), keras.backend.epsilon())
    scale, offset = (
        (deviation, mean) if normalization.invert else (1 / deviation, -mean / deviation)
    )
    return _rescaling(scale, offset, name=normalization.name)


def _rescaling(scale: NDArray[np.float64], offset: NDArray[np.float64], *, name: str) -> Any:
    import keras

    return keras.layers.Rescaling(
        _simplest(scale), offset=_simplest(offset), name=name, dtype="float32"
    )


def _keeps_shape(constant: tuple[int, ...], tensor: tuple[int | None, ...]) -> bool:
    """Whether a constant's axes are those of a tensor, but for the batch's, or 1."""
    if len(constant) > len(tensor) or (len(constant) == len(tensor) and constant[0] != 1):
        return False
    return all(
        side in (1, other)
        for side, other in zip(reversed(constant), reversed(tensor[1:]), strict=False)
    )


def _simplest(values: NDArray[np.float64]) -> Any:
    """A number where all values are equal, a list of one a channel where they differ by channel alone, else lists."""
    if np.all(values == values.flat[0]):
        return float(values.flat[0])
    if values.size == values.shape[-1]:
        return values.ravel().tolist()
    return (values[0] if values.shape[0] == 1 else values).tolist()


def _layer_of(operation: Any) -> Any | None:
    """The layer that computes what a Keras operation does; None where there is none."""
    make = _LAYER_OF_OPERATION.get(type(operation).__name__)
    if make is None or not type(operation).__module__.startswith("keras."):
        return None
    return make(operation, {"name": operation.name, "dtype": "float32"})


def _relu_of(activation: Any) -> Any | None:
    """The ReLU layer that an Activation is; None for another."""
    import keras

    function = activation.activation
    settings = _RELU_SETTINGS.get(getattr(function, "__name__", ""))
    if settings is None or not str(function.__module__).startswith("keras."):
        return None
    return keras.layers.ReLU(**settings, name=activation.name, dtype="float32")


def _relu(operation: Any, common: dict[str, Any]) -> Any:
    import keras

    return keras.layers.ReLU(
        max_value=6.0
        if type(operation).__name__ == "Relu6"
        else getattr(operation, "max_value", None),
        negative_slope=getattr(operation, "negative_slope", 0.0),
        threshold=getattr(operation, "threshold", 0.0),
        **common,
    )


def _softmax(operation: Any, common: dict[str, Any]) -> Any | None:
    import keras

    if not isinstance(operation.axis, int):
        return None
    return keras.layers.Softmax(axis=operation.axis, **common)


def _global_mean(operation: Any, common: dict[str, Any]) -> Any | None:
    import keras

    axes = [] if operation.axis is None else sorted(axis % 4 for axis in operation.axis)
    if len(operation.input.shape) != 4 or axes != [1, 2]:
        return None
    return keras.layers.GlobalAveragePooling2D(
        data_format="channels_last", keepdims=operation.keepdims, **common
    )


_LAYER_OF_OPERATION: Mapping[str, Callable[[Any, dict[str, Any]], Any | None]] = {
    "Relu": _relu,
    "Relu6": _relu,
    "ReLU": _relu,
    "LeakyRelu": _relu,
    "Softmax": _softmax,
    "Mean": _global_mean,
}
