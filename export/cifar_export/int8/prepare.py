"""Prepares a folded model for int8 as well as can be done without training.

Means get a scale of their own, channels equal ranges, biases a correction. Which steps are worth their time was
measured (docs/log.md); but for the biases, the float model computes what it did, and that is checked.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cifar_export.int8.bias_correction import correct_biases
from cifar_export.int8.calibration import Feed
from cifar_export.int8.equalize import equalize
from cifar_export.keras_graph.equivalence import NUM_IMAGES, Fed, Rewriting, check_same
from cifar_export.keras_graph.fold import Folded
from cifar_export.keras_graph.global_pooling import pool_globally


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A folded model for int8 and its report.

    Attributes:
        folded: the folded model with other weights and global pooling.
        report: which layers were changed and how, JSON-ready, for the card.
    """

    folded: Folded
    report: dict[str, Any]

    @property
    def summary(self) -> str:
        """One clause for people."""
        equalized, corrected = self.report["equalized"], self.report["corrected_biases"]
        return f"equalized {len(equalized)} layers, corrected the biases of {len(corrected)}"


def prepare(folded: Folded, feed: Feed) -> Prepared:
    """The model that int8 changes least; the one given is not changed.

    Args:
        folded: the folded model.
        feed: calibration images.

    Raises:
        ArtefactError: a step that is exact on paper changed the scores of calibration images.
    """
    pooled = pool_globally(folded.model)
    _check(
        folded.model, pooled.model, "pooled globally", lambda part: pool_globally(part).model, feed
    )
    equalized = equalize(pooled.model, feed)
    _check(
        pooled.model, equalized.model, "equalized", lambda part: equalize(part, feed).model, feed
    )
    corrected = correct_biases(equalized.model, feed)
    return Prepared(
        folded=replace(folded, model=corrected.model),
        report={
            "pooled_globally": list(pooled.layers),
            "equalized": equalized.to_json(),
            "corrected_biases": corrected.to_json(),
        },
    )


def _check(source: Any, made: Any, step: str, apply: Callable[[Any], Any], feed: Feed) -> None:
    images = next(feed.batches(NUM_IMAGES))
    check_same(
        Fed(model=source, inputs=images),
        Fed(model=made, inputs=images),
        Rewriting(step=step, apply=lambda part: Fed(model=apply(part), inputs=images)),
    )
