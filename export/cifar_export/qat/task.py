"""What quantization-aware training is given, and what it makes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.keras_graph.fold import Folded


@dataclass(frozen=True, slots=True, kw_only=True)
class QatData:
    """Images for training, and those that choose among its states.

    Attributes:
        train: uint8, shape (n, height, width, 3).
        validation: uint8, shape (m, height, width, 3), none of those.
    """

    train: NDArray[np.uint8]
    validation: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class QatTask:
    """What a backend trains on.

    Attributes:
        teacher: the float model whose decisions are to be kept, of the same input as the one in training.
        feed: calibration images, which set the ranges of activations.
        data: what to train and to choose on.
        seed: of the order of images.
    """

    teacher: Any
    feed: RepresentativeDataset
    data: QatData
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training made.

    Attributes:
        folded: the folded model with trained weights.
        report: how it went, JSON-ready, for the card.
    """

    folded: Folded
    report: dict[str, Any]
