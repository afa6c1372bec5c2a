"""What every interpreter looks like from outside, and how it is set up; it imports none."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from cifar_runtime.formats.known_formats import RuntimeName

GraphOptimization = Literal["none", "basic", "extended", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How an interpreter is set up; the defaults are what a device should use.

    Attributes:
        xnnpack: LiteRT may hand operators to XNNPACK; without it its own kernels run them all.
        graph_optimization: how far onnxruntime rewrites the graph before running it.
    """

    xnnpack: bool = True
    graph_optimization: GraphOptimization = "all"


DEFAULT_OPTIONS = SessionOptions()


class Session(Protocol):
    """An open interpreter. One may be shared by threads.

    Attributes:
        runtime: which interpreter it is.
    """

    runtime: RuntimeName

    def run(self, batch: NDArray[Any]) -> NDArray[Any]:
        """The model's raw scores.

        Args:
            batch: shape (n, height, width, 3), NHWC, in the contract's input dtype, already
                quantized; n is free, whatever batch size the file was exported with.

        Returns:
            shape (n, num_classes), in the contract's output dtype, still quantized.

        Raises:
            ArtefactError: the interpreter fails on this model.
            UsageError: the batch has another shape or dtype, or the session is closed.
        """
        ...

    def close(self) -> None:
        """Frees the interpreter; closing twice is allowed."""
        ...
