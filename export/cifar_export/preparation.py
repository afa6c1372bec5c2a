"""Prepares a folded model for int8 as well as can be done without training: equal channels, corrected biases.

Which steps are worth their time was measured (docs/log.md); each leaves the layers what they are.
"""

from dataclasses import dataclass, replace
from typing import Any

from cifar_export.bias_correction import correct_biases
from cifar_export.calibration import Feed
from cifar_export.equalize import equalize
from cifar_export.fold import Folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A folded model for int8 and its report.

    Attributes:
        folded: the folded model with other weights.
        report: which layers were equalized and corrected, JSON-ready, for the card.
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
    """
    equalized = equalize(folded.model, feed)
    corrected = correct_biases(equalized.model, feed)
    return Prepared(
        folded=replace(folded, model=corrected.model),
        report={
            "equalized": equalized.to_json(),
            "corrected_biases": corrected.to_json(),
        },
    )
