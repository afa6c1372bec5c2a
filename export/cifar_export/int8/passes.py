"""What a step of preparation is: a model and calibration images in, a model and a report out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cifar_export.int8.calibration import RepresentativeDataset


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """What one pass made of a model.

    Attributes:
        model: a new functional Keras model, or the one given, which is not changed.
        report: what was done to which layers, JSON-ready, for the card.
    """

    model: Any
    report: list[Any]


Pass = Callable[[Any, RepresentativeDataset], PassResult]
"""A rewriting of a functional Keras model on the way to int8: ``(model, feed) -> PassResult``."""
