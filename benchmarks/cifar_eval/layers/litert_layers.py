"""Reads every intermediate tensor of a .tflite model through LiteRT's own kernels.

The interpreter keeps all tensors and runs without XNNPACK, which would fuse layers away; its
kernels may differ from XNNPACK's by a few integer steps.
"""

from collections.abc import Container, Mapping

import numpy as np
from numpy.typing import NDArray

from cifar_eval.layers.layer_errors import Layer
from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.graph import Graph
from cifar_runtime.formats.tflite_graph import tflite_graph
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.plain_text import reason_of
from cifar_runtime.sessions.litert_tensors import open_with_all_tensors

# They move or convert numbers: their output has no error of its own.
_MOVING = frozenset(
    {"QUANTIZE", "DEQUANTIZE", "CAST", "RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "SHAPE"}
    | {"STRIDED_SLICE", "SLICE", "PACK", "UNPACK", "GATHER", "PAD", "PADV2", "SPLIT"}
)


class LiteRTTrace:
    """The layers of a .tflite artefact; see :class:`cifar_eval.layers.layer_errors.Trace`."""

    def __init__(self, artefact: Artefact) -> None:
        """Opens the model with all its tensors kept.

        Raises:
            ArtefactError: LiteRT cannot open it.
            MissingDependencyError: LiteRT is not installed.
        """
        self._path = artefact.path
        self._interpreter = open_with_all_tensors(artefact)
        self._table = input_table(artefact.contract.input)
        self._input_index = self._interpreter.get_input_details()[0]["index"]
        self._details = {
            tensor["index"]: tensor for tensor in self._interpreter.get_tensor_details()
        }
        self._layers = _layers_from_graph(tflite_graph(artefact.data), self._details)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The operators that compute, in the order of execution."""
        return tuple(layer for _, layer in self._layers)

    @property
    def is_float32(self) -> bool:
        """Whether no tensor has a scale or half precision."""
        return not any(
            len(tensor["quantization_parameters"]["scales"]) or tensor["dtype"] == np.float16
            for tensor in self._details.values()
        )

    @property
    def has_stable_names(self) -> bool:
        """The converter names tensors by their Keras layers, quantized or not."""
        return True

    @property
    def channel_axis(self) -> int:
        """NHWC: the last."""
        return -1

    def activations(self, image: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float64]]:
        """The output of every layer by its name, in real units; ``image`` is (1, height, width, 3)."""
        try:
            self._interpreter.set_tensor(self._input_index, np.take(self._table, image))
            self._interpreter.invoke()
            return {layer.name: self._real(index) for index, layer in self._layers}
        except (RuntimeError, ValueError) as error:
            raise ArtefactError(
                f"{self._path}: LiteRT cannot read its intermediate tensors: {reason_of(error)}.",
                hint="Compare without -v.",
            ) from error

    def _real(self, index: int) -> NDArray[np.float64]:
        """The tensor in real units, by its one scale or by one for each channel."""
        values = self._interpreter.get_tensor(index).astype(np.float64)
        parameters = self._details[index]["quantization_parameters"]
        scales, zero_points = parameters["scales"], parameters["zero_points"]
        if not len(scales):
            return np.asarray(values)
        if len(scales) > 1:
            along = [1] * values.ndim
            along[parameters["quantized_dimension"]] = len(scales)
            scales, zero_points = scales.reshape(along), zero_points.reshape(along)
        return np.asarray((values - zero_points) * scales.astype(np.float64))


def _layers_from_graph(graph: Graph, main: Container[int]) -> tuple[tuple[int, Layer], ...]:
    """The computing operators of the main graph, each with the index of its first output.

    Args:
        graph: the whole file.
        main: indices of the main graph's tensors.
    """
    layers = []
    for operator in graph.operators:
        if operator.name not in _MOVING and operator.outputs and operator.outputs[0] in main:
            output = graph.tensors[operator.outputs[0]]
            sizes = tuple(1 if size is None else size for size in (output.shape or ())[1:])
            layer = Layer(name=output.name, operator=operator.name, shape=sizes)
            layers.append((operator.outputs[0], layer))
    return tuple(layers)
