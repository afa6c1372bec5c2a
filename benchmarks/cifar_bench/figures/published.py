"""MLPerf Tiny's image classification references by their published figures, for what a report did not measure.

Source: MLCommons tiny at commit 1afd2c9, benchmark/training/image_classification; sizes are the files',
multiply-accumulates follow from their graphs. Top-1 accuracy on all 10,000 CIFAR-10 test images.
No latency: a time from another machine says nothing beside the times of a report.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

TEST_IMAGES = 10_000


class _FileFacts(Protocol):
    @property
    def size_bytes(self) -> int: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedModel:
    """One reference model.

    Attributes:
        name: MLCommons' name and the precision.
        sha256: of its .tflite file; None where the file was not at hand.
        size_bytes: of its .tflite file.
        macs: multiply-accumulates of one image.
        correct: of ``TEST_IMAGES``.
    """

    name: str
    sha256: str | None
    size_bytes: int
    macs: int
    correct: int

    @property
    def accuracy(self) -> float:
        """Top-1, 0..1."""
        return self.correct / TEST_IMAGES


MLPERF_TINY = (
    PublishedModel(
        name="IC01 float32",
        sha256="b5c0046d6e0328b4956afd6baa29555a29b1f1c65bdd45aaed75b7cd484d9f79",
        size_bytes=318_144,
        macs=12_501_632,
        correct=8719,
    ),
    PublishedModel(
        name="IC01 int8",
        sha256="3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415",
        size_bytes=98_496,
        macs=12_501_632,
        correct=8697,
    ),
    PublishedModel(
        name="IC02 float32", sha256=None, size_bytes=1_929_208, macs=76_473_920, correct=9128
    ),
    PublishedModel(
        name="IC02 int8", sha256=None, size_bytes=512_024, macs=76_473_920, correct=9131
    ),
)


def reference_of(file: _FileFacts) -> PublishedModel | None:
    """The reference that a file is, by its digest; None for another file."""
    return next((model for model in MLPERF_TINY if model.sha256 == file.sha256), None)


def not_measured(files: Sequence[_FileFacts]) -> tuple[PublishedModel, ...]:
    """The reference models whose file is not among these, by digest, or by size where none is known."""
    digests = {file.sha256 for file in files}
    sizes = {file.size_bytes for file in files}
    return tuple(
        model
        for model in MLPERF_TINY
        if (model.sha256 not in digests if model.sha256 else model.size_bytes not in sizes)
    )
