"""Puts around a checkpoint what its user states of it: the input's range, and probabilities or logits out.

Both become layers of a Keras model, so that everything behind (the reference, folding, converting) sees one
model of raw pixels. The model given is not changed.
"""

from typing import Any

from cifar_export.keras_graph.trace import call_copy, functional_from, replay
from cifar_runtime.contract import ScoreKind
from cifar_runtime.errors import ArtefactError

RAW_PIXELS = (1.0, 0.0)


def adapted(
    model: Any,
    *,
    mapping: tuple[float, float] = RAW_PIXELS,
    output_kind: ScoreKind | None = None,
) -> Any:
    """The model as one of raw pixels that returns scores of the wanted kind.

    Args:
        model: a Sequential or functional Keras model with one input and one output.
        mapping: what it takes for a pixel, 0..255: the pixel times the first, plus the second.
        output_kind: probabilities or logits; None for what it returns.

    Raises:
        ArtefactError: logits are wanted of a model that ends in another activation than softmax.
    """
    if mapping == RAW_PIXELS and output_kind is None:
        return model
    activation = _last_activation(model)
    if output_kind == "logits" and activation not in ("softmax", "linear"):
        raise ArtefactError(
            f"{model.name}: its last layer '{_last_layer(model).name}' has the activation {activation}, "
            "expected a softmax to strip for logits.",
            hint="Leave --output-kind out.",
        )
    return _rebuilt(
        functional_from(model),
        mapping=None if mapping == RAW_PIXELS else mapping,
        output_kind=output_kind,
    )


def output_kind_of(model: Any) -> ScoreKind:
    """What a model returns, judged by its last layer."""
    return "probabilities" if _last_activation(model) == "softmax" else "logits"


def _last_activation(model: Any) -> str:
    layer = _last_layer(model)
    if type(layer).__name__ == "Softmax":
        return "softmax"
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else getattr(activation, "__name__", "unknown")


def _last_layer(model: Any) -> Any:
    import keras

    output = model.outputs[0]
    return next(
        layer
        for layer in reversed(model.layers)
        if any(output is given for given in keras.tree.flatten(layer.output))
    )


def _rebuilt(
    model: Any, *, mapping: tuple[float, float] | None, output_kind: ScoreKind | None
) -> Any:
    import keras

    last = _last_layer(model)
    is_softmax = _last_activation(model) == "softmax"
    strips = output_kind == "logits" and is_softmax
    appends = output_kind == "probabilities" and not is_softmax
    scaled: list[Any] = []

    def pixels_mapped(tensor: Any) -> Any:
        if mapping is None or not isinstance(tensor, keras.KerasTensor) or not _is_input(tensor):
            return tensor
        if not scaled:
            layer = keras.layers.Rescaling(mapping[0], offset=mapping[1], name="stated_input_range")
            scaled.append(layer(tensor))
        return scaled[0]

    def call(
        index: int, original: Any, clone: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        del index
        args = keras.tree.map_structure(pixels_mapped, args)
        if original is not last:
            return call_copy(original, clone, args, kwargs)
        if strips and type(original).__name__ == "Softmax":
            return args[0]
        if strips:
            clone.activation = keras.activations.linear
        output = call_copy(original, clone, args, kwargs)
        return keras.layers.Softmax(name="stated_probabilities")(output) if appends else output

    return replay(model, call)


def _is_input(tensor: Any) -> bool:
    import keras

    return any(tensor is source for source in keras.utils.get_source_inputs(tensor))
