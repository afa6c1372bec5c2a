"""Layers that have their channels first, as layers that have them last: no int8 form and no folding knows the others.

A transposition stands before and behind them only where a layer of another kind is next.
"""

from dataclasses import replace
from typing import Any

from cifar_export.keras_graph.trace import LayerCall

_SMALLEST_RANK = 3  # (n, channels, steps)
_NORMALIZATIONS = ("BatchNormalization", "GroupNormalization")
_EACH_NUMBER_BY_ITSELF = (
    *("ReLU", "LeakyReLU", "ELU", "Dropout", "GaussianNoise"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"),
)


class ChannelsLast:
    """One replay of a model, in which each tensor with channels first is known with its channels last too."""

    def __init__(self) -> None:
        """No call has been replayed yet."""
        self._last: dict[int, tuple[Any, Any]] = {}
        self._copies: dict[int, tuple[Any, Any]] = {}

    def replayed(self, made: LayerCall) -> Any:
        """The outputs of a call, of a layer with its channels last where it has them first.

        Raises:
            ArtefactError: the layer cannot take that.
        """
        import keras

        copy, given = made.copy, made.args[0]
        rank = max(len(getattr(tensor, "shape", ())) for tensor in keras.tree.flatten(given))
        if type(copy) is keras.layers.Permute and rank >= _SMALLEST_RANK:
            return self._permuted(made, rank)
        changes = self._changes(copy, given) if rank >= _SMALLEST_RANK else None
        return made.replayed() if changes is None else self._moved(made, changes)

    def _permuted(self, made: LayerCall, rank: int) -> Any:
        given = made.args[0]
        if made.copy.dims == _last_dims(rank) and self._are_known(given):
            return self._channels_last(given)
        output = made.replayed()
        return self._known(output, given) if made.copy.dims == _first_dims(rank) else output

    def _changes(self, layer: Any, given: Any) -> dict[str, Any] | None:
        """What to change in the configuration of a layer; None: it stays where it is."""
        kind = type(layer).__name__
        if getattr(layer, "data_format", None) == "channels_first":
            return {"data_format": "channels_last"}
        if kind in _NORMALIZATIONS and layer.axis == 1:
            return {"axis": -1}
        return {} if kind in _EACH_NUMBER_BY_ITSELF and self._are_known(given) else None

    def _moved(self, made: LayerCall, changes: dict[str, Any]) -> Any:
        import keras

        if id(made.copy) not in self._copies:
            moved = type(made.copy).from_config(made.copy.get_config() | changes)
            self._copies[id(made.copy)] = (made.copy, moved)
        _, copy = self._copies[id(made.copy)]
        first, *others = made.args
        first = keras.tree.map_structure(self._channels_last, first)
        output = replace(made, copy=copy, args=(first, *others)).replayed()
        if len(output.shape) < _SMALLEST_RANK:
            return output
        return self._known(keras.layers.Permute(_first_dims(len(output.shape)))(output), output)

    def _known(self, tensor: Any, channels_last: Any) -> Any:
        self._last[id(tensor)] = tensor, channels_last
        return tensor

    def _are_known(self, tensors: Any) -> bool:
        import keras

        return all(id(tensor) in self._last for tensor in keras.tree.flatten(tensors))

    def _channels_last(self, tensor: Any) -> Any:
        import keras

        if id(tensor) in self._last:
            return self._last[id(tensor)][1]
        return keras.layers.Permute(_last_dims(len(tensor.shape)))(tensor)


def _first_dims(rank: int) -> tuple[int, ...]:
    """The dimensions of a tensor with its channels first, as a Permute of one with its channels last has them."""
    return (rank - 1, *range(1, rank - 1))


def _last_dims(rank: int) -> tuple[int, ...]:
    return (*range(2, rank), 1)
