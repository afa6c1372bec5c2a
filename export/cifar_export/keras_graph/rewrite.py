"""Builds the folded Keras model from the edits that folding decided; it decides nothing itself."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cifar_export.keras_graph.affine import Affine
from cifar_export.keras_graph.linear import Linear
from cifar_export.keras_graph.trace import LayerCall, replay

_RANK_OF_IMAGES = 4

Action = Literal["copy", "drop", "linear", "split"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPooling:
    """Max pooling of a convolution some of whose rectified channels take part negated.

    Attributes:
        linear: the convolution, its scale already folded in.
        is_negative: bool, shape (out,).
    """

    linear: Linear
    is_negative: NDArray[np.bool_]


@dataclass(slots=True, kw_only=True)
class Edit:
    """What becomes of one call.

    Attributes:
        action: copy it, drop it, call it with the weights of ``linear``, or build ``split`` in its place.
        linear: the folded weights.
        split: the two branches.
        after: a map that follows its output.
    """

    action: Action = "copy"
    linear: Linear | None = None
    split: SplitPooling | None = None
    after: Affine | None = None


def rewrite(model: Any, edits: dict[int, Edit]) -> Any:
    """A new functional model: ``model`` with ``edits``, keyed by call index, applied."""

    def call(made: LayerCall) -> Any:
        edit = edits.get(made.index, Edit())
        output = _edited(edit, made)
        return output if edit.after is None else _affine_output(output, edit.after)

    with_bias = frozenset(
        id(edit.linear.layer)
        for edit in edits.values()
        if edit.linear is not None and np.any(edit.linear.bias != 0)
    )
    return replay(model, call, with_bias=with_bias)


def _edited(edit: Edit, made: LayerCall) -> Any:
    if edit.action == "drop":
        return made.args[0]
    if edit.linear is not None:
        output = made.copy(made.args[0])
        weights = [edit.linear.kernel, edit.linear.bias][: 1 + bool(made.copy.use_bias)]
        made.copy.set_weights([_float32(weight) for weight in weights])
        return output
    if edit.split is not None:
        return _split_output(edit.split, made.copy, made.args[0])
    return made.replayed()


def _affine_output(tensor: Any, owed: Affine) -> Any:
    """The map in one operator where images have one: int8 rounds behind each, and has a scale a channel in this one."""
    from keras import layers, ops

    if owed.is_reordered:
        tensor = ops.take(tensor, owed.order.astype(np.int32), axis=-1)
    if np.any(owed.scale != 1):
        if len(tensor.shape) == _RANK_OF_IMAGES:
            weights = [_float32(owed.scale)[None, None, :, None], _float32(owed.shift)]
            return _weighted((layers.DepthwiseConv2D(1), weights), tensor)
        tensor = ops.multiply(tensor, _float32(owed.scale))
    return ops.add(tensor, _float32(owed.shift)) if owed.is_shifted else tensor


def _split_output(split: SplitPooling, pooling: Any, tensor: Any) -> Any:
    """Rectified and max-pooled positive channels, then rectified and min-pooled negative ones."""
    from keras import layers

    branches = []
    if not split.is_negative.all():
        convolution = _part(split.linear, ~split.is_negative, sign=1.0, activation="relu")
        branches.append(_pooled(pooling, "maximum", _weighted(convolution, tensor)))
    convolution = _part(split.linear, split.is_negative, sign=-1.0, activation="linear")
    maximum = _pooled(pooling, "minimum", _weighted(convolution, tensor))
    negated = layers.DepthwiseConv2D(
        1, use_bias=False, activation="relu", name=f"{pooling.name}_negated"
    )
    minimum = negated(maximum)
    negated.set_weights([-np.ones_like(negated.get_weights()[0])])
    branches.append(minimum)
    if len(branches) == 1:
        return branches[0]
    return layers.Concatenate(name=f"{pooling.name}_joined")(branches)


def _part(
    linear: Linear, channels: NDArray[np.bool_], *, sign: float, activation: str
) -> tuple[Any, list[Any]]:
    """A convolution of some output channels, times ``sign``, with its weights still to be set."""
    config = linear.layer.get_config()
    name = f"{linear.layer.name}_{'minimum' if sign < 0 else 'maximum'}"
    config |= {
        "use_bias": True,
        "activation": activation,
        "filters": int(channels.sum()),
        "name": name,
    }
    config["dtype"] = "float32"
    weights = [
        _float32(sign * linear.kernel[..., channels]),
        _float32(sign * linear.bias[channels]),
    ]
    return type(linear.layer).from_config(config), weights


def _weighted(layer_and_weights: tuple[Any, list[Any]], tensor: Any) -> Any:
    layer, weights = layer_and_weights
    output = layer(tensor)
    layer.set_weights(weights)
    return output


def _pooled(pooling: Any, name: str, tensor: Any) -> Any:
    config = pooling.get_config() | {"name": f"{pooling.name}_{name}"}
    return type(pooling).from_config(config)(tensor)


def _float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)
