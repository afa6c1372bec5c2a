"""Layers that a converter has no form of: what stands for them computes the same, and is integer in int8 files."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.targets.layer_forms import in_integer_forms, in_onnx_forms
from cifar_export.targets.onnx_float import onnx_float32
from cifar_export.targets.onnx_int8 import onnx_int8
from cifar_export.targets.tflite import tflite_int8
from cifar_runtime.errors import ArtefactError

# Keras no longer recommends it, which is not about our code.
pytestmark = pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`:UserWarning")

SHAPE = (6, 6, 4)
Body = Callable[[Any, Any, Any], Any]

INTEGER: dict[str, Body] = {
    "ELU layer": lambda x, layers, _: layers.ELU(alpha=0.7)(x),
    "ELU of a convolution": lambda x, layers, _: layers.Conv2D(5, 3, activation="elu")(x),
    "ELU operation": lambda x, _, ops: ops.elu(x),
    "SELU": lambda x, layers, _: layers.Activation("selu")(x),
    "CELU": lambda x, layers, _: layers.Activation("celu")(x),
    "CELU operation": lambda x, _, ops: ops.celu(x, alpha=0.7),
    "log-sigmoid": lambda x, layers, _: layers.Activation("log_sigmoid")(x * 6.0),
    "softplus of large values": lambda x, _, ops: ops.softplus(x * 6.0),
    "mish of large values": lambda x, layers, _: layers.Activation("mish")(x * 6.0),
    "lesser": lambda x, _, ops: ops.minimum(x, 0.5),
    "greater": lambda x, _, ops: ops.maximum(-0.5, x),
    "square": lambda x, _, ops: ops.square(x),
    "negation": lambda x, _, ops: ops.negative(x),
    "LayerNormalization": lambda x, layers, _: layers.LayerNormalization()(x),
    "LayerNormalization of two axes": lambda x, layers, _: layers.LayerNormalization(axis=(2, 3))(
        x
    ),
    "LayerNormalization of rows": lambda x, layers, _: layers.LayerNormalization(axis=1)(x),
    "LayerNormalization that keeps the mean": lambda x, layers, _: layers.LayerNormalization(
        rms_scaling=True
    )(x),
    "RMSNormalization": lambda x, layers, _: layers.RMSNormalization()(x),
    "UnitNormalization": lambda x, layers, _: layers.UnitNormalization()(x),
    "normalize": lambda x, _, ops: ops.normalize(x, axis=-1),
    "squareplus": lambda x, layers, _: layers.Conv2D(5, 3, activation="squareplus")(x),
    "squareplus operation": lambda x, _, ops: ops.squareplus(x, b=2),
    "sparse_plus": lambda x, layers, _: layers.Conv2D(5, 3, activation="sparse_plus")(x),
    "sparse_plus operation": lambda x, _, ops: ops.sparse_plus(x),
    "GroupNormalization": lambda x, layers, _: layers.GroupNormalization(2)(x),
    "LSTM": lambda x, layers, _: layers.LSTM(5)(layers.Reshape((6, 24))(x)),
    "GRU both ways": lambda x, layers, _: layers.Bidirectional(layers.GRU(3))(
        layers.Reshape((6, 24))(x)
    ),
}
ONNX: dict[str, Body] = {
    "GELU of a convolution": lambda x, layers, _: layers.Conv2D(5, 3, activation="gelu")(x),
    "GELU operation": lambda x, _, ops: ops.gelu(x, approximate=False),
    "grouped convolution": lambda x, layers, _: layers.Conv2D(8, 3, groups=2, strides=2)(x),
    "depthwise by groups": lambda x, layers, _: layers.Conv2D(4, 3, groups=4, padding="same")(x),
    "LayerNormalization": INTEGER["LayerNormalization"],
    "GroupNormalization": INTEGER["GroupNormalization"],
    "LSTM": INTEGER["LSTM"],
}
# What ONNX' int8 quantizer leaves in front of its first node of integers.
FIRST: dict[str, Body] = {
    "resizing": lambda x, layers, _: layers.Conv2D(4, 3)(layers.Resizing(5, 5)(x)),
    "flat": lambda x, layers, _: layers.Dense(6)(layers.Flatten()(x)),
    "rows": lambda x, layers, _: layers.Conv1D(4, 3)(layers.Reshape((6, 24))(x)),
}


def model(body: Body) -> Any:
    """The body with drawn weights, as a functional model."""
    import keras

    keras.utils.set_random_seed(8)
    inputs = keras.Input(SHAPE)
    made = keras.Model(inputs, body(inputs, keras.layers, keras.ops))
    made.set_weights([np.random.default_rng(1).normal(0, 0.5, w.shape) for w in made.get_weights()])
    return made


@pytest.fixture(scope="module")
def feed() -> RepresentativeDataset:
    images = np.random.default_rng(0).integers(0, 256, (48, *SHAPE), dtype=np.uint8)
    images[0], images[1] = 0, 255
    return RepresentativeDataset(images=images, multiplier=1 / 64, offset=-2.0)


@pytest.mark.parametrize("name", INTEGER)
def test_an_integer_form_computes_the_same(name: str, feed: RepresentativeDataset) -> None:
    given = model(INTEGER[name])
    (inputs,) = feed.batches(48)
    np.testing.assert_allclose(
        np.asarray(in_integer_forms(given)(inputs)), np.asarray(given(inputs)), atol=2e-5
    )


@pytest.mark.parametrize("name", INTEGER)
def test_its_int8_file_is_near_the_float_model(name: str, feed: RepresentativeDataset) -> None:
    from ai_edge_litert.interpreter import Interpreter

    given = model(INTEGER[name])
    interpreter = Interpreter(model_content=tflite_int8(given, feed).data)
    interpreter.allocate_tensors()
    taken, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = []
    for image in feed.images:
        interpreter.set_tensor(taken["index"], (image[None].astype(int) - 128).astype(np.int8))
        interpreter.invoke()
        rows.append(interpreter.get_tensor(output["index"]).astype(np.float64))
    scale, zero_point = output["quantization"]
    assert_near(given, feed, (np.concatenate(rows) - zero_point) * scale)


@pytest.mark.parametrize("name", ONNX)
def test_an_onnx_form_computes_the_same(name: str, feed: RepresentativeDataset) -> None:
    given = model(ONNX[name])
    (inputs,) = feed.batches(48)
    session = opened(onnx_float32(given).data)
    expected = np.asarray(given(inputs))
    np.testing.assert_allclose(session.run(None, {"image": inputs})[0], expected, atol=2e-5)


def test_a_long_sequence_is_refused_before_the_converter_dies_of_it(
    feed: RepresentativeDataset,
) -> None:
    given = model(lambda x, layers, _: layers.LSTM(2, name="rows")(layers.Reshape((144, 1))(x)))
    with pytest.raises(ArtefactError) as caught:
        tflite_int8(given, feed)
    assert str(caught.value) == (
        "LSTM of 144 steps: TensorFlow Lite has no int8 loop, expected 128 at most, which are written out one by one. "
        "Shorten the sequence, or export --quantize none."
    )


def test_what_needs_no_other_form_keeps_its_layers() -> None:
    plain = model(lambda x, layers, _: layers.Conv2D(5, 3, activation="relu")(x))
    for forms in (in_integer_forms, in_onnx_forms):
        names = [layer.name for layer in forms(plain).layers[1:]]
        assert names == [layer.name for layer in plain.layers[1:]]


@pytest.mark.parametrize("name", FIRST)
def test_int8_onnx_takes_integers_whatever_is_first(name: str, feed: RepresentativeDataset) -> None:
    given = model(FIRST[name])
    converted = onnx_int8(onnx_float32(given), feed, model_name="first")
    assert converted.input is not None
    assert (converted.input.scale, converted.input.zero_point) == (1 / 64, 0)
    assert_near(given, feed, onnx_scores(converted, feed))


def test_int8_onnx_normalizes_values_far_from_zero(feed: RepresentativeDataset) -> None:
    """Mean and values divided by the deviation before their difference lost 70 % of it to int8."""
    given = model(lambda x, layers, _: layers.LayerNormalization()(x + 4.0))
    converted = onnx_int8(onnx_float32(given), feed, model_name="normalized")
    assert_near(given, feed, onnx_scores(converted, feed))


def test_int8_onnx_is_what_the_kernels_of_this_machine_compute(feed: RepresentativeDataset) -> None:
    """Sums of large weights and activations overflow 16 bits in kernels for AVX2, where nothing is done about it."""
    given = model(
        lambda x, layers, _: layers.Dense(4)(
            layers.Dense(64, activation="relu")(layers.Flatten()(x))
        )
    )
    first = given.layers[2]
    kernel, bias = first.get_weights()
    first.set_weights([np.abs(kernel), bias + 90.0])
    converted = onnx_int8(onnx_float32(given), feed, model_name="large")
    assert_near(given, feed, onnx_scores(converted, feed))


def onnx_scores(converted: Any, feed: RepresentativeDataset) -> NDArray[np.float64]:
    pixels = (feed.images.astype(int) - 128).astype(np.int8)
    found = opened(converted.data).run(None, {"image": pixels})[0].astype(np.float64)
    return np.asarray((found - converted.output.zero_point) * converted.output.scale)


def opened(data: bytes) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def assert_near(given: Any, feed: RepresentativeDataset, found: NDArray[np.float64]) -> None:
    """Within a tenth of the standard deviation of what Keras computes, root mean square."""
    (inputs,) = feed.batches(48)
    expected = np.asarray(given(inputs), np.float64)
    error = np.sqrt(np.mean(np.square(found - expected)))
    assert error < 0.1 * expected.std()
