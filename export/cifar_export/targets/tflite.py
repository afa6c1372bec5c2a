"""Folded Keras models to TensorFlow Lite bytes, and what those bytes really hold, read back from the flatbuffer."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.converted import Converted, IoType, Quantization
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.keras_graph.trace import with_batch_size
from cifar_export.streams import quiet_conversion
from cifar_export.targets.layer_forms import in_integer_forms
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.graph import Graph, GraphTensor
from cifar_runtime.formats.tflite_graph import tflite_graph

_ATTEMPTS = 5


def tflite_float32(model: Any, *, verbose: bool = False) -> Converted:
    """A float32 TensorFlow Lite file of a folded functional model, static batch size 1.

    Raises:
        ArtefactError: the model has an operator that TensorFlow Lite lacks.
    """
    return _converted(_convert(_converter(model), model, verbose=verbose))


def tflite_float16(model: Any, *, verbose: bool = False) -> Converted:
    """A TensorFlow Lite file with float16 weights, float32 in and out, static batch size 1.

    Raises:
        ArtefactError: the model has an operator that TensorFlow Lite lacks.
    """
    import tensorflow as tf

    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return _converted(_convert(converter, model, verbose=verbose))


def tflite_dynamic(model: Any, *, verbose: bool = False) -> Converted:
    """A TensorFlow Lite file with int8 weights whose activations are quantized at run time, float32 in and out.

    Raises:
        ArtefactError: the model has an operator that TensorFlow Lite lacks.
    """
    import tensorflow as tf

    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return _converted(_convert(converter, model, verbose=verbose))


def tflite_int8(
    model: Any,
    feed: RepresentativeDataset,
    *,
    io: IoType = "int8",
    verbose: bool = False,
) -> Converted:
    """A fully integer TensorFlow Lite file: per-channel weights, builtin int8 operators only.

    Args:
        model: a folded functional model.
        feed: calibration images; they must reach 0 and 255, so that an int8 input is exactly pixel - 128, a uint8 one
            the pixel.
        io: what the input and the output are; all between them stays int8.
        verbose: pass the converter's messages on to stderr.

    Raises:
        ArtefactError: an operator has no int8 form.
    """
    import tensorflow as tf

    converter = _calibrated_converter(model, feed)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = getattr(tf, io)
    return _integer(converter, model, float_io=io == "float32", verbose=verbose)


def tflite_int16x8(model: Any, feed: RepresentativeDataset, *, verbose: bool = False) -> Converted:
    """A TensorFlow Lite file with int8 weights and int16 activations, float32 in and out.

    The arguments and errors are those of :func:`tflite_int8`.
    """
    import tensorflow as tf

    converter = _calibrated_converter(model, feed)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]
    return _integer(converter, model, float_io=True, verbose=verbose)


def tflite_calibrated(model: Any, feed: RepresentativeDataset) -> bytes:
    """A float32 file that holds the ranges of its tensors, for :func:`tflite_partly_int8`.

    The arguments and errors are those of :func:`tflite_int8`.
    """
    import tensorflow as tf

    converter = _calibrated_converter(model, feed)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter._experimental_calibrate_only = True
    return _convert(converter, model, verbose=False)


def tflite_partly_int8(
    calibrated: bytes, floats: Sequence[str], *, io: IoType, model_name: str
) -> Converted:
    """A TensorFlow Lite file as :func:`tflite_int8` makes it, but for some operators.

    Args:
        calibrated: what :func:`tflite_calibrated` returned.
        floats: names of the first outputs of the operators that stay in float32.
        io: what the input and the output are.
        model_name: for the message.

    Raises:
        ArtefactError: TensorFlow Lite cannot quantize it so.
    """
    import tensorflow as tf

    # tf.lite.experimental.QuantizationDebugger calls this, but has float32 ends and per-channel dense layers alone.
    from tensorflow.lite.python.convert import mlir_quantize

    with quiet_conversion():
        try:
            data = mlir_quantize(
                calibrated,
                input_data_type=getattr(tf, io),
                output_data_type=getattr(tf, io),
                denylisted_nodes=list(floats) or None,
                disable_per_channel_for_dense_layers=True,
            )
        except Exception as error:
            raise ArtefactError(
                f"{model_name}: TensorFlow Lite cannot mix int8 and float32: {_reason(error)}.",
                hint="Leave --repair out.",
            ) from error
    return _converted(bytes(data))


def _calibrated_converter(model: Any, feed: RepresentativeDataset) -> Any:
    import tensorflow as tf

    def batches() -> Iterator[list[NDArray[np.float32]]]:
        for image in feed.batches(1):
            yield [image]

    converter = _converter(in_integer_forms(model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = batches
    # TFLite Micro before September 2024 misreads per-channel FULLY_CONNECTED; per-tensor costs no accuracy here.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return converter


def _integer(converter: Any, model: Any, *, float_io: bool, verbose: bool) -> Converted:
    """The file that a converter makes of integers alone.

    TensorFlow's quantizer leaves an LSTM's SPLIT in float now and then, of one model in one process (2 conversions of
    12), and what has no integer form always: so a file with floats is made again a few times.
    """
    for attempts_left in reversed(range(_ATTEMPTS)):
        converted = _converted(_convert(converter, model, verbose=verbose))
        content = tflite_graph(converted.data)
        if attempts_left and "SPLIT" in _float_operators(content):
            continue
        refuse_float(content, model_name=model.name, float_io=float_io)
        break
    return converted


def _converted(data: bytes) -> Converted:
    content = tflite_graph(data)
    return Converted(
        data=data,
        input=_io_quantization(content.tensors[content.inputs[0]]),
        output=_io_quantization(content.tensors[content.outputs[0]]),
        conversion={
            "converter": "tf.lite.TFLiteConverter.from_keras_model",
            "batch_size": 1,
            "operators": [operator.name for operator in content.operators],
        },
    )


def _converter(model: Any) -> Any:
    import tensorflow as tf

    # from_concrete_functions drops a Keras 3 model's weights without a word: from_keras_model only.
    return tf.lite.TFLiteConverter.from_keras_model(with_batch_size(model, 1))


def _convert(converter: Any, model: Any, *, verbose: bool) -> bytes:
    with quiet_conversion(verbose=verbose):
        try:
            return bytes(converter.convert())
        except Exception as error:
            raise ArtefactError(
                f"{model.name}: TensorFlow Lite cannot convert it: {_reason(error)}.",
                hint="Replace the operator it names, or export --format onnx; -v shows the converter's messages.",
            ) from error


def _reason(error: Exception) -> str:
    """The operator that has no translation, as the converter's pages of text name it, or their first line."""
    operators = sorted(set(re.findall(r"'(tf\.\w+)' op is neither", str(error))))
    if operators:
        return f"it has no form of {', '.join(operators)}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")


