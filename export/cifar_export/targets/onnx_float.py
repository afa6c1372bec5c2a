"""Folded Keras models to ONNX float32 and float16 bytes, checked by onnx.checker."""

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cifar_export.converted import Converted
from cifar_export.streams import quiet_conversion
from cifar_export.targets.layer_forms import in_onnx_forms
from cifar_export.targets.onnx_canonical import canonical, layers_by_name
from cifar_export.targets.onnx_pooling import use_global_average_pool
from cifar_runtime.errors import ArtefactError
from cifar_runtime.sessions.interpreters import import_onnxruntime

_PLACE_OF_AXES = 3  # among Pad's inputs
_NEVER_NEGATIVE = ("Relu", "Sigmoid", "Softmax")
OPSET = 18  # the newest that tf2onnx 1.17 writes
INPUT_NAME = "image"
OUTPUT_NAME = "scores"
BATCH_AXIS = "batch"


def onnx_float32(model: Any, *, verbose: bool = False) -> Converted:
    """An ONNX file of a folded functional model: ``image`` NHWC float32 in, ``scores`` out, any batch size.

    Raises:
        ArtefactError: the model has an operator that ONNX or tf2onnx lacks.
    """
    with quiet_conversion(verbose=verbose), _tf2onnx_silenced(verbose=verbose):
        try:
            proto = _convert(model)
        except Exception as error:
            raise ArtefactError(
                f"{model.name}: tf2onnx cannot convert it: {type(error).__name__}: {str(error)[:300]}.",
                hint="Replace the layer it names, or export --format tflite; -v shows the converter's messages.",
            ) from error
    return Converted(
        layers=layers_by_name(proto),
        data=checked_bytes(proto, model_name=model.name),
        input=None,
        output=None,
        conversion={"converter": "tf2onnx.convert.from_function", "opset": OPSET},
    )


def onnx_float16(float_model: Converted, *, model_name: str, verbose: bool = False) -> Converted:
    """An ONNX file with float16 weights and arithmetic, float32 in and out.

    Args:
        float_model: what :func:`onnx_float32` returned.
        model_name: for messages.
        verbose: pass the converter's messages on to stderr.

    Raises:
        ArtefactError: onnx.checker refuses the result.
    """
    import onnx

    import_onnxruntime()
    from onnxruntime.transformers.float16 import convert_float_to_float16

    proto = onnx.load_model_from_string(float_model.data)
    with quiet_conversion(verbose=verbose):
        proto = convert_float_to_float16(proto, keep_io_types=True)
    return Converted(
        layers=layers_by_name(proto, float_model.layers),
        data=checked_bytes(proto, model_name=model_name),
        input=None,
        output=None,
        conversion={
            **float_model.conversion,
            "quantizer": "onnxruntime.transformers.float16.convert_float_to_float16",
        },
    )


def checked_bytes(proto: Any, *, model_name: str) -> bytes:
    """The serialized model in canonical form, after onnx.checker with shape inference.

    Raises:
        ArtefactError: the checker refuses it.
    """
    import onnx

    proto = canonical(proto)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ArtefactError(
            f"{model_name}: onnx.checker refuses the conversion: {_reason(error)}.",
            hint="Replace the operator it names, or export --format tflite.",
        ) from error
    return bytes(proto.SerializeToString(deterministic=True))


def _reason(error: Exception) -> str:
    """The operator that ONNX lacks, or the checker's words on one line."""
    words = " ".join(str(error).split())
    unknown = re.search(r"No Op registered for (\w+)", words)
    return f"it has no operator {unknown[1]}" if unknown else words[:300].rstrip(".")


def _convert(model: Any) -> Any:
    import tensorflow as tf
    import tf2onnx

    model = in_onnx_forms(model)
    # A module holds the weights, so that tf2onnx freezes them into initializers.
    shape = (None, *model.inputs[0].shape[1:])
    signature = [tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def scores(image: Any) -> Any:
        return tf.identity(model(image, training=False), name=OUTPUT_NAME)

    proto, _ = tf2onnx.convert.from_function(scores, input_signature=signature, opset=OPSET)
    _keep_sizes(proto.graph)
    _keep_zeros(proto.graph)
    return use_global_average_pool(_renamed(proto))


def _keep_sizes(graph: Any) -> None:
    """Lets each Resize by a fraction give the size that Keras gives: the product of both is rounded down."""
    from onnx import numpy_helper

    constants = {value.name: value for value in graph.initializer}
    for node in graph.node:
        if node.op_type == "Resize" and len(node.input) > 2 and node.input[2] in constants:
            constant = constants[node.input[2]]
            scales = numpy_helper.to_array(constant)
            larger = np.where(scales % 1 == 0, scales, np.nextafter(scales, np.float32(np.inf)))
            constant.CopyFrom(numpy_helper.from_array(larger.astype(np.float32), constant.name))


def _keep_zeros(graph: Any) -> None:
    """Keeps onnxruntime from making zeros around an image a maximum's own padding, which loses against negative values.

    It leaves those alone that name their axes. Where nothing is negative, both are the same.
    """
    from onnx import numpy_helper

    constants = {value.name: value for value in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type != "MaxPool":
            continue
        pad = _maker(makers, node)
        if pad is None or pad.op_type != "Pad" or pad.input[1] not in constants:
            continue
        before = _maker(makers, pad)
        if before is not None and before.op_type in _NEVER_NEGATIVE:
            continue
        axes = np.arange(constants[pad.input[1]].dims[0] // 2, dtype=np.int64)
        name = f"{pad.output[0]}_axes"
        graph.initializer.append(numpy_helper.from_array(axes, name))
        pad.input.extend([""] * (_PLACE_OF_AXES - len(pad.input)))
        pad.input.append(name)


def _maker(makers: Mapping[str, Any], node: Any) -> Any | None:
    """What gives the node's first input, but for transpositions; None for the model's input."""
    maker = makers.get(node.input[0])
    while maker is not None and maker.op_type == "Transpose":
        maker = makers.get(maker.input[0])
    return maker


def _renamed(proto: Any) -> Any:
    """The model with our names for its input, its output and their batch axis, and none of the machine's."""
    graph = proto.graph
    names = {graph.input[0].name: INPUT_NAME, graph.output[0].name: OUTPUT_NAME}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (graph.input[0], graph.output[0]):
        value.name = names[value.name]
        value.type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
    graph.name = "classifier"
    return proto


@contextlib.contextmanager
def _tf2onnx_silenced(*, verbose: bool) -> Iterator[None]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logger = logging.getLogger("tf2onnx")
    before = logger.disabled
    logger.disabled = not verbose
    try:
        yield
    finally:
        logger.disabled = before
