"""What the converters write: operators, batch axes, names, and the refusal of hidden floats."""

from typing import Any

import numpy as np
import pytest

from cifar_export.converted import Quantization
from cifar_export.fold import fold
from cifar_export.onnx_float import OPSET, onnx_float32
from cifar_export.tflite import refuse_float, tflite_content, tflite_float32, tflite_int8
from cifar_runtime.errors import ArtefactError
from cifar_train import architectures, shipped

NOTEBOOK_OPERATORS = [*["CONV_2D", "MAX_POOL_2D"] * 3, "FULLY_CONNECTED", "SOFTMAX"]


@pytest.fixture(scope="module")
def notebook() -> Any:
    return fold(architectures.build("notebook")).model


def test_the_folded_notebook_network_has_no_mul_or_add_left(notebook: Any) -> None:
    converted = tflite_float32(notebook)
    assert converted.conversion["operators"] == NOTEBOOK_OPERATORS
    assert (converted.input, converted.output) == (None, None)


def test_an_int8_file_holds_integers_only_and_exact_pixels(notebook: Any) -> None:
    images = shipped.calibration_sample().images[:16]
    converted = tflite_int8(notebook, images, multiplier=1.0, offset=0.0)
    content = tflite_content(converted.data)
    assert list(content.operators) == NOTEBOOK_OPERATORS
    assert {tensor.dtype for tensor in content.tensors} <= {"INT8", "INT32"}
    assert converted.input == Quantization(scale=1.0, zero_point=-128)
    assert converted.output == Quantization(scale=1 / 256, zero_point=-128)


def test_a_float_file_is_no_int8_file(notebook: Any) -> None:
    content = tflite_content(tflite_float32(notebook).data)
    with pytest.raises(
        ArtefactError, match=r"small: its int8 file holds the float tensor '.+', expected integer"
    ):
        refuse_float(content, model_name="small")


def test_an_onnx_file_states_its_names_batch_axis_and_opset(notebook: Any) -> None:
    import onnx

    proto = onnx.load_model_from_string(onnx_float32(notebook).data)
    (taken,), (given,) = proto.graph.input, proto.graph.output
    shapes = [
        [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (taken, given)
    ]
    assert (taken.name, given.name) == ("image", "scores")
    assert shapes == [["batch", 32, 32, 3], ["batch", 10]]
    assert [entry.version for entry in proto.opset_import if not entry.domain] == [OPSET]


def test_converters_leave_stdout_alone(notebook: Any, capfd: pytest.CaptureFixture[str]) -> None:
    tflite_float32(notebook)
    onnx_float32(notebook)
    assert capfd.readouterr().out == ""


def test_an_operator_without_an_int8_form_is_refused_by_name() -> None:
    import keras

    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Dense(4)(keras.layers.Flatten()(keras.ops.erf(inputs)))
    model = fold(keras.Model(inputs, outputs)).model
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(ArtefactError, match=r"(?i)erf"):
        tflite_int8(model, images, multiplier=1.0, offset=0.0)
