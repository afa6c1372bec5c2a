"""A folded model walked call by call, twice at once: exactly, and with what int8 rounds rounded.

Each call is computed once for all calibration images: a walk stops in a layer before its bias, which may change until
the walk goes on. What later calls need is kept between two stops while it takes at most :data:`MAX_KEPT_BYTES`; where
it takes more, as it may in front of the first pooling, it is computed again from what was kept last, or from the
images. It changes no kernels, and knows nothing of errors.
"""

import inspect
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.probe import batch_size
from cifar_export.int8.simulation import SCALE_AXES, Range
from cifar_export.keras_graph.trace import LayerCall, replay, tensors_in

MAX_KEPT_BYTES = 512 * 2**20
"""What may be kept of all images and both walks, between two calls."""

Values = dict[int, Any]
"""The tensors of one batch that calls to come take, by the identity of their symbols."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One call of a copy.

    Attributes:
        layer: the copy; where it may be stopped in, its bias is zero and its activation linear.
        args: what it is called with, tensors as symbols.
        kwargs: likewise by name.
        output: the symbols of what it returns, as a structure of Keras.
        activation: of a layer that may be stopped in; None elsewhere.
        range: between which extremes its output is rounded to 8 bits; None where it is not.
    """

    layer: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any
    activation: Callable[[Any], Any] | None
    range: Range | None

    @property
    def taken(self) -> frozenset[int]:
        """The symbols that it takes."""
        return frozenset(map(id, tensors_in((self.args, self.kwargs))))

    @property
    def given(self) -> int:
        """The symbol of the one tensor that it returns."""
        import keras

        return id(keras.tree.flatten(self.output)[0])

    def computed(self, values: Values) -> Any:
        """What the layer itself returns."""
        import keras

        args, kwargs = keras.tree.map_structure(
            lambda value: values.get(id(value), value), (self.args, dict(self.kwargs))
        )
        if "training" in inspect.signature(self.layer.call).parameters:
            kwargs["training"] = False
        return self.layer(*args, **kwargs)

    def left(self, found: Any, bias: Any) -> Values:
        """What the call returns, by symbol, of what its layer did; ``bias`` is None where that has it already."""
        import keras

        if bias is not None:
            found = found + bias
        if self.activation is not None:
            found = self.activation(found)
        if self.range is not None:
            lowest, highest = self.range
            found = keras.quantizers.fake_quant_with_min_max_vars(
                found, lowest, max(highest, lowest + 1e-6)
            )
        symbols, tensors = keras.tree.flatten(self.output), keras.tree.flatten(found)
        return {id(symbol): tensor for symbol, tensor in zip(symbols, tensors, strict=True)}


