"""ONNX float32 bytes to int8 ones, by onnxruntime's quantizers; static is QDQ, per-channel."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.converted import Converted, IoType, Quantization
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.recipe import Activations, CalibrationMethod
from cifar_export.scratch import scratch_folder
from cifar_export.streams import quiet_conversion
from cifar_export.targets.onnx_canonical import layers_by_name
from cifar_export.targets.onnx_float import BATCH_AXIS, INPUT_NAME, OUTPUT_NAME, checked_bytes
from cifar_export.targets.onnx_weights import weight_scales
from cifar_runtime.errors import ArtefactError
from cifar_runtime.sessions.interpreters import import_onnxruntime

_CALIBRATION_BATCH = 32
_MOVING = ("Transpose", "Reshape", "Slice")  # a transposition of one channel is written as Reshape
_ARITHMETIC = {"uint8": "U8S8", "int8": "S8S8"}
_BOUNDED = " within 16-bit sums"
_LOWEST = {"int8": -128, "uint8": 0}
_COMPARED_BATCHES = 4
# Root mean square of the difference as a share of the scores' standard deviation: rounding makes some 0.4 %, sums that
# saturate 9 % and more.
_MAX_KERNEL_ERROR = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticQuantization:
    """How activations become integers.

    Attributes:
        io: what the input and the output are; all between them stays integer.
        method: how ranges follow from what calibration observed; the input's always reach 0 and 255.
        activations: what lies between the layers.
        floats: names of nodes of the prepared graph that stay in float32.
        ranges: a file that keeps calibration's ranges: written by the first quantization, read by the next ones.
        ends: the int8 quantization of input and scores, put there where their nodes are in float32; None where they
            are not.
    """

    io: IoType = "int8"
    method: CalibrationMethod = "minmax"
    activations: Activations = "uint8"
    floats: tuple[str, ...] = ()
    ranges: Path | None = None
    ends: tuple[Quantization, Quantization] | None = None


def prepared_bytes(float_model: Converted) -> bytes:
    """The float model as the quantizer takes it: its shapes known, its nodes named.

    Args:
        float_model: what :func:`cifar_export.targets.onnx_float.onnx_float32` returned.
    """
    with scratch_folder() as folder:
        source = folder / "float.onnx"
        source.write_bytes(float_model.data)
        return _prepared(source).read_bytes()


def onnx_int8(
    float_model: Converted,
    feed: RepresentativeDataset,
    static: StaticQuantization = StaticQuantization(),
    *,
    model_name: str,
    verbose: bool = False,
) -> Converted:
    """The quantized model with integer ``image`` in and integer ``scores`` out, or float32 ones.

    onnxruntime's kernels for x86 want unsigned activations: with signed ones the same network takes about twice the
    time. Weights are int8 in either case.

    Args:
        float_model: what :func:`cifar_export.targets.onnx_float.onnx_float32` returned.
        feed: calibration images, reaching 0 and 255.
        static: how activations become integers.
        model_name: for messages.
        verbose: pass the quantizer's messages on to stderr.

    Raises:
        ArtefactError: onnxruntime cannot quantize it.
    """
    bounded = static.activations == "uint8"
    made = _integer_model(
        float_model, feed, static, model_name=model_name, bounded=bounded, verbose=verbose
    )
    if not bounded and _overflows(made[0], feed, made[1]):
        bounded = True
        made = _integer_model(
            float_model, feed, static, model_name=model_name, bounded=True, verbose=verbose
        )
    # Integer scores lose nothing here: the quantizer gives softmax a range of 0..1, so a step is 1/255.
    proto, taken, given = made
    if static.io == "float32":
        _float_ends(proto, taken, given)
    elif static.io != static.activations:
        taken, given = _shifted_ends(proto, taken, given)
    return Converted(
        layers=layers_by_name(proto, float_model.layers),
        data=checked_bytes(proto, model_name=model_name),
        input=None if static.io == "float32" else taken,
        output=None if static.io == "float32" else given,
        conversion={
            **float_model.conversion,
            "quantizer": "onnxruntime.quantization.quantize_static",
            "quantization": f"QDQ, {_ARITHMETIC[static.activations]}{_BOUNDED if bounded else ''}, per-channel, "
            f"{static.method}",
        },
    )


def _integer_model(
    float_model: Converted,
    feed: RepresentativeDataset,
    static: StaticQuantization,
    *,
    model_name: str,
    bounded: bool,
    verbose: bool,
) -> tuple[Any, Quantization, Quantization]:
    """The quantized model, integer from end to end, and the quantizations of its input and output."""
    import onnx

    with scratch_folder() as folder:
        source, target = folder / "float.onnx", folder / "int8.onnx"
        source.write_bytes(float_model.data)
        with quiet_conversion(verbose=verbose), _refusal(model_name):
            _quantize(source, target, feed, static, bounded=bounded)
        proto = onnx.load_model_from_string(target.read_bytes())
    if static.ends is not None:
        _quantize_ends(proto, static.ends, static.activations)
    return (
        proto,
        _integer_input(proto, feed, static.activations),
        _integer_output(proto, model_name),
    )


def _overflows(proto: Any, feed: RepresentativeDataset, taken: Quantization) -> bool:
    """Whether onnxruntime's integer kernels compute something else than the model's own arithmetic.

    On x86 CPUs with AVX2 and without VNNI they add two products of 8 bits in 16, which saturate: layers with large
    weights and activations at once lose their sums (a GRU agreed with Keras on 68 instead of 95 % of 500 images, a
    small vision transformer on 60 instead of 96 %). Bounded weights cannot do that.
    """
    import_onnxruntime()
    import onnxruntime

    data, found = proto.SerializeToString(), []
    images = np.concatenate(list(feed.batches(_CALIBRATION_BATCH))[:_COMPARED_BATCHES])
    pixels = np.clip(np.round(images / taken.scale) + taken.zero_point, -128, 127).astype(np.int8)
    levels = onnxruntime.GraphOptimizationLevel
    for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level, options.log_severity_level = level, 4
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        rows = [session.run(None, {INPUT_NAME: one[None]})[0] for one in pixels]
        found.append(np.concatenate(rows).astype(np.float64))
    error = float(np.sqrt(np.mean(np.square(found[1] - found[0]))))
    return error > _MAX_KERNEL_ERROR * float(found[0].std())


def onnx_dynamic(float_model: Converted, *, model_name: str, verbose: bool = False) -> Converted:
    """The model with int8 weights whose activations are quantized at run time, float32 in and out.

    Its batch size is fixed to 1: DynamicQuantizeLinear takes one range for a whole batch, so an image's scores
    would depend on its neighbours.

    Args:
        float_model: what :func:`cifar_export.targets.onnx_float.onnx_float32` returned.
        model_name: for messages.
        verbose: pass the quantizer's messages on to stderr.

    Raises:
        ArtefactError: onnxruntime cannot quantize it.
    """
    import onnx

    with scratch_folder() as folder:
        source, target = folder / "float.onnx", folder / "dynamic.onnx"
        source.write_bytes(float_model.data)
        with quiet_conversion(verbose=verbose), _refusal(model_name):
            _quantize_dynamic(source, target)
        proto = onnx.load_model_from_string(target.read_bytes())
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return Converted(
        layers=layers_by_name(proto, float_model.layers),
        data=checked_bytes(proto, model_name=model_name),
        input=None,
        output=None,
        conversion={
            **float_model.conversion,
            "quantizer": "onnxruntime.quantization.quantize_dynamic",
            "quantization": "dynamic, int8 weights, per-channel; the first layer float32",
            "batch_size": 1,
        },
    )


class _Reader:
    """Calibration batches in the form that onnxruntime asks for."""

    def __init__(self, batches: Iterator[NDArray[np.float32]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT_NAME: batch}


@contextlib.contextmanager
def _refusal(model_name: str) -> Iterator[None]:
    """Turns whatever onnxruntime's quantizers raise into an error of ours."""
    try:
        yield
    except Exception as error:
        raise ArtefactError(
            f"{model_name}: onnxruntime cannot quantize it: {type(error).__name__}: {str(error)[:300]}.",
            hint="Export --format tflite, or --quantize none.",
        ) from error


