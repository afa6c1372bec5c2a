"""What a model computes inside on the calibration images: one of the same layers that returns its calls' outputs."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from cifar_eval.models.batch_size import evaluation_batch_size
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.keras_graph.trace import nodes_of

_MAX_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The calls of a model that are observed.

    Attributes:
        indices: the observed calls, in the order of execution.
        tapped: a model of the same layers that returns the outputs of these calls.
    """

    indices: tuple[int, ...]
    tapped: Any


def probe(model: Any, indices: Collection[int]) -> Probe:
    """A probe of the calls of a functional model that ``indices`` names; each has one output."""
    import keras

    found = {
        index: node.outputs[0] for index, node in enumerate(nodes_of(model)) if index in indices
    }
    return Probe(indices=tuple(found), tapped=keras.Model(model.inputs[0], list(found.values())))


def batch_size(feed: RepresentativeDataset) -> int:
    """How many calibration images are computed at once."""
    return evaluation_batch_size(feed.images.shape[1:], at_most=_MAX_BATCH)


def activations(tapped: Any, feed: RepresentativeDataset) -> Iterator[list[Any]]:
    """All outputs of a model, flat, for each batch of calibration images.

    Keras returns a single output bare, not in a list of one; here it is a list always.
    """
    import keras

    for batch in feed.batches(batch_size(feed)):
        yield keras.tree.flatten(tapped(batch, training=False))
