"""Layers that a converter has no form of, as layers and operations of the same arithmetic that it has one of.

TensorFlow Lite has no int8 ELU and no int8 negation, which Keras' normalizations need; its MINIMUM of an int8 tensor
and a number is wrong, and its converter dies of an int8 loop, which recurrent layers are. ONNX has no Erfc, which Keras
writes GELU with, and no form of the compiled function that Keras puts around a grouped convolution. The model given is
not changed.
"""

from collections.abc import Callable, Mapping
from typing import Any

from cifar_export.keras_graph.trace import LayerCall, replay
from cifar_runtime.errors import ArtefactError

_TINY = 1e-12
MAX_STEPS = 128
"""Steps of a recurrent layer up to which it is written out step by step."""

Form = Callable[[LayerCall], Any | None]


def in_integer_forms(model: Any) -> Any:
    """A copy of a functional model of what TensorFlow Lite has in int8.

    ELU, softplus and their kin, normalizations, squares, negations and limits become arithmetic, recurrent layers
    their steps.

    Raises:
        ArtefactError: a recurrent layer has more than :data:`MAX_STEPS`.
    """
    return _replaced(
        model,
        (
            *(_elu, _softplus, _squareplus, _sparse_plus, _extreme, _arithmetic),
            *(_layer_norm, _group_norm, _root_mean_square, _unit_norm, _step_by_step),
        ),
    )


def in_onnx_forms(model: Any) -> Any:
    """A copy of a functional model for ONNX: GELU by Erf, grouped convolutions without a compiled function.

    Normalizations subtract their mean before they divide: Keras takes the difference of two quotients, which in int8
    are both larger than it.
    """
    return _replaced(model, (_gelu, _grouped, _layer_norm, _group_norm, _unrolled))


def _replaced(model: Any, forms: tuple[Form, ...]) -> Any:
    def call(made: LayerCall) -> Any:
        for form in forms:
            output = form(made)
            if output is not None:
                return output
        return made.replayed()

    return replay(model, call)


def _elu(made: LayerCall) -> Any | None:
    """ELU, CELU and SELU by an exponential of what is below zero."""
    from keras import ops

    name, settings = _activation(made.copy)
    if name not in ("elu", "celu", "selu"):
        return None
    alpha, scale = settings.get("alpha", 1.0), 1.0
    if name == "selu":
        alpha, scale = 1.6732632423543772, 1.0507009873554805  # Source: Klambauer et al., 2017.
    x = _without_activation(made)
    above = ops.relu(x)
    negative = (x - above) / alpha if name == "celu" else x - above
    below = scale * alpha * (ops.exp(negative) - 1.0)
    return (above if scale == 1 else above * scale) + below


def _softplus(made: LayerCall) -> Any | None:
    """Softplus, log-sigmoid and mish by the exponential of -|x|, at most 1: that of x grows beyond any 256 steps.

    Source of mish: Misra, Mish: A Self Regularized Non-Monotonic Activation Function, 2019.
    """
    from keras import ops

    name, _ = _activation(made.copy)
    if name not in ("softplus", "log_sigmoid", "mish"):
        return None
    x = _without_activation(made)
    above = ops.relu(x)
    plus = above + ops.log(ops.exp((x - above) - above) + 1.0)
    if name == "log_sigmoid":
        return x - plus
    return x * ops.tanh(plus) if name == "mish" else plus


def _squareplus(made: LayerCall) -> Any | None:
    """Source: Barron, Squareplus: A Softplus-Like Algebraic Rectifier, 2021."""
    from keras import ops

    name, settings = _activation(made.copy)
    if name != "squareplus":
        return None
    x = _without_activation(made)
    return (x + ops.sqrt(x * x + float(settings.get("b", 4)))) * 0.5


def _sparse_plus(made: LayerCall) -> Any | None:
    """Nothing up to -1, from 1 on what is given, a parabola between them."""
    from keras import ops

    if _activation(made.copy)[0] not in ("sparse_plus", "sparseplus"):
        return None
    x = _without_activation(made)
    beyond = ops.relu(x - 1.0)
    inside = ops.relu(x + 1.0) - beyond
    return inside * inside * 0.25 + beyond


def _extreme(made: LayerCall) -> Any | None:
    """The lesser or greater of a tensor and a number: the int8 MINIMUM of the two is off by up to the whole range."""
    import keras
    from keras import ops

    kind = type(made.original).__name__
    if kind not in ("Minimum", "Maximum") or len(made.args) != 2:
        return None
    x, limit = sorted(made.args, key=lambda value: not isinstance(value, keras.KerasTensor))
    if isinstance(limit, keras.KerasTensor):
        return None
    over = ops.relu(x - limit)
    return x - over if kind == "Minimum" else over + limit


def _arithmetic(made: LayerCall) -> Any | None:
    """Squares and negations by multiplication."""
    kind = type(made.original).__name__
    if kind == "Square":
        return made.args[0] * made.args[0]
    return made.args[0] * -1.0 if kind == "Negative" else None


def _gelu(made: LayerCall) -> Any | None:
    """GELU by Erf. Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016."""
    from keras import ops

    name, settings = _activation(made.copy)
    if name != "gelu" or settings.get("approximate", False):
        return None
    x = _without_activation(made)
    return x * (ops.erf(x * 0.5**0.5) + 1.0) * 0.5