def _quantize(
    source: Path,
    target: Path,
    feed: RepresentativeDataset,
    static: StaticQuantization,
    *,
    bounded: bool,
) -> None:
    import onnx

    prepared = _prepared(source)
    from onnxruntime import quantization

    graph = onnx.load(prepared).graph
    overrides = {
        **(weight_scales(graph) if bounded else {}),
        **(_exact_pixels(graph, feed, static.activations) if static.method != "minmax" else {}),
    }
    types, methods = quantization.QuantType, quantization.CalibrationMethod
    quantization.quantize_static(
        str(prepared),
        str(target),
        _Reader(feed.batches(_CALIBRATION_BATCH)),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=types.QUInt8 if static.activations == "uint8" else types.QInt8,
        weight_type=types.QInt8,
        calibrate_method={
            "minmax": methods.MinMax,
            "percentile": methods.Percentile,
            "entropy": methods.Entropy,
        }[static.method],
        per_channel=True,
        nodes_to_exclude=list(static.floats),
        extra_options={"TensorQuantOverrides": overrides} if overrides else {},
        **({} if static.ranges is None else {"calibration_cache_path": static.ranges}),
    )


def _prepared(source: Path) -> Path:
    import_onnxruntime()
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = source.with_name("prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    return prepared


def _exact_pixels(
    graph: Any, feed: RepresentativeDataset, activations: Activations
) -> dict[str, Any]:
    """The overrides that keep the input's range whole: a clipped one would merge pixel values."""
    pixels = _quantization_of_pixels(feed, activations)
    override = {
        "scale": np.array(pixels.scale, dtype=np.float32),
        "zero_point": np.array(pixels.zero_point, dtype=activations),
    }
    return {name: [override] for name in _pixel_tensors(graph)}


def _quantize_dynamic(source: Path, target: Path) -> None:
    import_onnxruntime()
    from onnxruntime import quantization

    quantization.quantize_dynamic(
        str(source),
        str(target),
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
        nodes_to_exclude=_first_linear(source),
    )


def _first_linear(source: Path) -> list[str]:
    """The name of the first convolution or matrix product, which dynamic quantization leaves in float.

    It takes pixels of all of 0..255, and U8S8 products of these saturate on CPUs with AVX2 and without VNNI
    (seed-cnn agreed with Keras on 94.6 % of 1,000 images, without its first convolution on 98.5 %).
    """
    import onnx

    nodes = onnx.load(source).graph.node
    return [node.name for node in nodes if node.op_type in ("Conv", "MatMul", "Gemm")][:1]


def _integer_input(
    proto: Any, feed: RepresentativeDataset, activations: Activations
) -> Quantization:
    """Makes the outermost QuantizeLinear the caller's work; what only moves pixels may stand before it.

    Where something else takes the pixels, such as a Resize, it gets them back from the exact integers.
    """
    graph = proto.graph
    name = _pixel_tensors(graph)[-1]
    users = _users(graph, name)
    if [node.op_type for node in users] != ["QuantizeLinear"]:
        return _dequantized_input(graph, feed, activations)
    quantization = _quantization(graph, users[0])
    _rename(graph, users[0].output[0], name)
    graph.node.remove(users[0])
    _set_type(graph.input[0], quantization.dtype)
    return quantization


def _dequantized_input(
    graph: Any, feed: RepresentativeDataset, activations: Activations
) -> Quantization:
    """Puts a DequantizeLinear behind the input; a step is exactly one of pixels."""
    import onnx

    quantization = _quantization_of_pixels(feed, activations)
    real, constants = f"{INPUT_NAME}_real", (f"{INPUT_NAME}_scale", f"{INPUT_NAME}_zero_point")
    values = (
        np.array(quantization.scale, np.float32),
        np.array(quantization.zero_point, quantization.dtype),
    )
    _rename(graph, INPUT_NAME, real)
    graph.initializer.extend(
        onnx.numpy_helper.from_array(value, key)
        for key, value in zip(constants, values, strict=True)
    )
    make = onnx.helper.make_node
    graph.node.append(make("DequantizeLinear", [INPUT_NAME, *constants], [real]))
    _set_type(graph.input[0], activations)
    return quantization


def _quantization_of_pixels(feed: RepresentativeDataset, activations: Activations) -> Quantization:
    """A step for a pixel's step."""
    zero_point = round(_LOWEST[activations] - feed.offset / feed.multiplier)
    return Quantization(scale=float(feed.multiplier), zero_point=zero_point, dtype=activations)


def _pixel_tensors(graph: Any) -> list[str]:
    """The input, and what only moves its values: transposed to NCHW, reshaped, cropped."""
    names = [INPUT_NAME]
    while True:
        users = _users(graph, names[-1])
        if len(users) != 1 or users[0].op_type not in _MOVING:
            return names
        names.append(users[0].output[0])


def _integer_output(proto: Any, model_name: str) -> Quantization:
    """Makes the outermost DequantizeLinear the caller's work."""
    graph = proto.graph
    makers = [node for node in graph.node if OUTPUT_NAME in node.output]
    if len(makers) != 1 or makers[0].op_type != "DequantizeLinear":
        raise _unexpected(model_name, "output", makers)
    quantization = _quantization(graph, makers[0])
    quantized = makers[0].input[0]
    graph.node.remove(makers[0])
    _rename(graph, quantized, OUTPUT_NAME)
    _set_type(graph.output[0], quantization.dtype)
    graph.output[0].type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
    del graph.value_info[:]
    return quantization


def _quantize_ends(
    proto: Any, ends: tuple[Quantization, Quantization], activations: Activations
) -> None:
    """Puts quantization nodes at an end that meets nodes in float32, in the integers that lie between layers."""
    graph = proto.graph
    taken, given = (one if one.dtype == activations else _shifted(one) for one in ends)
    if all(node.op_type != "QuantizeLinear" for node in _users(graph, _pixel_tensors(graph)[-1])):
        for node in graph.node:
            node.input[:] = ["image_float" if name == INPUT_NAME else name for name in node.input]
        _round_to_grid(graph, (INPUT_NAME, "image_float"), taken)
    if "DequantizeLinear" not in [
        node.op_type for node in graph.node if OUTPUT_NAME in node.output
    ]:
        _rename(graph, OUTPUT_NAME, "scores_float")
        _round_to_grid(graph, ("scores_float", OUTPUT_NAME), given)


def _round_to_grid(graph: Any, ends: tuple[str, str], quantization: Quantization) -> None:
    """Adds nodes that round one tensor to a grid, as the other."""
    import onnx

    source, target = ends
    names = [f"{target}_grid_scale", f"{target}_grid_zero_point"]
    values = (
        np.array(quantization.scale, np.float32),
        np.array(quantization.zero_point, quantization.dtype),
    )
    graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name) for value, name in zip(values, names, strict=True)
    )
    make, steps = onnx.helper.make_node, f"{target}_steps"
    graph.node.extend(
        [
            make("QuantizeLinear", [source, *names], [steps]),
            make("DequantizeLinear", [steps, *names], [target]),
        ]
    )


