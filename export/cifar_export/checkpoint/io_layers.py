"""Puts around a checkpoint what its user states of it: the input's range, and probabilities or logits out.

Both become layers of a Keras model, so that everything behind (folding, converting) sees one model of raw pixels.
It is a copy; the model given is not changed.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from cifar_eval.models.input_mapping import RAW_PIXELS, InputMapping
from cifar_eval.models.keras import channels_first_layer
from cifar_export.keras_graph.channels_last import ChannelsLast
from cifar_export.keras_graph.inline import inlined
from cifar_export.keras_graph.layer_copies import as_rescaling
from cifar_export.keras_graph.trace import LayerCall, functional_from, replay
from cifar_runtime.contract import ScoreKind
from cifar_runtime.errors import ArtefactError

INDEPENDENT = ("sigmoid", "hard_sigmoid")
"""Keras' activations whose values say nothing of one another."""
Appended = Literal["softmax", "sigmoid"]


def adapted(
    model: Any,
    *,
    mapping: InputMapping = RAW_PIXELS,
    output_kind: ScoreKind | None = None,
) -> Any:
    """A copy of the model as one of raw pixels that returns scores of the wanted kind, without models in it.

    Its layers have their channels last.

    Args:
        model: a Sequential or functional Keras model with one input and one output.
        mapping: what it takes for a pixel.
        output_kind: probabilities or logits; None for what it returns.

    Raises:
        ArtefactError: logits are wanted of a model that ends in another activation than softmax, or a layer cannot
            be copied.
    """
    import keras

    model = inlined(model)
    strips, appends = strips_softmax(model, output_kind), appended(model, output_kind)
    last, is_one = last_layer(model), is_one_probability(model)
    replayed = ChannelsLast().replayed if channels_first_layer(model) else LayerCall.replayed
    scaled: list[Any] = []

    def pixels_mapped(tensor: Any) -> Any:
        if not isinstance(tensor, keras.KerasTensor) or not _is_input(tensor):
            return tensor
        if not scaled:
            scaled.append(_mapped(tensor, mapping))
        return scaled[0]

    def call(made: LayerCall) -> Any:
        if mapping != RAW_PIXELS:
            args, kwargs = keras.tree.map_structure(pixels_mapped, (made.args, made.kwargs))
            made = replace(made, args=args, kwargs=kwargs)
        rescaling = as_rescaling(made.original, made.args)
        if rescaling is not None:
            made = replace(made, copy=rescaling[0], args=(rescaling[1],))
        if made.original is not last:
            return replayed(made)
        if is_one:
            return _two_probabilities(made)
        return _scores(made, strips=strips, appends=appends)

    return replay(functional_from(model), call)


def _scores(made: LayerCall, *, strips: bool, appends: str | None) -> Any:
    """What the last call returns, without its softmax or with an activation behind it."""
    import keras

    if strips and not hasattr(made.copy, "activation"):
        return made.args[0]
    if strips:
        made.copy.activation = keras.activations.linear
    output = made.replayed()
    if appends is None:
        return output
    name = "stated_probabilities"
    if appends == "softmax":
        return keras.layers.Softmax(name=name)(output)
    return keras.layers.Activation(appends, name=name)(output)


def _mapped(tensor: Any, mapping: InputMapping) -> Any:
    """What the model takes for raw pixels; a convolution of single pixels where channels change places."""
    from keras import layers

    name = "stated_input_range"
    if not mapping.is_bgr:
        return layers.Rescaling(mapping.multiplier, offset=mapping.offset, name=name)(tensor)
    convolution = layers.Conv2D(3, 1, name=name)
    output = convolution(tensor)
    kernel = np.eye(3, dtype=np.float32)[::-1] * np.asarray(mapping.multiplier, np.float32)
    offset = np.broadcast_to(np.asarray(mapping.offset, np.float32), 3)
    convolution.set_weights([kernel[None, None], offset])
    return output


def output_kind_of(model: Any) -> ScoreKind:
    """What a model returns, judged by its last layer."""
    activation = last_activation(model)
    if activation == "softmax" or is_one_probability(model):
        return "probabilities"
    return "independent-probabilities" if activation in INDEPENDENT else "logits"


def is_one_probability(model: Any) -> bool:
    """Whether the model returns one number, a sigmoid: the probability of the second of two classes."""
    return model.outputs[0].shape[-1] == 1 and last_activation(model) == "sigmoid"


def _two_probabilities(made: LayerCall) -> Any:
    """Those of both classes, in place of the call that returns the second one's."""
    from keras import layers, ops

    weights = [] if type(made.copy) is not layers.Dense else made.original.get_weights()
    if not weights:
        second = made.replayed()
        return layers.Concatenate(name="stated_classes")([ops.subtract(1.0, second), second])
    # sigmoid(x) is the second of softmax(0, x).
    both = layers.Dense(2, "softmax", use_bias=made.copy.use_bias, name=made.original.name)
    output = both(made.args[0])
    both.set_weights(
        [np.stack([np.zeros_like(part[..., 0]), part[..., 0]], -1) for part in weights]
    )
    return output


def appended(model: Any, output_kind: ScoreKind | None) -> Appended | None:
    """The activation that makes scores of the wanted kind of what the model returns; None for none.

    Raises:
        ArtefactError: no activation does.
    """
    found = output_kind_of(model)
    if output_kind in (None, "logits", found):
        return None
    if found != "logits":
        raise ArtefactError(
            f"{model.name}: ends in a {last_activation(model)}, which gives {found}, and no activation makes "
            f"{output_kind} of these.",
            hint="Leave --output-kind out.",
        )
    return "softmax" if output_kind == "probabilities" else "sigmoid"


def strips_softmax(model: Any, output_kind: ScoreKind | None) -> bool:
    """Whether scores of the wanted kind are what the model's last softmax takes.

    Raises:
        ArtefactError: they are the logits of a model that ends in another activation.
    """
    if output_kind != "logits":
        return False
    last, activation = last_layer(model), last_activation(model)
    if activation not in ("softmax", "linear"):
        raise ArtefactError(
            f"{model.name}: its last layer '{last.name}' has the activation {activation}, "
            "expected a softmax to strip for logits.",
            hint="Leave --output-kind out.",
        )
    return activation == "softmax"


def last_layer(model: Any) -> Any:
    """The layer or Keras operation that returns the model's one output."""
    return model.outputs[0]._keras_history.operation


def last_activation(model: Any) -> str:
    """The activation that makes the model's scores, by Keras' name; ``linear`` where there is none."""
    import keras

    layer = last_layer(model)
    if getattr(layer, "inputs", None):  # a model in the model
        return last_activation(layer)
    kind = type(layer).__name__.lower()
    if kind == "softmax":
        return "softmax"
    if not isinstance(layer, keras.layers.Layer):
        return kind if hasattr(keras.activations, kind) else "linear"
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else getattr(activation, "__name__", "unknown")


def _is_input(tensor: Any) -> bool:
    import keras

    return any(tensor is source for source in keras.utils.get_source_inputs(tensor))
