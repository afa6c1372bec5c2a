"""An int8 .tflite graph as the lowering needs it: every tensor's shape, scale and constant, checked once.

It knows tensors and refusals; what operators compute is ``lower``'s and the modules beside it's.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_export.firmware.fixed_point import round_half_away
from cifar_export.firmware.lowering.lookup_tables import Scale
from cifar_export.firmware.operators import Four, OutputRange
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.graph import Graph, GraphOperator, GraphTensor

_NUMPY = {"int8": np.int8, "int32": np.int32, "int64": np.int64, "float32": np.float32}
# enum ActivationFunctionType. Source: schema.fbs
_ACTIVATION_BOUNDS: dict[int, tuple[float | None, float | None]] = {
    0: (None, None),
    1: (0.0, None),
    2: (-1.0, 1.0),
    3: (0.0, 6.0),
}


def refuse(name: str, what: str, expected: str) -> ArtefactError:
    """The error of an operator that no kernel here computes."""
    return ArtefactError(
        f"{name}: {what}, expected {expected}.",
        hint="Use --format tflite on a board that runs TensorFlow Lite Micro, or change this layer.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedGraph:
    """A graph of int8 tensors of one image."""

    graph: Graph

    def tensor(self, index: int) -> GraphTensor:
        """A tensor by its index."""
        return self.graph.tensors[index]

    def shape(self, index: int) -> tuple[int, ...]:
        """Its shape; an axis that the file leaves open is one image."""
        return tuple(1 if size is None else size for size in self.tensor(index).shape or ())

    def shape4(self, name: str, index: int) -> Four:
        """Its shape with axes of 1 in front.

        Raises:
            ArtefactError: it has more than four axes.
        """
        shape = self.shape(index)
        if len(shape) > 4:
            raise refuse(name, f"a tensor has the shape {shape}", "at most four axes")
        padded = (1,) * (4 - len(shape)) + shape
        return (padded[0], padded[1], padded[2], padded[3])

    def size(self, index: int) -> int:
        """How many numbers it has."""
        return math.prod(self.shape(index))

    def scale(self, name: str, index: int) -> Scale:
        """Its scale and zero point.

        Raises:
            ArtefactError: it is not int8, or has not one of each.
        """
        tensor = self.tensor(index)
        if tensor.dtype != "int8" or len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
            raise refuse(name, f"tensor {tensor.name} is {tensor.dtype}", "int8 with one scale")
        return Scale(scale=tensor.scales[0], zero_point=tensor.zero_points[0])

    def constant(self, name: str, index: int, dtype: str) -> NDArray[np.generic]:
        """The data of a constant, in its shape.

        Raises:
            ArtefactError: it is computed, of another type, or of the wrong size.
        """
        tensor = self.tensor(index)
        if tensor.constant is None or tensor.dtype != dtype:
            kind = "a computed tensor" if tensor.constant is None else tensor.dtype
            raise refuse(name, f"{tensor.name} is {kind}", f"a constant of {dtype}")
        values = np.frombuffer(tensor.constant, _NUMPY[dtype])
        if values.size != self.size(index):
            raise refuse(name, f"{tensor.name} has {values.size} numbers", str(self.size(index)))
        return values.reshape(self.shape(index))

    def integers(self, name: str, index: int) -> tuple[int, ...]:
        """A constant list of int32, such as axes or sizes."""
        return tuple(int(value) for value in self.constant(name, index, "int32").ravel())

    def output_range(self, operator: GraphOperator) -> OutputRange:
        """The range of an operator's output after its fused activation.

        Raises:
            ArtefactError: the activation is none of RELU, RELU6 and RELU_N1_TO_1.

        Source: tensorflow/lite/kernels/kernel_util.cc, CalculateActivationRangeQuantized (float32 division).
        """
        activation = int(operator.options.get("fused_activation_function", 0))
        if activation not in _ACTIVATION_BOUNDS:
            raise refuse(operator.name, f"its activation is number {activation}", "RELU or RELU6")
        scale = self.scale(operator.name, operator.outputs[0])
        low, high = _ACTIVATION_BOUNDS[activation]
        return OutputRange(
            zero_point=scale.zero_point,
            lowest=-128 if low is None else max(-128, quantize(low, scale)),
            highest=127 if high is None else min(127, quantize(high, scale)),
        )


def quantize(value: float, scale: Scale) -> int:
    """The integer of a real number, not saturated; float32 division."""
    steps = np.float32(value) / np.float32(scale.scale)
    return scale.zero_point + round_half_away(float(steps))
