"""A Keras model as a list of layer calls, and its replay with some of them changed; both leave the model alone."""

import inspect
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cifar_export.keras_graph.inserted_names import InsertedNames
from cifar_export.keras_graph.layer_copies import copied, take_state

Layers = Literal["copies", "the model's own"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCall:
    """One call while a model is replayed.

    Attributes:
        index: that of :class:`Call`.
        original: the layer (or Keras operation) of the model.
        copy: what stands for it in the new model.
        args: what it is called with; they begin with the first input however the model's maker passed it.
        kwargs: likewise by name.
    """

    index: int
    original: Any
    copy: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def replayed(self) -> Any:
        """The outputs of the copy, which then has the original's state.

        Raises:
            ArtefactError: it cannot take that.
        """
        result = self.copy(*self.args, **self.kwargs)
        if self.copy is not self.original and not has_graph(self.original):
            take_state(self.original, self.copy)
        return result


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

    def record(made: LayerCall) -> Any:
        result = made.copy(*made.args, **made.kwargs)
        recorded.append((made.original, tensors_in((made.args, made.kwargs)), tensors_in(result)))
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
    call: Callable[[LayerCall], Any] | None = None,
    *,
    batch_size: int | None = None,
    with_bias: frozenset[int] = frozenset(),
    layers: Layers = "copies",
) -> Any:
    """A new functional model, made by ``call(made)`` for each call of ``model``.

    Args:
        model: a functional model.
        call: returns the output tensors, most often those of :meth:`LayerCall.replayed`; None: always those.
        batch_size: of the new model's input; None for any.
        with_bias: ids of layers whose clones get a bias.
        layers: what is called: copies of the model's layers, or these themselves, each for its own clone.

    Raises:
        ArtefactError: a layer cannot be copied.
    """
    import keras

    originals: dict[int, Any] = {}
    indices = itertools.count()
    names = InsertedNames(model)

    def clone(layer: Any) -> Any:
        copy = layer
        if layers == "copies":
            copy = cloned(layer, use_bias=id(layer) in with_bias)
        originals[id(copy)] = layer
        return copy

    def call_clone(copy: Any, *args: Any, **kwargs: Any) -> Any:
        original = originals[id(copy)]
        args, kwargs = first_by_position(original, args, kwargs)
        args, kwargs = keras.tree.map_structure(_constant, (args, kwargs))
        made = LayerCall(
            index=next(indices), original=original, copy=copy, args=args, kwargs=kwargs
        )
        result = made.replayed() if call is None else call(made)
        names.settle(copy, tensors_in((args, kwargs)), tensors_in(result))
        return result

    return keras.models.clone_model(
        model,
        input_tensors=fresh_inputs(model, batch_size=batch_size),
        clone_function=clone,
        call_function=call_clone,
    )


def fresh_inputs(model: Any, *, batch_size: int | None = None) -> Any:
    """Inputs as a functional model has them, of floats, for another model; batch_size: None for any."""
    import keras

    def fresh(tensor: Any) -> Any:
        dtype = tensor.dtype if "float" in tensor.dtype else "float32"  # pixels, not indices
        return keras.Input(
            batch_shape=(batch_size, *tensor.shape[1:]), dtype=dtype, name=tensor.name
        )

    return keras.tree.map_structure(fresh, model.input)


def _constant(value: Any) -> Any:
    """A tensor of numbers as an array, which converters write into the file; a tensor they take for an input."""
    import keras

    if isinstance(value, keras.KerasTensor) or not keras.ops.is_tensor(value):
        return value
    return keras.ops.convert_to_numpy(value)


def first_by_position(
    layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same arguments, the first one among ``args``; ``layer(inputs=x)`` gives it a name."""
    first = next(iter(inspect.signature(layer.call).parameters))
    if args or first not in kwargs:
        return args, kwargs
    return (kwargs[first],), {name: kwargs[name] for name in kwargs if name != first}


def with_batch_size(model: Any, batch_size: int | None) -> Any:
    """A copy of a functional model with another batch size, static or (None) any."""
    return replay(model, batch_size=batch_size)


def cloned(layer: Any, *, use_bias: bool) -> Any:
    """A copy of a layer; one of a model in the model, with its weights, consists of such copies too."""
    import keras

    if has_graph(layer):
        return replay(functional_from(layer) if isinstance(layer, keras.Sequential) else layer)
    return copied(layer, use_bias=use_bias)


def has_graph(layer: Any) -> bool:
    """Whether a layer is a Sequential or functional model."""
    import keras

    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))


def tensors_in(structure: Any) -> list[Any]:
    """The symbolic tensors of a structure of Keras, flat."""
    import keras

    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, keras.KerasTensor)]