def _float_ends(proto: Any, taken: Quantization, given: Quantization) -> None:
    """Puts a quantization node before an integer model, and one behind it that turns scores back.

    In front of the Transpose, not behind it as the quantizer has it: there onnxruntime fuses the first convolution
    into U8S8 arithmetic, whose 16-bit sums saturate on CPUs with AVX2 and without VNNI when pixels use all of 0..255
    (seed-cnn agreed with Keras on 82.4 % of 1,000 images, so on 99.2 %).
    """
    import onnx

    graph = proto.graph
    inside = {INPUT_NAME: "image_quantized", OUTPUT_NAME: "scores_quantized"}
    for old, new in inside.items():
        _rename(graph, old, new)
    ends = []
    for name, quantization in ((INPUT_NAME, taken), (OUTPUT_NAME, given)):
        constants = {
            f"{name}_outer_scale": np.array(quantization.scale, dtype=np.float32),
            f"{name}_outer_zero_point": np.array(quantization.zero_point, dtype=quantization.dtype),
        }
        graph.initializer.extend(
            onnx.numpy_helper.from_array(value, key) for key, value in constants.items()
        )
        ends.append(list(constants))
    make = onnx.helper.make_node
    first = make("QuantizeLinear", [INPUT_NAME, *ends[0]], [inside[INPUT_NAME]])
    last = make("DequantizeLinear", [inside[OUTPUT_NAME], *ends[1]], [OUTPUT_NAME])
    graph.node.extend([first, last])  # canonical form puts them in order
    for value in (graph.input[0], graph.output[0]):
        _set_type(value, "float32")