def refuse_float(content: Graph, *, model_name: str, float_io: bool = False) -> None:
    """Checks that a file computes with integers only.

    Args:
        content: of the file.
        model_name: for the message.
        float_io: its input and output may be floats.

    Raises:
        ArtefactError: an operator is not a builtin, or a tensor is a float.
    """
    foreign = [one.name for one in content.operators if one.name.startswith("CUSTOM:")]
    ends = {content.inputs[0], content.outputs[0]} if float_io else set()
    names = {content.tensors[index].name for index in ends}
    floats = [
        tensor.name
        for tensor in content.tensors
        if tensor.dtype.startswith("float") and tensor.name not in names
    ]
    if foreign or floats:
        suspects = [*foreign, *_float_operators(content)]
        what = f"operator {suspects[0]}" if suspects else f"float tensor '{floats[0]}'"
        raise ArtefactError(
            f"{model_name}: its int8 file holds the {what}, expected integer builtins only.",
            hint="Replace that layer, or export --quantize none.",
        )


def _float_operators(content: Graph) -> list[str]:
    """The operators that compute on floats."""
    return [
        operator.name
        for operator in content.operators
        if operator.name not in ("QUANTIZE", "DEQUANTIZE")
        and any(
            content.tensors[index].dtype.startswith("float")
            for index in (*operator.inputs, *operator.outputs)
            if index >= 0
        )
    ]


def _io_quantization(tensor: GraphTensor) -> Quantization | None:
    if tensor.dtype == "float32" or not len(tensor.scales) == len(tensor.zero_points) == 1:
        return None
    return Quantization(
        scale=tensor.scales[0],
        zero_point=tensor.zero_points[0],
        dtype="uint8" if tensor.dtype == "uint8" else "int8",
    )
