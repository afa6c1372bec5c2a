"""What an export measures for the card beyond its gate: frozen data, importable without numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_runtime.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceRecipe:
    """How probabilities are calibrated, and when the artefact abstains.

    Attributes:
        coverage: smallest share of the fitting images that keep an answer, above 0, up to 1.
        data: a folder of class folders to fit on; None for CIFAR-10's validation split.
    """

    coverage: float = 0.95
    data: Path | None = None

    def __post_init__(self) -> None:
        if not 0 < self.coverage <= 1:
            raise UsageError(
                f"coverage is {self.coverage}, expected a share above 0, up to 1.",
                hint="95% leaves 19 of 20 images their answer.",
            )

    def to_json(self) -> dict[str, Any]:
        """What shaped the artefact, as JSON-ready data: no folders of this machine."""
        return {"coverage": self.coverage}


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessRecipe:
    """Which images are corrupted.

    Attributes:
        images: how many, evenly over the classes, of the validation split, or of the folder that the gate
            measures on; None for the packaged sample.
    """

    images: int | None

    def __post_init__(self) -> None:
        if self.images is not None and self.images < 1:
            raise UsageError(
                f"robustness on {self.images} images, expected 1 or more.", hint="Give more."
            )

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON-ready data."""
        return {"images": self.images}


def check_evidence(
    confidence: ConfidenceRecipe | None,
    robustness: RobustnessRecipe | None,
    *,
    eval_data: Path | None,
) -> None:
    """Checks that what is measured fits the images that the gate measures.

    Raises:
        UsageError: it does not.
    """
    if confidence is not None and eval_data is not None and confidence.data in (None, eval_data):
        raise UsageError(
            f"{eval_data}: its images are what the gate measures, so confidence cannot be fitted on them.",
            hint="Give --confidence-data DIR with other labelled images.",
        )
    if robustness is not None and robustness.images is None and eval_data is not None:
        raise UsageError(
            f"robustness on the packaged sample, which is CIFAR-10's, but the gate measures on {eval_data}.",
            hint="Give --robustness N: so many of that folder's images.",
        )
