"""What a measured model looks like from outside: what is known of it, and how it runs.

It holds Protocols and the identity of a model file; it never opens one (see ``exported`` and
``keras``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.formats.known_formats import ModelFormat

BenchmarkFormat = Literal[ModelFormat, "keras"]


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


class ModelFacts(Protocol):
    """What is known of a measured model wherever it runs, be it in another process."""

    @property
    def name(self) -> str:
        """The model's own name."""

    @property
    def model_file(self) -> ModelFile:
        """The model's file."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names, in the order of the scores."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the images that it takes."""


class BenchmarkModel(ModelFacts, Protocol):
    """An open model that scores images and can be timed: preparing a tensor and running the network are apart.

    Latency here is *inference*: ``infer`` on a tensor that ``prepare`` has made before the clock
    starts.
    """

    @property
    def runtime(self) -> str:
        """What executes it: litert, onnxruntime, or keras/<backend>."""

    @property
    def threads(self) -> int | None:
        """Threads that one inference may use; None where the runtime decides by itself."""

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores, float32, shape (n, num_classes).

        Args:
            images: uint8, shape (n, height, width, 3), RGB, 0..255.
        """

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
