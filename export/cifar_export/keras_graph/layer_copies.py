"""What stands for a layer in every copy of a model: a fresh one in float32 with the state of the original.

A Normalization becomes a Rescaling of the same affine map: it keeps its statistics in tensors beside its weights,
which copying weights does not reach and which an ONNX file would take for further inputs. A keras.ops operation
becomes the layer of the same arithmetic, where there is one, so that all that knows layers knows operations.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.errors import ArtefactError


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
        return _rescaling(layer)
    try:
        if isinstance(layer, keras.layers.Layer):
            return type(layer).from_config(_float32_config(layer, use_bias=use_bias))
        return _layer_of(layer) or type(layer).from_config(layer.get_config())
    except Exception as error:
        raise ArtefactError(
            f"layer '{layer.name}' is a {type(layer).__name__} that cannot be built again: {str(error)[:300]}, "
            "expected one that its configuration describes.",
            hint="Replace the layer, and save the model again.",
        ) from error


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


def _rescaling(normalization: Any) -> Any:
    """The Rescaling of a Normalization, whose values are float64 and have no batch axis."""
    import keras

    mean, variance = (
        keras.ops.convert_to_numpy(values).astype(np.float64)
        for values in (normalization.mean, normalization.variance)
    )
    deviation = np.maximum(np.sqrt(variance), keras.backend.epsilon())
    scale, offset = (
        (deviation, mean) if normalization.invert else (1 / deviation, -mean / deviation)
    )
    return keras.layers.Rescaling(
        _simplest(scale), offset=_simplest(offset), name=normalization.name, dtype="float32"
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