class Walk:
    """The calls of a copy of a model, in order.

    Attributes:
        layers: the copy's convolutions and dense layers that have a bias and may be stopped in, by call index.
        biases: theirs, float32, shape (channels,), which may be replaced.
    """

    def __init__(self, model: Any, ranges: Mapping[int, Range], *, once: Container[int]) -> None:
        """A walk that rounds what the calls in ``ranges`` return to 8 bits between their extremes.

        Args:
            model: a folded functional model; it is not changed.
            ranges: lowest and highest value, by call index.
            once: the calls, by index, whose layers may be stopped in before their bias: others have it again.
        """
        import keras

        self.layers: dict[int, Any] = {}
        self.biases: dict[int, NDArray[np.float32]] = {}
        self._steps: list[_Step] = []

        def call(made: LayerCall) -> Any:
            activation = None
            if made.index in once and _has_bias(made.original):
                self.layers[made.index] = made.copy
                activation, made.copy.activation = made.copy.activation, keras.activations.linear
            symbols = made.replayed()
            self._steps.append(
                _Step(
                    layer=made.copy,
                    args=made.args,
                    kwargs=made.kwargs,
                    output=symbols,
                    activation=activation,
                    range=ranges.get(made.index),
                )
            )
            return symbols

        self._model = replay(model, call)
        self._input = id(self._model.inputs[0])
        for index, layer in self.layers.items():
            self.biases[index] = np.array(layer.bias)
            layer.bias.assign(np.zeros_like(self.biases[index]))
        self._needed = self._needed_from(last=max(self.layers, default=0))

    def end(self, biases: Mapping[int, NDArray[np.float32]]) -> Any:
        """The copy as a model again, activations in their places, with other biases; the walk is over."""
        for index, layer in self.layers.items():
            layer.activation = self._steps[index].activation
            layer.bias.assign(biases[index])
        return self._model

    def begin(self, batch: Any) -> Values:
        """The values before the first call.

        Args:
            batch: float32, shape (n, height, width, channels), as the model takes it.
        """
        from keras import ops

        return {self._input: ops.convert_to_tensor(batch)}

    def stopped(self, values: Values, at: int | None, index: int) -> Values:
        """The values when the walk stops in call ``index``, whose output lacks its bias yet.

        Args:
            values: those of the stop before, or of the beginning.
            at: the call of that stop; None for the beginning.
            index: a later call, of a layer that may be stopped in.
        """
        if at is not None:
            values = self._after(values, at, values[self._steps[at].given])
        for number in range(0 if at is None else at + 1, index):
            values = self._after(values, number, self._steps[number].computed(values))
        found = self._steps[index].computed(values)
        return self._still_needed(values, index) | {self._steps[index].given: found}

    def before_activation(self, values: Values, index: int) -> Any:
        """What the layer of call ``index`` returns of the values when the walk stops in it, without its activation."""
        return values[self._steps[index].given] + self.biases[index]

    def _after(self, values: Values, index: int, found: Any) -> Values:
        """The values after a call of which its layer's output is known."""
        left = self._steps[index].left(found, self.biases.get(index))
        return self._still_needed(values | left, index)

    def _still_needed(self, values: Values, index: int) -> Values:
        return {key: values[key] for key in values if key in self._needed[index + 1]}

    def _needed_from(self, *, last: int) -> list[frozenset[int]]:
        """The symbols that each call, or one behind it up to ``last``, takes."""
        needed = [frozenset[int]()]
        for index in reversed(range(len(self._steps))):
            own = self._steps[index].taken if index <= last else frozenset[int]()
            needed.append(needed[-1] | own)
        return needed[::-1]


class Walks:
    """Several walks through one model, side by side on all calibration images."""

    def __init__(
        self, walks: Sequence[Walk], feed: RepresentativeDataset, *, max_bytes: int = MAX_KEPT_BYTES
    ) -> None:
        """Walks that are at the first call.

        Args:
            walks: through copies of one model.
            feed: calibration images.
            max_bytes: what may be kept between two calls.
        """
        self._walks, self._feed, self._max_bytes = tuple(walks), feed, max_bytes
        self._at: int | None = None
        self._kept: list[tuple[Values, ...]] = []

    def before_activation(self, index: int) -> Iterator[tuple[Any, ...]]:
        """What the layer of call ``index`` returns in each walk, for each batch; calls must come in order.

        All batches must be taken, since what is kept is replaced one by one. The biases of the calls before are final
        then.
        """
        is_kept = False
        for number, values in enumerate(self._begun()):
            moved = tuple(
                walk.stopped(value, self._at, index)
                for walk, value in zip(self._walks, values, strict=True)
            )
            if number == 0:
                is_kept = _size_bytes(moved) * self._num_batches <= self._max_bytes
            if is_kept:
                self._kept[number : number + 1] = [moved]
            yield tuple(
                walk.before_activation(value, index)
                for walk, value in zip(self._walks, moved, strict=True)
            )
        if is_kept:
            self._at = index

    @property
    def _num_batches(self) -> int:
        return -(-len(self._feed.images) // batch_size(self._feed))

    def _begun(self) -> Iterator[tuple[Values, ...]]:
        if not self._kept:
            for batch in self._feed.batches(batch_size(self._feed)):
                yield tuple(walk.begin(batch) for walk in self._walks)
            return
        total, size = len(self._feed.images), batch_size(self._feed)
        for number, values in enumerate(self._kept, start=1):
            yield values
            self._feed.count(min(number * size, total), total)


def _has_bias(layer: Any) -> bool:
    # Adapters and weights that Keras quantized are somebody else's.
    is_plain = len(getattr(layer, "weights", ())) == len(("kernel", "bias"))
    return type(layer).__name__ in SCALE_AXES and bool(layer.use_bias) and is_plain


def _size_bytes(walks: tuple[Values, ...]) -> int:
    """What the tensors of one batch take."""
    return sum(np.asarray(tensor).nbytes for values in walks for tensor in values.values())