def _shifted_ends(
    proto: Any, taken: Quantization, given: Quantization
) -> tuple[Quantization, Quantization]:
    """Makes both ends of an int8 model uint8, 128 higher, or those of a uint8 one int8; gives their quantizations.

    By integer arithmetic: onnxruntime fuses a QuantizeLinear to uint8 with the softmax before it, into one that
    rounds otherwise (183 of 200 rows of resnet8's scores were a step off).
    """
    graph = proto.graph
    inside = {INPUT_NAME: "image_inside", OUTPUT_NAME: "scores_inside"}
    for old, new in inside.items():
        _rename(graph, old, new)
    outer = _shifted(taken), _shifted(given)
    _shift(
        graph, (INPUT_NAME, inside[INPUT_NAME]), taken.zero_point - outer[0].zero_point, taken.dtype
    )
    _shift(
        graph,
        (inside[OUTPUT_NAME], OUTPUT_NAME),
        outer[1].zero_point - given.zero_point,
        outer[1].dtype,
    )
    for value, quantization in zip((graph.input[0], graph.output[0]), outer, strict=True):
        _set_type(value, quantization.dtype)
    return outer


def _shift(graph: Any, ends: tuple[str, str], by: int, dtype: str) -> None:
    """Adds nodes that take one tensor to the other, ``by`` higher, in the element type ``dtype``."""
    import onnx

    source, target = ends
    wide, moved, shift = (f"{target}_{word}" for word in ("wide", "moved", "shift"))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(by, dtype=np.int32), shift))
    make = onnx.helper.make_node
    graph.node.extend(
        [
            make("Cast", [source], [wide], to=onnx.TensorProto.INT32),
            make("Add", [wide, shift], [moved]),
            make("Cast", [moved], [target], to=_element_type(dtype)),
        ]
    )


