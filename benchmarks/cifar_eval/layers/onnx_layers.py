"""Reads every intermediate tensor of an .onnx model: the onnx package makes them outputs, onnxruntime runs it.

Graph optimizations are off, since they would fuse layers away; a QDQ model then computes in float
between its quantized tensors, which onnxruntime's integer kernels may miss by an integer step.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.layers.layer_errors import Layer
from cifar_runtime.artefact import Artefact
from cifar_runtime.contract import OutputContract
from cifar_runtime.errors import ArtefactError, MissingDependencyError
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.install_hints import install_hint
from cifar_runtime.plain_text import reason_of
from cifar_runtime.sessions.interpreters import import_onnxruntime
from cifar_runtime.sessions.ort import native_session
from cifar_runtime.system.native_stderr import filtered_native_stderr

# They move or convert numbers: their output has no error of its own.
_MOVING = frozenset(
    {"Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape"}
    | {"Slice", "Gather", "Concat", "Pad", "Constant", "ConstantOfShape", "Split"}
)
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
ACTIVATIONS = frozenset({"Relu", "Clip", "LeakyRelu"})
"""What quantizers fuse with the layer before it."""
_FUSABLE = _WEIGHTED | ACTIVATIONS | {"Add"}
_INT32 = 6  # onnx.TensorProto.INT32, without onnx
_CONVERTING = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})


class OnnxTrace:
    """The layers of an .onnx artefact; see :class:`cifar_eval.layers.layer_errors.Trace`."""

    def __init__(self, artefact: Artefact) -> None:
        """Opens the model with all its tensors as outputs.

        Raises:
            ArtefactError: onnxruntime cannot open it.
            MissingDependencyError: onnx or onnxruntime is not installed.
        """
        onnx = _imported(artefact)
        self._path = artefact.path
        self._output = artefact.contract.output
        self._table = input_table(artefact.contract.input)
        try:
            model = onnx.load_model_from_string(artefact.data)
            self._is_float32 = _is_float32(model, onnx)
            self._sources = _layer_sources(model.graph)
            self._outputs = {output.name for output in model.graph.output}
            self._input = model.graph.input[0].name
            self._session = _open_session(model, list(self._sources.values()), onnx)
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
    def has_stable_names(self) -> bool:
        """Exports number their tensors anew, so a name says nothing of another file."""
        return False

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
    """For each layer, in the order of execution, the tensor that holds its output as others see it.

    A layer is a computing operator with the bias and the activation function that follow it, since
    quantizers fuse these. Its output is what comes out of the last of them, or out of the pair that
    quantizes and dequantizes that; at the end of an integer model it is the integer output itself.
    """
    wiring = _Wiring(graph)
    sources: dict[Layer, str] = {}
    fused: set[str] = set()
    for node in graph.node:
        if node.op_type in _MOVING or node.op_type in _CONVERTING or node.output[0] in fused:
            continue
        if wiring.shifts_integers(node):
            continue
        last = node
        while (follower := wiring.fusable_follower(last)) is not None:
            last = follower
            fused.add(last.output[0])
        name, source = wiring.seen_output(last.output[0])
        operator = "Gemm" if node.op_type == "MatMul" else node.op_type
        layer = Layer(name=name, operator=operator, shape=wiring.weight_shape(node))
        sources[layer] = source
    return sources


def takes_bias(node: Any) -> bool:
    """Whether an addition behind the node can be its bias: it has weights, and no bias yet."""
    return node.op_type in _WEIGHTED and len(node.input) < 3


class _Wiring:
    """Who makes and who takes each tensor of a graph."""

    def __init__(self, graph: Any) -> None:
        self._outputs = {output.name for output in graph.output}
        self._constants = {value.name: tuple(value.dims) for value in graph.initializer}
        self._whole_numbers = {
            value.name
            for value in graph.initializer
            if value.data_type == _INT32 and not value.dims
        }
        self._takers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self._takers.setdefault(name, []).append(node)
            if node.op_type == "DequantizeLinear" and node.input[0] in self._constants:
                self._constants[node.output[0]] = self._constants[node.input[0]]

    def seen_output(self, name: str) -> tuple[str, str]:
        """What to call the layer that gives ``name``, and the tensor that others see of it."""
        quantized = self._output_of(name, "QuantizeLinear")
        if quantized is None:
            return name, name
        end = self._end_of(quantized)
        if end in self._outputs:
            return end, end
        return name, self._output_of(quantized, "DequantizeLinear") or name

    def shifts_integers(self, node: Any) -> bool:
        """Whether it adds a number to integers, as between a model of uint8 and its int8 ends."""
        return node.op_type == "Add" and any(name in self._whole_numbers for name in node.input)

    def _end_of(self, name: str) -> str:
        """What an integer tensor is called after it is cast and shifted."""
        takers = self._takers.get(name, [])
        while len(takers) == 1 and (takers[0].op_type == "Cast" or self.shifts_integers(takers[0])):
            name = takers[0].output[0]
            takers = self._takers.get(name, [])
        return name

    def fusable_follower(self, node: Any) -> Any | None:
        """The bias or activation function that alone takes the node's output; None for others."""
        _, source = self.seen_output(node.output[0])
        takers = self._takers.get(source, [])
        if len(takers) != 1 or source in self._outputs or node.op_type not in _FUSABLE:
            return None
        (taker,) = takers
        is_bias = (
            takes_bias(node)
            and taker.op_type == "Add"
            and any(name in self._constants for name in taker.input)
        )
        return taker if is_bias or taker.op_type in ACTIVATIONS else None

    def weight_shape(self, node: Any) -> tuple[int, ...]:
        """The sizes of the node's weights, sorted, since quantizers transpose them; () without."""
        if node.op_type not in _WEIGHTED or len(node.input) < 2:
            return ()
        return tuple(sorted(self._constants.get(node.input[1], ())))

    def _output_of(self, name: str, operator: str) -> str | None:
        for node in self._takers.get(name, []):
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


def _open_session(model: Any, names: list[str], onnx: Any) -> Any:
    present = {output.name for output in model.graph.output}
    model.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in names if name not in present
    )
    return native_session(model.SerializeToString(), graph_optimization="none")


def _imported(artefact: Artefact) -> Any:
    try:
        with filtered_native_stderr():
            import onnx
        import_onnxruntime()
    except ImportError as error:
        raise MissingDependencyError(
            f"{artefact.path}: reading its layers needs onnx and onnxruntime: {reason_of(error)}.",
            hint=install_hint("export"),
        ) from error
    return onnx


def _unreadable(path: object, error: Exception) -> ArtefactError:
    return ArtefactError(
        f"{path}: its intermediate tensors cannot be read: {reason_of(error)}.",
        hint="Compare without -v.",
    )
