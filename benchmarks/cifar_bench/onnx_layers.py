"""Reads every intermediate tensor of an .onnx model: the onnx package makes them outputs, onnxruntime runs it.

Graph optimizations are off, since they would fuse layers away; a QDQ model then computes in float
between its quantized tensors, which onnxruntime's integer kernels may miss by an integer step.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_bench.layer_error import Layer
from cifar_runtime.artefact import Artefact
from cifar_runtime.chatter import without_chatter
from cifar_runtime.contract import OutputContract
from cifar_runtime.errors import ArtefactError, MissingDependencyError
from cifar_runtime.preprocess import input_table

# They move or convert numbers: their output has no error of its own.
_MOVING = frozenset(
    {"Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape"}
    | {"Slice", "Gather", "Concat", "Pad", "Constant", "ConstantOfShape", "Split"}
)
_CONVERTING = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
_FATAL_ONLY = 4


class OnnxTrace:
    """The layers of an .onnx artefact; see :class:`cifar_bench.layer_error.Trace`."""

    def __init__(self, artefact: Artefact) -> None:
        """Opens the model with all its tensors as outputs.

        Raises:
            ArtefactError: onnxruntime cannot open it.
            MissingDependencyError: onnx or onnxruntime is not installed.
        """
        onnx, onnxruntime = _imported(artefact)
        self._path = artefact.path
        self._output = artefact.contract.output
        self._table = input_table(artefact.contract.input)
        try:
            model = onnx.load_model_from_string(artefact.data)
            self._is_float32 = _is_float32(model, onnx)
            self._sources = _layer_sources(model.graph)
            self._outputs = {output.name for output in model.graph.output}
            self._input = model.graph.input[0].name
            self._session = _open_session(model, list(self._sources.values()), onnx, onnxruntime)
        except Exception as error:  # onnx and onnxruntime raise a dozen unrelated classes
            raise _unreadable(artefact.path, error) from error

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The operators that compute, in the order of execution."""
        return tuple(self._sources)

    @property
    def is_float32(self) -> bool:
        """Whether no operator quantizes and no weight is an integer or of half precision."""
        return self._is_float32

    @property
    def channel_axis(self) -> int:
        """NCHW: the second."""
        return 1

    def activations(self, image: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float64]]:
        """The output of every layer by its name, in real units; ``image`` is (1, height, width, 3)."""
        names = list(self._sources.values())
        try:
            values = self._session.run(names, {self._input: np.take(self._table, image)})
        except Exception as error:
            raise _unreadable(self._path, error) from error
        return {
            layer.name: self._real(value, name)
            for (layer, name), value in zip(self._sources.items(), values, strict=True)
        }

    def _real(self, value: NDArray[Any], name: str) -> NDArray[np.float64]:
        real = value.astype(np.float64)
        return _dequantized(real, self._output) if name in self._outputs else real


def _dequantized(values: NDArray[np.float64], output: OutputContract) -> NDArray[np.float64]:
    if output.scale is None or output.zero_point is None:
        return values
    return np.asarray((values - output.zero_point) * output.scale)


def _layer_sources(graph: Any) -> dict[Layer, str]:
    """For each computing operator the tensor that holds its output as later operators see it.

    That is the output itself, or what comes out when it is quantized and dequantized again; at the
    end of an integer model it is the graph's integer output.
    """
    takers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)
    outputs = {output.name for output in graph.output}
    sources: dict[Layer, str] = {}
    for node in graph.node:
        if node.op_type in _MOVING or node.op_type in _CONVERTING:
            continue
        name = source = node.output[0]
        quantized = _output_of(takers, name, "QuantizeLinear")
        if quantized in outputs:
            name = source = quantized or name
        elif quantized is not None:
            source = _output_of(takers, quantized, "DequantizeLinear") or source
        sources[Layer(name=name, operator=node.op_type)] = source
    return sources


def _output_of(takers: Mapping[str, list[Any]], name: str, operator: str) -> str | None:
    for node in takers.get(name, []):
        if node.op_type == operator:
            return str(node.output[0])
    return None


def _is_float32(model: Any, onnx: Any) -> bool:
    narrow = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT16}
    converts = any(
        node.op_type in _CONVERTING or "Integer" in node.op_type for node in model.graph.node
    )
    return not converts and not any(
        weight.data_type in narrow for weight in model.graph.initializer
    )


def _open_session(model: Any, names: list[str], onnx: Any, onnxruntime: Any) -> Any:
    present = {output.name for output in model.graph.output}
    model.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in names if name not in present
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    with without_chatter():
        return onnxruntime.InferenceSession(
            model.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
        )


def _imported(artefact: Artefact) -> tuple[Any, Any]:
    # Read at import: without it onnxruntime starts a thread, writes to ~/.cache and calls home.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        with without_chatter():
            import onnx
            import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"{artefact.path}: reading its layers needs onnx and onnxruntime: {error}.",
            hint="Run: pip install 'cifar-edge[export]'",
        ) from error
    return onnx, onnxruntime


def _unreadable(path: object, error: Exception) -> ArtefactError:
    reason = " ".join(str(error).split())[:300]
    return ArtefactError(
        f"{path}: its intermediate tensors cannot be read: {reason}.", hint="Compare without -v."
    )