def _shifted(inner: Quantization) -> Quantization:
    """The same real numbers in the other type of 8 bits."""
    if inner.dtype == "int8":
        return replace(inner, zero_point=inner.zero_point + 128, dtype="uint8")
    return replace(inner, zero_point=inner.zero_point - 128, dtype="int8")


def _set_type(value: Any, dtype: str) -> None:
    value.type.tensor_type.elem_type = _element_type(dtype)


def _element_type(dtype: str) -> Any:
    import onnx

    return onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def _users(graph: Any, name: str) -> list[Any]:
    return [node for node in graph.node if name in node.input]


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def _quantization(graph: Any, node: Any) -> Quantization:
    """The constants of a QuantizeLinear or DequantizeLinear."""
    from onnx import numpy_helper

    constants = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    zero_point = constants[node.input[2]]
    return Quantization(
        scale=float(constants[node.input[1]]),
        zero_point=int(zero_point),
        dtype="uint8" if zero_point.dtype == np.uint8 else "int8",
    )


def _unexpected(model_name: str, end: str, nodes: list[Any]) -> ArtefactError:
    found = ", ".join(node.op_type for node in nodes) or "nothing"
    return ArtefactError(
        f"{model_name}: the quantized model's {end} meets {found}, expected one quantization node.",
        hint="Export --format tflite.",
    )