def _activation(layer: Any) -> tuple[str, Mapping[str, Any]]:
    """The activation that a layer or Keras operation ends in, and what its configuration says of it."""
    import keras

    kind = type(layer).__name__.lower()
    if kind in ("elu", "celu", "selu", "gelu", "softplus", "squareplus", "sparseplus"):
        return kind, vars(layer)
    function: Any = (
        getattr(layer, "activation", None) if isinstance(layer, keras.layers.Layer) else None
    )
    is_builtin = getattr(function, "__module__", "").startswith("keras.")
    return (str(getattr(function, "__name__", "")) if is_builtin else ""), {}


def _without_activation(made: LayerCall) -> Any:
    """What the activation takes."""
    import keras

    if not hasattr(made.copy, "activation"):
        return made.args[0]
    made.copy.activation = keras.activations.linear
    return made.replayed()


def _layer_norm(made: LayerCall) -> Any | None:
    """Source: Ba, Kiros and Hinton, Layer Normalization, 2016."""
    import keras

    if type(made.original) is not keras.layers.LayerNormalization:
        return None
    x, axis = made.args[0], made.original.axis
    axes = [each % len(x.shape) for each in ([axis] if isinstance(axis, int) else axis)]
    shape = [side if each in axes else 1 for each, side in enumerate(x.shape)]
    return _normalized(x, made.original, axes, shape=tuple(shape[1:]))


def _root_mean_square(made: LayerCall) -> Any | None:
    """Source: Zhang and Sennrich, Root Mean Square Layer Normalization, 2019."""
    import keras
    from keras import ops

    layer = made.original
    if type(layer) is not keras.layers.RMSNormalization:
        return None
    x = made.args[0]
    square = ops.mean(x * x, axis=layer.axis, keepdims=True)
    return x * ops.rsqrt(square + layer.epsilon) * ops.convert_to_numpy(layer.scale)


def _unit_norm(made: LayerCall) -> Any | None:
    """Division by the Euclidean length, as a layer or an operation."""
    from keras import ops

    layer, x = made.original, made.args[0]
    if type(layer).__name__ not in ("UnitNormalization", "Normalize"):
        return None
    if getattr(layer, "order", 2) != 2 or layer.axis is None:
        return None
    return x * ops.rsqrt(ops.sum(x * x, axis=layer.axis, keepdims=True) + _TINY)


def _group_norm(made: LayerCall) -> Any | None:
    """Source: Wu and He, Group Normalization, 2018."""
    import keras
    from keras import ops

    layer = made.original
    if type(layer) is not keras.layers.GroupNormalization:
        return None
    x = made.args[0]
    sides = tuple(x.shape[1:])
    if None in sides or layer.axis not in (-1, len(sides)):
        return None
    channels = sides[-1] // layer.groups
    grouped = ops.reshape(x, (-1, *sides[:-1], layer.groups, channels))
    rank = len(grouped.shape)
    axes = [axis for axis in range(1, rank) if axis != rank - 2]
    shape = (layer.groups, channels)
    return ops.reshape(_normalized(grouped, layer, axes, shape=shape), (-1, *sides))


def _normalized(x: Any, layer: Any, axes: list[int], *, shape: tuple[int, ...]) -> Any:
    """The tensor less its mean over the axes, by its deviation, with the layer's scale and shift of that shape.

    With ``rms_scaling``, which Keras gave up, the mean stays.
    """
    from keras import ops

    centred = x - ops.mean(x, axis=axes, keepdims=True)
    variance = ops.mean(centred * centred, axis=axes, keepdims=True)
    y = (x if getattr(layer, "rms_scaling", False) else centred) * ops.rsqrt(
        variance + layer.epsilon
    )
    gamma, beta = getattr(layer, "gamma", None), getattr(layer, "beta", None)
    for weight, operation in ((gamma, ops.multiply), (beta, ops.add)):
        if weight is not None:
            y = operation(y, ops.convert_to_numpy(weight).reshape(shape))
    return y


def _grouped(made: LayerCall) -> Any | None:
    import keras

    if type(made.copy) is not keras.layers.Conv2D or made.copy.groups == 1:
        return None
    copy = made.copy

    def convolution_op(inputs: Any, kernel: Any) -> Any:
        import tensorflow as tf

        return tf.nn.convolution(
            inputs,
            kernel,
            strides=list(copy.strides),
            padding=copy.padding.upper(),
            data_format="NHWC" if copy.data_format == "channels_last" else "NCHW",
            dilations=list(copy.dilation_rate),
        )

    copy.convolution_op = convolution_op
    return made.replayed()


def _step_by_step(made: LayerCall) -> Any | None:
    """A recurrent layer without a loop; of an int8 loop TensorFlow's converter dies, and takes the process along.

    Raises:
        ArtefactError: it has too many steps.
    """
    output = _unrolled(made)
    if output is None and _recurrent(made):
        raise ArtefactError(
            f"{type(made.original).__name__} of {made.args[0].shape[1] or 'any number of'} steps: TensorFlow Lite has "
            f"no int8 loop, expected {MAX_STEPS} at most, which are written out one by one.",
            hint="Shorten the sequence, or export --quantize none.",
        )
    return output


def _unrolled(made: LayerCall) -> Any | None:
    """A recurrent layer without a loop, where it has few steps."""
    recurrent = _recurrent(made)
    steps = made.args[0].shape[1] if made.args and recurrent else None
    if steps is None or steps > MAX_STEPS:
        return None
    for part in recurrent:
        part.unroll = True
    return made.replayed()


def _recurrent(made: LayerCall) -> list[Any]:
    """The recurrent layers that a call has: itself, or those that a Bidirectional runs."""
    sides = (getattr(made.copy, f"{side}_layer", None) for side in ("forward", "backward"))
    return [part for part in (made.copy, *sides) if hasattr(part, "unroll")]
