"""The operators of a network as firmware runs them: every number that their C kernels need, worked out.

It holds data only: ``lower`` makes it from a .tflite graph, ``emit`` writes it as C. Tensors are named by their index
in the graph. All tensors are int8, NHWC, of one image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Four = tuple[int, int, int, int]


def contiguous_strides(shape: Four) -> Four:
    """The strides of a tensor that lies in one piece."""
    return (shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRange:
    """An output's zero point, and what its activation leaves of -128..127."""

    zero_point: int
    lowest: int
    highest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A real factor, ``multiplier * 2 ** (shift - 31)``."""

    multiplier: int
    shift: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One output channel: its bias with the input's zero point folded in, and its factor."""

    bias: int
    factor: Factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window that slides over an image: pairs are (vertical, horizontal)."""

    input_size: tuple[int, int]
    channels: int
    size: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    padding: tuple[int, int]
    output_size: tuple[int, int]

    @property
    def patch_bytes(self) -> int:
        """The bytes under it."""
        return self.size[0] * self.size[1] * self.channels

    @property
    def is_a_pixel(self) -> bool:
        """Whether its patches are the input's own pixels, so that none is gathered."""
        return self.size == (1, 1) and self.padding == (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What every operator has.

    Attributes:
        name: as in the graph, CONV_2D.
        inputs: tensors that it reads, constants in flash among them.
        output: the tensor that it writes.
    """

    name: str
    inputs: tuple[int, ...]
    output: int

    @property
    def scratch_bytes(self) -> int:
        """Memory that it needs while it runs."""
        return 0

    @property
    def overwritable(self) -> tuple[int, ...]:
        """Inputs whose place its output may take, since each number is read before it is written."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(Operator):
    """CONV_2D, and FULLY_CONNECTED as a window of one pixel.

    Attributes:
        weights: int8, shape (output channels, bytes of a patch).
    """

    window: Window
    range: OutputRange
    input_zero_point: int
    weights: NDArray[np.int8]
    channels: tuple[Channel, ...]

    @property
    def scratch_bytes(self) -> int:
        """Two patches."""
        return 0 if self.window.is_a_pixel else 2 * self.window.patch_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Depthwise(Operator):
    """DEPTHWISE_CONV_2D.

    Attributes:
        multiplier: output channels of one input channel.
        weights: int8, shape (window height * width, output channels).
    """

    window: Window
    range: OutputRange
    input_zero_point: int
    multiplier: int
    weights: NDArray[np.int8]
    channels: tuple[Channel, ...]

    @property
    def scratch_bytes(self) -> int:
        """A patch, and one with its channels repeated."""
        return self.window.patch_bytes * (1 + (self.multiplier if self.multiplier > 1 else 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling(Operator):
    """MAX_POOL_2D and AVERAGE_POOL_2D."""

    window: Window
    range: OutputRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Elementwise(Operator):
    """What ADD and MUL have: an input is read with strides, 0 along axes that are repeated."""

    shape: Four
    strides: tuple[Four, Four]
    zero_points: tuple[int, int]
    range: OutputRange

    @property
    def overwritable(self) -> tuple[int, ...]:
        """Inputs that are not repeated."""
        own = contiguous_strides(self.shape)
        return tuple(
            tensor
            for tensor, strides in zip(self.inputs, self.strides, strict=True)
            if all(
                size == 1 or stride == expected
                for size, stride, expected in zip(self.shape, strides, own, strict=True)
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition(Elementwise):
    """ADD: both inputs to one scale, then the sum to the output's."""

    factors: tuple[Factor, Factor]
    factor: Factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplication(Elementwise):
    """MUL."""

    factor: Factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction(Operator):
    """MEAN and SUM over neighbouring axes: (outer, reduced, inner) becomes (outer, inner)."""

    outer: int
    reduced: int
    inner: int
    offset: int
    factor: Factor
    range: OutputRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(Operator):
    """An operator of one number, as its 256 results."""

    table: tuple[int, ...]
    count: int

    @property
    def overwritable(self) -> tuple[int, ...]:
        """Its input."""
        return self.inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(Operator):
    """SOFTMAX over the last axis; ``exponentials`` are those of 0, -1, .. -255 steps."""

    rows: int
    classes: int
    exponentials: tuple[int, ...]

    @property
    def overwritable(self) -> tuple[int, ...]:
        """Its input."""
        return self.inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A strided part of a tensor: where it starts, and a stride for each axis."""

    start: int
    strides: Four


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement(Operator):
    """PAD, SLICE, STRIDED_SLICE, TRANSPOSE, or one input of CONCATENATION: a block is copied to a block.

    Attributes:
        fill: what the ``output_bytes`` of the output are set to before; None where every one is copied.
    """

    shape: Four
    source: Block
    target: Block
    fill: int | None = None
    output_bytes: int = 0


def constant_bytes(operator: Operator) -> int:
    """What an operator's weights, channels and tables take in flash; its few settings are not counted."""
    match operator:
        case Convolution() | Depthwise():
            return int(operator.weights.size) + 12 * len(operator.channels)
        case Lookup():
            return len(operator.table)
        case Softmax():
            return 4 * len(operator.exponentials)
        case _:
            return 0
