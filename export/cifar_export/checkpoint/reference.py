"""The scores that every export is compared with: those of the checkpoint as it was loaded, never of a copy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.models.input_mapping import InputMapping
from cifar_eval.models.keras import scores_in_batches
from cifar_export.checkpoint.io_layers import (
    Appended,
    appended,
    is_one_probability,
    strips_softmax,
)
from cifar_export.keras_graph.layer_copies import copied, take_state
from cifar_export.keras_graph.trace import functional_from, has_graph
from cifar_runtime.contract import ScoreKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A checkpoint's model, what it is fed, and what is done with its scores.

    Attributes:
        model: as loaded; for the logits of a softmax the same layer objects up to that softmax.
        mapping: what it takes for a pixel.
        appends: the activation that makes the scores of what the model returns; None for none.
        has_one_score: whether the model returns the second of two classes' probabilities alone.
        threshold: smallest probability of a label that holds, where any number may; None where one does.
    """

    model: Any
    mapping: InputMapping
    appends: Appended | None
    has_one_score: bool = False
    threshold: float | None = None

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores, float32, shape (n, num_classes), of images, uint8 RGB, shape (n, height, width, 3)."""
        found = scores_in_batches(self.model, images, mapping=self.mapping)
        if self.has_one_score:
            return np.concatenate([1 - found, found], axis=1)
        return found if self.appends is None else _ACTIVATIONS[self.appends](found)


def reference_of(model: Any, *, mapping: InputMapping, output_kind: ScoreKind | None) -> Reference:
    """The reference for exports of a loaded model.

    Args:
        model: a Sequential or functional Keras model with one input and one output.
        mapping: what it takes for a pixel.
        output_kind: probabilities or logits; None for what it returns.

    Raises:
        ArtefactError: the model ends in an activation that keeps it from giving such scores.
    """
    return Reference(
        model=without_softmax(model) if strips_softmax(model, output_kind) else model,
        mapping=mapping,
        appends=appended(model, output_kind),
        has_one_score=is_one_probability(model),
    )


def without_softmax(model: Any) -> Any:
    """A model of the same layer objects that returns what the last softmax takes.

    A last layer with weights cannot give that itself; it alone is a copy, without activation.
    """
    import keras

    functional = functional_from(model)
    last, node_index, _ = functional.outputs[0]._keras_history
    logits = last._inbound_nodes[node_index].input_tensors[0]
    if has_graph(last):
        logits = without_softmax(last)(logits)
    elif getattr(last, "weights", None):
        head = copied(last, use_bias=False)
        head.activation = keras.activations.linear
        logits = head(logits)
        take_state(last, head)
    return keras.Model(functional.inputs[0], logits)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities, float32, of logits, float32, shape (n, num_classes) each."""
    exact = logits.astype(np.float64)
    exponentials = np.exp(exact - exact.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Independent probabilities, float32, of logits, float32, shape (n, labels) each."""
    exact = logits.astype(np.float64)
    return np.asarray(np.exp(-np.logaddexp(0.0, -exact)), np.float32)


_ACTIVATIONS = {"softmax": softmax, "sigmoid": sigmoid}
