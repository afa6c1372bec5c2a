"""Random int8 .tflite networks, made without a converter, and TensorFlow Lite Micro's scores for them."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
_SAME, _VALID = 0, 1
# enum ActivationFunctionType: NONE, RELU, RELU_N1_TO_1, RELU6.
_ACTIVATIONS = (0, 0, 1, 2, 3)


def schema() -> Any:
    """The classes of the .tflite schema that the wheel of TensorFlow Lite Micro brings."""
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated

    return schema_py_generated


@dataclass(frozen=True, slots=True)
class Tensor:
    index: int
    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(slots=True)
class NetworkBuilder:
    """A network of one image, from its input to its output; sizes, scales and zero points are drawn."""

    random: np.random.Generator
    tensors: list[Any] = field(default_factory=list)
    buffers: list[bytes] = field(default_factory=lambda: [b""])
    operators: list[Any] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    def input(self, shape: tuple[int, ...]) -> Tensor:
        return self.tensor(shape)

    def tensor(
        self, shape: tuple[int, ...], scale: float | None = None, zero_point: int | None = None
    ) -> Tensor:
        """An int8 tensor that is computed."""
        scale = float(np.float32(self.random.uniform(0.005, 0.1) if scale is None else scale))
        if zero_point is None:
            zero_point = int(self.random.integers(-128, 128))
        index = self._add(shape, "INT8", b"", [scale], [zero_point])
        return Tensor(index, shape, scale, zero_point)

    def constant(self, values: Array, scales: list[float] | None = None, axis: int = 0) -> int:
        name = {"int8": "INT8", "int32": "INT32"}[str(values.dtype)]
        zeros = [0] * len(scales or [])
        return self._add(values.shape, name, values.tobytes(), scales or [], zeros, axis)

    def _add(
        self,
        shape: tuple[int, ...],
        kind: str,
        data: bytes,
        scales: list[float],
        zeros: list[int],
        axis: int = 0,
    ) -> int:
        tensor = schema().TensorT()
        tensor.shape, tensor.name = list(shape), f"tensor {len(self.tensors)}"
        tensor.type = getattr(schema().TensorType, kind)
        tensor.buffer = len(self.buffers) if data else 0
        if data:
            self.buffers.append(data)
        if scales:
            tensor.quantization = schema().QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = scales, zeros
            tensor.quantization.quantizedDimension = axis
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def operator(self, name: str, inputs: list[int], output: Tensor, **options: Any) -> Tensor:
        """An operator; ``options`` are those of its options table, whose class is ``options_class``."""
        operator = schema().OperatorT()
        if name not in self.codes:
            self.codes.append(name)
        operator.opcodeIndex = self.codes.index(name)
        operator.inputs, operator.outputs = inputs, [output.index]
        kind = options.pop("options_class", None)
        if kind is not None:
            operator.builtinOptionsType = getattr(schema().BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema(), f"{kind}T")()
            for key, value in options.items():
                assert hasattr(operator.builtinOptions, key), key
                setattr(operator.builtinOptions, key, value)
        self.operators.append(operator)
        return output

    def build(self, given: Tensor, result: Tensor) -> bytes:
        import flatbuffers

        s = schema()
        model, graph = s.ModelT(), s.SubGraphT()
        model.version = 3
        model.operatorCodes = []
        for name in self.codes:
            code = s.OperatorCodeT()
            code.builtinCode = getattr(s.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = 3
            model.operatorCodes.append(code)
        model.buffers = []
        for data in self.buffers:
            buffer = s.BufferT()
            buffer.data = np.frombuffer(data, np.uint8) if data else None
            model.buffers.append(buffer)
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = [given.index], [result.index]
        model.subgraphs = [graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    # -- layers, each with everything about it drawn

    def window(self, size: tuple[int, int], *, dilated: bool = False) -> dict[str, Any]:
        """Strides, padding and dilations for an image of a size."""
        dilations = self.random.integers(1, 3, 2) if dilated else np.ones(2, int)
        strides = [1, 1] if max(dilations) > 1 else self.random.integers(1, 4, 2)
        del size
        return {
            "padding": int(self.random.integers(0, 2)),
            "strides": [int(stride) for stride in strides],
            "dilations": [int(one) for one in dilations],
        }

    def conv(self, given: Tensor, *, depthwise: bool = False) -> Tensor:
        _, height, width, channels = given.shape
        kernel = [int(self.random.integers(1, min(size, 4) + 1)) for size in (height, width)]
        drawn = self.window((height, width), dilated=bool(self.random.integers(0, 4) == 0))
        drawn["dilations"] = [
            dilation if (one - 1) * dilation + 1 <= size else 1
            for one, dilation, size in zip(kernel, drawn["dilations"], (height, width), strict=True)
        ]
        multiplier = int(self.random.integers(1, 4))
        outputs = channels * multiplier if depthwise else int(self.random.integers(1, 20))
        shape = (1, *kernel, outputs) if depthwise else (outputs, *kernel, channels)
        sizes = _output_sizes((height, width), kernel, drawn)
        summands = math.prod(kernel) * (1 if depthwise else channels)
        parameters, scale = self._parameters(given, shape, outputs, summands, axis=3 * depthwise)
        options = {
            "options_class": "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions",
            "padding": drawn["padding"],
            "strideH": drawn["strides"][0],
            "strideW": drawn["strides"][1],
            "dilationHFactor": drawn["dilations"][0],
            "dilationWFactor": drawn["dilations"][1],
            "fusedActivationFunction": int(self.random.choice(_ACTIVATIONS)),
        }
        if depthwise:
            options["depthMultiplier"] = multiplier
        name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        output = self.tensor((1, *sizes, outputs), scale)
        return self.operator(name, [given.index, *parameters], output, **options)

    def _parameters(
        self, given: Tensor, shape: tuple[int, ...], outputs: int, summands: int, axis: int
    ) -> tuple[list[int], float]:
        """Weights and perhaps a bias; and an output scale that uses the range."""
        per_channel = bool(self.random.integers(0, 2)) and outputs > 1
        scales = self.random.uniform(0.001, 0.05, outputs if per_channel else 1)
        scales = [float(np.float32(scale)) for scale in scales]
        weights = self.random.integers(-127, 128, shape).astype(np.int8)
        tensors = [self.constant(weights, scales, axis)]
        if self.random.integers(0, 3):
            bias = self.random.integers(-20000, 20000, outputs).astype(np.int32)
            tensors.append(self.constant(bias, [given.scale * scale for scale in scales]))
        spread = given.scale * float(np.mean(scales)) * 100 * 73 * math.sqrt(summands) / 60
        return tensors, spread * float(self.random.uniform(0.3, 3))

    def dense(self, given: Tensor) -> Tensor:
        size, outputs = math.prod(given.shape), int(self.random.integers(1, 12))
        parameters, scale = self._parameters(given, (outputs, size), outputs, size, axis=0)
        return self.operator(
            "FULLY_CONNECTED",
            [given.index, *parameters],
            self.tensor((1, outputs), scale),
            options_class="FullyConnectedOptions",
            fusedActivationFunction=int(self.random.choice(_ACTIVATIONS)),
        )

    def pool(self, given: Tensor) -> Tensor:
        _, height, width, channels = given.shape
        kernel = [int(self.random.integers(1, min(size, 4) + 1)) for size in (height, width)]
        drawn = self.window((height, width))
        sizes = _output_sizes((height, width), kernel, drawn)
        return self.operator(
            str(self.random.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"])),
            [given.index],
            self.tensor((1, *sizes, channels), given.scale, given.zero_point),
            options_class="Pool2DOptions",
            padding=drawn["padding"],
            strideH=drawn["strides"][0],
            strideW=drawn["strides"][1],
            filterHeight=kernel[0],
            filterWidth=kernel[1],
            fusedActivationFunction=int(self.random.choice(_ACTIVATIONS)),
        )

    def combine(self, one: Tensor, other: Tensor) -> Tensor:
        """ADD or MUL of two tensors, or of one and a constant row of its channels."""
        name = str(self.random.choice(["ADD", "MUL"]))
        if self.random.integers(0, 3) == 0:
            row = self.random.integers(-128, 128, one.shape[-1:]).astype(np.int8)
            scale = float(np.float32(self.random.uniform(0.005, 0.1)))
            zero_point = int(self.random.integers(-20, 20))
            index = self._add(row.shape, "INT8", row.tobytes(), [scale], [zero_point])
            other = Tensor(index, row.shape, scale, zero_point)
        product = one.scale * other.scale * 100
        scale = product if name == "MUL" else one.scale + other.scale
        operands = [one.index, other.index]
        return self.operator(
            name,
            operands if self.random.integers(0, 2) else operands[::-1],
            self.tensor(one.shape, scale * float(self.random.uniform(0.5, 2))),
            options_class="AddOptions" if name == "ADD" else "MulOptions",
            fusedActivationFunction=int(self.random.choice(_ACTIVATIONS)),
        )

    def unary(self, given: Tensor, name: str) -> Tensor:
        ends = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
        scale, zero_point = ends.get(name, (given.scale * float(self.random.uniform(0.8, 2)), None))
        if name == "RELU6":
            scale, zero_point = given.scale, given.zero_point
        options: dict[str, Any] = {}
        if name == "LEAKY_RELU":
            alpha = float(np.float32(self.random.uniform(0.01, 0.9)))
            options = {"options_class": "LeakyReluOptions", "alpha": alpha}
        return self.operator(
            name, [given.index], self.tensor(given.shape, scale, zero_point), **options
        )

    def softmax(self, given: Tensor) -> Tensor:
        return self.operator(
            "SOFTMAX",
            [given.index],
            self.tensor(given.shape, 1 / 256, -128),
            options_class="SoftmaxOptions",
            beta=float(self.random.choice([1.0, 0.5])),
        )

    def reduce(self, given: Tensor) -> Tensor:
        name = str(self.random.choice(["MEAN", "SUM"]))
        axes = [[1, 2], [2], [3], [1, 2, 3]][int(self.random.integers(0, 4))]
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(given.shape))
        count = math.prod(given.shape[axis] for axis in axes)
        scale = given.scale * float(self.random.uniform(0.2, 1.5))
        return self.operator(
            name,
            [given.index, self.constant(np.array(axes, np.int32))],
            self.tensor(kept, scale * (math.sqrt(count) if name == "SUM" else 1)),
            options_class="ReducerOptions",
            keepDims=True,
        )

    def pad(self, given: Tensor) -> Tensor:
        amounts = np.zeros((4, 2), np.int32)
        amounts[1:] = self.random.integers(0, 3, (3, 2))
        shape = tuple(
            size + int(pair.sum()) for size, pair in zip(given.shape, amounts, strict=True)
        )
        output = self.tensor(shape, given.scale, given.zero_point)
        inputs = [given.index, self.constant(amounts)]
        return self.operator("PAD", inputs, output, options_class="PadOptions")

    def cut(self, given: Tensor) -> Tensor:
        begin = [int(self.random.integers(0, size)) for size in given.shape]
        end = [int(self.random.integers(first + 1, size + 1)) for first, size in _zip(begin, given)]
        whole = bool(self.random.integers(0, 3) == 0)
        steps = [1 if whole else int(step) for step in self.random.integers(1, 3, 4)]
        shape = tuple(
            math.ceil((last - first) / step)
            for first, last, step in zip(begin, end, steps, strict=True)
        )
        output = self.tensor(shape, given.scale, given.zero_point)
        numbers = (begin, shape) if whole else (begin, end, steps)
        lists = [self.constant(np.array(one, np.int32)) for one in numbers]
        inputs = [given.index, *lists]
        if whole:
            return self.operator("SLICE", inputs, output, options_class="SliceOptions")
        return self.operator("STRIDED_SLICE", inputs, output, options_class="StridedSliceOptions")

    def join(self, one: Tensor) -> Tensor:
        """CONCATENATION of a tensor, a pooled one of the same scale, and itself again."""
        axis = int(self.random.integers(1, 4))
        shape = tuple(3 * size if at == axis else size for at, size in enumerate(one.shape))
        return self.operator(
            "CONCATENATION",
            [one.index, self.turned(self.turned(one)).index, one.index],
            self.tensor(shape, one.scale, one.zero_point),
            options_class="ConcatenationOptions",
            axis=axis - int(self.random.integers(0, 2)) * 4,
        )

    def turned(self, given: Tensor) -> Tensor:
        """TRANSPOSE of height and width."""
        batch, height, width, channels = given.shape
        order = self.constant(np.array([0, 2, 1, 3], np.int32))
        output = self.tensor((batch, width, height, channels), given.scale, given.zero_point)
        return self.operator(
            "TRANSPOSE", [given.index, order], output, options_class="TransposeOptions"
        )

    def flat(self, given: Tensor) -> Tensor:
        shape = (1, math.prod(given.shape))
        output = self.tensor(shape, given.scale, given.zero_point)
        wanted = self.constant(np.array(shape, np.int32))
        return self.operator(
            "RESHAPE",
            [given.index, wanted],
            output,
            options_class="ReshapeOptions",
            newShape=list(shape),
        )


def _zip(begin: list[int], given: Tensor) -> Any:
    return zip(begin, given.shape, strict=True)


def _output_sizes(given: Any, kernel: Any, drawn: dict[str, Any]) -> tuple[int, ...]:
    spans = [
        (one - 1) * dilation + 1 for one, dilation in zip(kernel, drawn["dilations"], strict=True)
    ]
    return tuple(
        math.ceil((size if drawn["padding"] == _SAME else size - span + 1) / stride)
        for size, span, stride in zip(given, spans, drawn["strides"], strict=True)
    )


UNARY = ("LOGISTIC", "TANH", "HARD_SWISH", "RELU", "RELU6", "LEAKY_RELU", "QUANTIZE")
_IMAGE_LAYERS = ("conv", "depthwise", "pool", "combine", "unary", "pad", "cut", "join", "turned")


def random_network(seed: int, layers: tuple[str, ...] = _IMAGE_LAYERS) -> tuple[bytes, Tensor]:
    """A network of up to six drawn layers on an image, then two on a row; and its input."""
    random = np.random.default_rng(seed)
    network = NetworkBuilder(random)
    height, width, channels = (int(size) for size in random.integers(1, 12, 3))
    given = network.input((1, height, width, channels))
    at = given
    for layer in itertools.islice(itertools.cycle(random.permutation(list(layers))), 6):
        if math.prod(at.shape) > 4000 and layer in ("pad", "join"):
            continue
        at = _layer(network, str(layer), at)
    if random.integers(0, 2):
        at = network.reduce(at)
    at = network.dense(network.flat(at))
    result = network.softmax(at) if random.integers(0, 2) else at
    return network.build(given, result), given


def _layer(network: NetworkBuilder, layer: str, at: Tensor) -> Tensor:
    match layer:
        case "depthwise":
            return network.conv(at, depthwise=True)
        case "combine":
            return network.combine(at, network.unary(at, "QUANTIZE"))
        case "unary":
            return network.unary(at, str(network.random.choice(UNARY)))
        case _:
            result: Tensor = getattr(network, layer)(at)
            return result


def random_images(seed: int, given: Tensor, count: int) -> NDArray[np.int8]:
    """int8 inputs: all lowest, all highest, and drawn ones."""
    random = np.random.default_rng(seed)
    images = random.integers(-128, 128, (count, *given.shape[1:])).astype(np.int8)
    images[0], images[1] = -128, 127
    return images


def reference_scores(data: bytes, images: NDArray[np.int8]) -> NDArray[np.int8]:
    """What TensorFlow Lite Micro's reference kernels give: int8, shape (n, scores)."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(data, arena_size=2_000_000)
    rows = []
    for image in images:
        interpreter.set_input(image[None], 0)
        interpreter.invoke()
        rows.append(interpreter.get_output(0).ravel().copy())
    return np.array(rows)


def reference_tensors(data: bytes, image: NDArray[np.int8]) -> Callable[[int], NDArray[np.int8]]:
    """What every tensor holds after an image, by its index, with TensorFlow Lite Micro's reference kernels."""
    from tflite_micro.python.tflite_micro import runtime

    keep = runtime.InterpreterConfig.kPreserveAllTensors
    interpreter = runtime.Interpreter.from_bytes(
        data, arena_size=2_000_000, intrepreter_config=keep
    )
    interpreter.set_input(image[None], 0)
    interpreter.invoke()
    return lambda index: np.asarray(interpreter.GetTensor(index, 0)["tensor_data"]).ravel()
