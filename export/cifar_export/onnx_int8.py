"""ONNX float32 bytes to fully integer ones, by onnxruntime's static quantization (QDQ, S8S8, per-channel)."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.converted import Converted, Quantization
from cifar_export.onnx_float import BATCH_AXIS, INPUT_NAME, OUTPUT_NAME, checked_bytes
from cifar_export.streams import quiet_conversion
from cifar_runtime.errors import ArtefactError

_CALIBRATION_BATCH = 32


def onnx_int8(
    float_model: Converted,
    calibration: NDArray[np.uint8],
    *,
    multiplier: float,
    offset: float,
    model_name: str,
    verbose: bool = False,
) -> Converted:
    """The quantized model with int8 ``image`` in and int8 ``scores`` out.

    Args:
        float_model: what :func:`cifar_export.onnx_float.onnx_float32` returned.
        calibration: uint8, shape (n, height, width, 3), RGB, reaching 0 and 255.
        multiplier: what the contract multiplies pixels by.
        offset: what it adds then.
        model_name: for messages.
        verbose: pass the quantizer's messages on to stderr.

    Raises:
        ArtefactError: onnxruntime cannot quantize it.
    """
    import onnx

    with tempfile.TemporaryDirectory(prefix="cifar-export-") as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(float_model.data)
        with quiet_conversion(verbose=verbose):
            try:
                _quantize(source, target, _batches(calibration, multiplier, offset))
            except Exception as error:
                raise ArtefactError(
                    f"{model_name}: onnxruntime cannot quantize it: {type(error).__name__}: {str(error)[:300]}.",
                    hint="Export --format tflite, or --quantize none.",
                ) from error
        proto = onnx.load_model_from_string(target.read_bytes())
    # Integer scores lose nothing here: the quantizer gives softmax a range of 0..1, so a step is 1/255.
    taken, given = _integer_input(proto, model_name), _integer_output(proto, model_name)
    return Converted(
        data=checked_bytes(proto, model_name=model_name),
        input=taken,
        output=given,
        conversion={
            **float_model.conversion,
            "quantizer": "onnxruntime.quantization.quantize_static",
            "quantization": "QDQ, S8S8, per-channel, MinMax",
        },
    )


class _Reader:
    """Calibration batches in the form that onnxruntime asks for."""

    def __init__(self, batches: Iterator[NDArray[np.float32]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT_NAME: batch}


def _batches(
    calibration: NDArray[np.uint8], multiplier: float, offset: float
) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(calibration), _CALIBRATION_BATCH):
        images = calibration[start : start + _CALIBRATION_BATCH].astype(np.float64)
        yield (images * multiplier + offset).astype(np.float32)


def _quantize(source: Path, target: Path, batches: Iterator[NDArray[np.float32]]) -> None:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime looks up a host at import otherwise
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = source.with_name("prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(prepared),
        str(target),
        _Reader(batches),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        calibrate_method=quantization.CalibrationMethod.MinMax,
        per_channel=True,
    )


def _integer_input(proto: Any, model_name: str) -> Quantization:
    """Makes the outermost QuantizeLinear the caller's work; one Transpose to NCHW may stand before it."""
    import onnx

    graph = proto.graph
    name = INPUT_NAME
    users = _users(graph, name)
    if [node.op_type for node in users] == ["Transpose"]:
        name = users[0].output[0]
        users = _users(graph, name)
    if [node.op_type for node in users] != ["QuantizeLinear"]:
        raise _unexpected(model_name, "input", users)
    quantization = _quantization(graph, users[0])
    _rename(graph, users[0].output[0], name)
    graph.node.remove(users[0])
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT8
    return quantization


def _integer_output(proto: Any, model_name: str) -> Quantization:
    """Makes the outermost DequantizeLinear the caller's work."""
    import onnx

    graph = proto.graph
    makers = [node for node in graph.node if OUTPUT_NAME in node.output]
    if len(makers) != 1 or makers[0].op_type != "DequantizeLinear":
        raise _unexpected(model_name, "output", makers)
    quantization = _quantization(graph, makers[0])
    quantized = makers[0].input[0]
    graph.node.remove(makers[0])
    _rename(graph, quantized, OUTPUT_NAME)
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT8
    graph.output[0].type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
    del graph.value_info[:]
    return quantization


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
    return Quantization(
        scale=float(constants[node.input[1]]), zero_point=int(constants[node.input[2]])
    )


def _unexpected(model_name: str, end: str, nodes: list[Any]) -> ArtefactError:
    found = ", ".join(node.op_type for node in nodes) or "nothing"
    return ArtefactError(
        f"{model_name}: the quantized model's {end} meets {found}, expected one quantization node.",
        hint="Export --format tflite.",
    )
