"""Prepares a folded model for int8 as well as can be done without training.

Means get a scale of their own, channels equal ranges, biases a correction. Which steps are worth their time was
measured (docs/log.md); but for the biases, the float model computes what it did, and that is checked. Channels that a
ReLU6 clips keep their scale where other images reach further than the calibration images.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.models.input_mapping import InputMapping
from cifar_export.int8.bias_correction import correct_biases
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.equalize import equalize
from cifar_export.int8.global_pooling import pool_globally
from cifar_export.int8.passes import Pass
from cifar_export.int8.simulation import Rounding, rounded_for_tflite
from cifar_export.keras_graph.equivalence import (
    Fed,
    Rewriting,
    check_same,
    difference,
    max_difference,
)
from cifar_export.keras_graph.fold import Folded

# What each is called in the card; both are exact in float.
_PASSES: tuple[tuple[str, Pass], ...] = (
    ("pooled_globally", pool_globally),
    ("equalized", equalize),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A folded model for int8 and its report.

    Attributes:
        folded: the folded model with other weights and global pooling.
        uncorrected: that before its biases were corrected.
        report: which layers were changed and how, JSON-ready, for the card.
    """

    folded: Folded
    uncorrected: Folded
    report: dict[str, Any]

    @property
    def summary(self) -> str:
        """One clause for people."""
        equalized, corrected = self.report["equalized"], self.report["corrected_biases"]
        return f"equalized {len(equalized)} layers, corrected the biases of {len(corrected)}"


def prepare(folded: Folded, feed: RepresentativeDataset, compared: NDArray[np.uint8]) -> Prepared:
    """The model that int8 changes least; the one given is not changed.

    Args:
        folded: the folded model.
        feed: calibration images.
        compared: real images, uint8, shape (n, height, width, 3), to see on that exact steps keep the scores.
            Calibration images will not do: they end in plain ones, of which an edge filter sees rounding alone.

    Raises:
        ArtefactError: a step that is exact on paper changed the scores.
    """
    mapping = InputMapping(multiplier=folded.multiplier, offset=folded.offset)
    inputs = mapping.inputs(compared)
    model, report = folded.model, {}
    for name, usual in _PASSES:
        rewriting, result = usual, usual(model, feed)
        if usual is equalize and _differs(model, result.model, inputs):
            rewriting = partial(equalize, through_clips=False)
            result = rewriting(model, feed)
        if result.model is not model:
            check_same(
                Fed(model=model, inputs=inputs),
                Fed(model=result.model, inputs=inputs),
                _rewriting(name, rewriting, feed, inputs),
            )
        model, report[name] = result.model, result.report
    exact = replace(folded, model=model)
    return corrected(Prepared(folded=exact, uncorrected=exact, report=report), feed)


def corrected(
    prepared: Prepared, feed: RepresentativeDataset, rounding: Rounding = rounded_for_tflite
) -> Prepared:
    """The model with biases for a file's own weights, whatever they were corrected for before.

    Args:
        prepared: the model.
        feed: calibration images.
        rounding: of the file's weights.
    """
    result = correct_biases(prepared.uncorrected.model, feed, rounding=rounding)
    return replace(
        prepared,
        folded=replace(prepared.uncorrected, model=result.model),
        report=prepared.report | {"corrected_biases": result.report},
    )


def _differs(model: Any, rewritten: Any, inputs: NDArray[np.float32]) -> bool:
    outputs = [Fed(model=one, inputs=inputs).outputs() for one in (model, rewritten)]
    return difference(*outputs) > max_difference(model)


def _rewriting(
    name: str, rewriting: Pass, feed: RepresentativeDataset, inputs: NDArray[np.float32]
) -> Rewriting:
    return Rewriting(
        step=name.replace("_", " "),
        apply=lambda part: Fed(model=rewriting(part, feed).model, inputs=inputs),
    )
