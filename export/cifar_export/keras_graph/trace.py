"""A Keras model as a list of layer calls, and its replay with some of them changed; both leave the model alone."""

import inspect
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of one layer.

    Attributes:
        index: its place in topological order, the same at every replay.
        layer: the original layer (or Keras operation).
        inputs: the numbers of the tensors it takes.
        outputs: the numbers of the tensors it returns.
        is_simple: one tensor in, one out, and the layer is called nowhere else.
        input_shape: of the first input, with None for the batch axis.
    """

    index: int
    layer: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    is_simple: bool
    input_shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """All calls in order, and how often each tensor is used (a model output counts as two, so it is never single)."""

    calls: tuple[Call, ...]
    uses: Counter[int]


def functional_from(model: Any) -> Any:
    """The model as a functional one over the same layers (a Sequential's graph has no public face)."""
    import keras

    inputs, outputs = model.inputs, model.outputs
    return keras.Model(
        inputs[0] if len(inputs) == 1 else inputs,
        outputs[0] if len(outputs) == 1 else outputs,
        name=model.name,
    )


def trace(model: Any) -> Trace:
    """The calls of a functional model."""
    import keras

    recorded: list[tuple[Any, list[Any], list[Any]]] = []

    def record(
        index: int, original: Any, clone: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        del index
        result = clone(*args, **kwargs)
        recorded.append((original, _tensors((args, kwargs)), _tensors(result)))
        return result

    replayed = replay(model, record)
    # The tensors stay referenced by ``recorded`` and ``replayed``, so their ids stay unique.
    numbers: dict[int, int] = {}
    for tensor in [t for _, inputs, outputs in recorded for t in (*inputs, *outputs)]:
        numbers.setdefault(id(tensor), len(numbers))
    times_called = Counter(id(layer) for layer, _, _ in recorded)
    calls = tuple(
        Call(
            index=index,
            layer=layer,
            inputs=tuple(numbers[id(t)] for t in inputs),
            outputs=tuple(numbers[id(t)] for t in outputs),
            is_simple=len(inputs) == len(outputs) == times_called[id(layer)] == 1,
            input_shape=tuple(inputs[0].shape) if inputs else (),
        )
        for index, (layer, inputs, outputs) in enumerate(recorded)
    )
    uses = Counter(number for call in calls for number in call.inputs)
    for tensor in keras.tree.flatten(replayed.outputs):
        uses[numbers[id(tensor)]] += 2
    return Trace(calls=calls, uses=uses)


def replay(
    model: Any,
    call: Callable[[int, Any, Any, tuple[Any, ...], dict[str, Any]], Any] | None = None,
    *,
    batch_size: int | None = None,
    with_bias: frozenset[int] = frozenset(),
) -> Any:
    """A new functional model, made by ``call(index, original, clone, args, kwargs)`` for each call of ``model``.

    Args:
        model: a functional model.
        call: returns the output tensors, most often those of :func:`call_copy`; None: always those. Its index is that
            of :class:`Call`, its args begin with the first input however the model's maker passed it.
        batch_size: of the new model's input; None for any.
        with_bias: ids of layers whose clones get a bias.
    """
    import keras

    originals: dict[int, Any] = {}
    indices = itertools.count()

    def clone(layer: Any) -> Any:
        copy = _clone(layer, use_bias=id(layer) in with_bias)
        originals[id(copy)] = layer
        return copy

    def call_clone(copy: Any, *args: Any, **kwargs: Any) -> Any:
        original = originals[id(copy)]
        args, kwargs = _first_by_position(original, args, kwargs)
        if call is None:
            return call_copy(original, copy, args, kwargs)
        return call(next(indices), original, copy, args, kwargs)

    inputs = [
        keras.Input(
            batch_shape=(batch_size, *tensor.shape[1:]), dtype=tensor.dtype, name=tensor.name
        )
        for tensor in model.inputs
    ]
    return keras.models.clone_model(
        model,
        input_tensors=inputs if isinstance(model.input, list) else inputs[0],
        clone_function=clone,
        call_function=call_clone,
    )


def _first_by_position(
    layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same arguments, the first one among ``args``; ``layer(inputs=x)`` gives it a name."""
    first = next(iter(inspect.signature(layer.call).parameters))
    if args or first not in kwargs:
        return args, kwargs
    return (kwargs[first],), {name: kwargs[name] for name in kwargs if name != first}


def call_copy(original: Any, clone: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The outputs of ``clone``, which then has the original's weights."""
    result = clone(*args, **kwargs)
    if getattr(original, "weights", None):
        clone.set_weights(original.get_weights())
    return result


def with_batch_size(model: Any, batch_size: int | None) -> Any:
    """A copy of a functional model with another batch size, static or (None) any."""
    return replay(model, batch_size=batch_size)


def _clone(layer: Any, *, use_bias: bool) -> Any:
    """A fresh layer of the same configuration, in float32: exported files hold no mixed precision."""
    import keras

    if not isinstance(layer, keras.layers.Layer):
        return type(layer).from_config(layer.get_config())
    config = layer.get_config()
    if not isinstance(layer, keras.Model) and layer.compute_dtype in ("float16", "bfloat16"):
        config["dtype"] = "float32"
    if use_bias:
        config["use_bias"] = True
    return type(layer).from_config(config)


def _tensors(structure: Any) -> list[Any]:
    import keras

    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, keras.KerasTensor)]
