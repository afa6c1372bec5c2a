"""Whether firmware decides as the Keras model: the export's gate on a board's scores. It writes nothing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_eval.parity.counts import parity_from_scores
from cifar_eval.parity.gate import judge
from cifar_eval.parity.limits import Limits
from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import GateError
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.scores import dequantize

Run = Callable[[NDArray[np.int8]], NDArray[np.int8]]
"""What gives scores, int8, shape (n, num_classes), for images as a model takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How firmware decided; shares, 0..1.

    Attributes:
        split: the images' split.
        num_images: how many.
        accuracy: top-1.
        agreement: with the Keras model.
    """

    split: str
    num_images: int
    accuracy: float
    agreement: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the decisions of firmware are judged on.

    Attributes:
        split: images that calibration never saw.
        reference: the Keras model's scores of them, float32, shape (n, num_classes).
        limits: what must hold.
    """

    split: Split
    reference: NDArray[np.float32]
    limits: Limits

    def judge(self, artefact: Artefact, run: Run) -> Judged:
        """How the firmware of an int8 artefact decides.

        Raises:
            GateError: a limit is missed.
        """
        table: NDArray[np.int8] = input_table(artefact.contract.input)
        found = dequantize(run(table[np.asarray(self.split.images)]), artefact.contract.output)
        parity = parity_from_scores(self.reference, found, self.split.labels)
        gates = judge(parity, self.limits)
        if not all(gate.passed for gate in gates):
            verdict = ", ".join(gate.sentence for gate in gates)
            raise GateError(
                f"{artefact.path.name} as firmware on {parity.seen:,} images of {self.split.name}: {verdict}; "
                "no firmware was written.",
                hint="Firmware rounds otherwise than LiteRT: export with --qat or with more calibration images.",
            )
        return Judged(
            split=self.split.name,
            num_images=parity.seen,
            accuracy=parity.candidate_correct / parity.seen,
            agreement=parity.agreement,
        )
