"""What a model computes inside on the calibration images: a copy that returns its calls' outputs."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.keras_graph.trace import LayerCall, replay

BATCH_SIZE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A copy of a model, and its calls that are observed.

    Attributes:
        model: the copy.
        indices: the observed calls, in the order of execution.
        tapped: a model of the copy's weights that returns the outputs of these calls.
    """

    model: Any
    indices: tuple[int, ...]
    tapped: Any


def probe(model: Any, indices: Collection[int]) -> Probe:
    """A probe of the calls of a functional model that ``indices`` names; each has one output."""
    import keras

    found: dict[int, Any] = {}

    def call(made: LayerCall) -> Any:
        output = made.replayed()
        if made.index in indices:
            found[made.index] = output
        return output

    copy = replay(model, call)
    tapped = keras.Model(copy.inputs[0], list(found.values()))
    return Probe(model=copy, indices=tuple(found), tapped=tapped)


def activations(tapped: Any, feed: RepresentativeDataset) -> Iterator[list[Any]]:
    """All outputs of a model, flat, for each batch of calibration images.

    Keras returns a single output bare, not in a list of one; here it is a list always.
    """
    import keras

    for batch in feed.batches(BATCH_SIZE):
        yield keras.tree.flatten(tapped(batch, training=False))
