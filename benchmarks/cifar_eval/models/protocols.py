"""What a measured model looks like from outside: one Protocol to score it, one to time it as well.

It holds Protocols and the identity of a model file; it never opens one (see ``exported`` and
``keras``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

BenchmarkFormat = Literal["tflite", "onnx", "keras"]


class Scorer(Protocol):
    """Anything that turns images into scores, so that accuracy and parity need not know what runs.

    A ``cifar_runtime.classifier.Classifier`` is one.
    """

    @property
    def name(self) -> str:
        """What to call the model in a table."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names, in the order of the scores."""

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores, float32, shape (n, num_classes).

        Args:
            images: uint8, shape (n, height, width, 3), RGB, 0..255.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """Which file was measured.

    Attributes:
        file: the file's name without its folder, since reports hold no machine paths.
        format: how the model is stored.
        size_bytes: the file's size.
        sha256: digest of the file's bytes, 64 hexadecimal digits.
    """

    file: str
    format: BenchmarkFormat
    size_bytes: int
    sha256: str


class BenchmarkModel(Scorer, Protocol):
    """A scorer that can be timed: preparing a tensor and running the network on it are apart.

    Latency here is *inference*: ``infer`` on a tensor that ``prepare`` has made before the clock
    starts.
    """

    @property
    def model_file(self) -> ModelFile:
        """The model's file."""

    @property
    def runtime(self) -> str:
        """What executes it: litert, onnxruntime, or keras/<backend>."""

    @property
    def threads(self) -> int | None:
        """Threads that one inference may use; None where the runtime decides by itself."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the images that ``scores`` takes."""

    def probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities, float64, in the shape of the scores, 0..1."""

    def prepare(self, images: NDArray[np.uint8]) -> Any:
        """The images as one ready input tensor, whatever that is for the runtime.

        Args:
            images: uint8, shape (n, height, width, 3), RGB, 0..255.
        """

    def infer(self, tensor: Any) -> Any:
        """The raw output of one inference, complete when the call returns."""


def is_checkpoint(path: Path) -> bool:
    """Whether keras opens the file; everything else is for the runtime to open or to refuse."""
    return path.suffix.lower() in (".keras", ".h5", ".hdf5")
