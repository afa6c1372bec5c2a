"""The toolchain's silent traps: one test each, which fails when a dependency or a refactoring brings one back."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_data import packaged
from cifar_export.checkpoint.open import open_checkpoint
from cifar_export.converted import Converted, IoType, Quantization
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.keras_graph.fold import fold
from cifar_export.targets import onnx_int8 as static
from cifar_export.targets.onnx_float import onnx_float32
from cifar_export.targets.tflite import tflite_float32, tflite_int8
from cifar_runtime.formats.tflite_graph import tflite_graph
from cifar_train import networks


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return packaged.test_sample().images[:200]


@pytest.fixture(scope="module")
def folded(checkpoint: Path) -> Any:
    return fold(open_checkpoint(checkpoint).model).model


@pytest.fixture(scope="module")
def decisions(folded: Any, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    scores = folded.predict(images.astype(np.float32), verbose=0)
    return np.asarray(scores.argmax(axis=1))


@pytest.fixture(scope="module")
def feed() -> RepresentativeDataset:
    return RepresentativeDataset(images=packaged.calibration_sample().images[:128])


def _litert(data: bytes, images: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(_litert_scores(data, images).argmax(axis=1))


def _litert_scores(data: bytes, images: NDArray[Any]) -> NDArray[Any]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for image in images:
        interpreter.set_tensor(taken["index"], image[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(given["index"])[0])
    return np.array(found)


def _onnxruntime(data: bytes, images: NDArray[Any], *, batch: int = 200) -> NDArray[np.int64]:
    return np.asarray(_onnxruntime_scores(data, images, batch=batch).argmax(axis=1))


def _onnxruntime_scores(
    data: bytes, images: NDArray[Any], *, batch: int = 200, without: tuple[str, ...] = ()
) -> NDArray[Any]:
    """The scores, with some of onnxruntime's optimizers disabled."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        data, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(without)
    )
    scores = [
        session.run(None, {"image": images[start : start + batch]})[0]
        for start in range(0, len(images), batch)
    ]
    return np.asarray(np.concatenate(scores))


def test_a_tflite_file_holds_its_weights(
    folded: Any, images: NDArray[np.uint8], decisions: NDArray[np.int64]
) -> None:
    """Trap 1: from_concrete_functions drops a Keras 3 model's weights: a small file that gives NaN."""
    data = tflite_float32(folded).data
    assert len(data) > 4 * folded.count_params()
    np.testing.assert_array_equal(_litert(data, images.astype(np.float32)), decisions)


def test_an_onnx_file_keeps_the_bias_of_its_dense_layer(folded: Any) -> None:
    """Trap 2: tf2onnx.from_tflite drops it for static batch 1; with only a bias, it alone decides."""
    import keras

    model = keras.models.clone_model(folded)
    model.set_weights(folded.get_weights())
    dense = model.layers[-1]
    bias = np.arange(10, dtype=np.float32) * 50
    dense.set_weights([np.zeros_like(dense.get_weights()[0]), bias])
    noise = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.float32)
    assert _onnxruntime(onnx_float32(model).data, noise, batch=1).tolist() == [9] * 8
    assert _litert(tflite_float32(model).data, noise).tolist() == [9] * 8


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_an_int8_onnx_file_survives_onnxruntimes_optimizers(
    folded: Any,
    images: NDArray[np.uint8],
    decisions: NDArray[np.int64],
    feed: RepresentativeDataset,
    *,
    io: IoType,
) -> None:
    """Trap 3: WeightBiasQuantization and U8S8 fusion change what a quantized graph computes."""
    converted = static.onnx_int8(
        onnx_float32(folded), feed, static.StaticQuantization(io=io), model_name="small"
    )
    pixels = images.astype(np.int16) - 128 if io == "int8" else images
    batch = pixels.astype(io)
    found = _onnxruntime_scores(converted.data, batch)
    assert (found.argmax(axis=1) == decisions).mean() >= 0.95
    untouched = _onnxruntime_scores(converted.data, batch, without=("WeightBiasQuantization",))
    np.testing.assert_array_equal(found, untouched)


@pytest.mark.parametrize("model_format", ["tflite", "onnx"])
def test_a_uint8_file_takes_raw_pixels_and_computes_what_the_int8_one_does(
    model_format: str, folded: Any, images: NDArray[np.uint8], feed: RepresentativeDataset
) -> None:
    def converted(io: IoType) -> Converted:
        if model_format == "tflite":
            return tflite_int8(folded, feed, io=io)
        return static.onnx_int8(
            onnx_float32(folded), feed, static.StaticQuantization(io=io), model_name="small"
        )

    inner, outer = converted("int8"), converted("uint8")
    for of_int8, of_uint8 in ((inner.input, outer.input), (inner.output, outer.output)):
        assert of_int8 is not None
        assert of_uint8 == Quantization(
            scale=of_int8.scale, zero_point=of_int8.zero_point + 128, dtype="uint8"
        )
    centred = (images.astype(np.int16) - 128).astype(np.int8)
    run = _litert_scores if model_format == "tflite" else _onnxruntime_scores
    found, expected = run(outer.data, images), run(inner.data, centred)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected.astype(np.int16) + 128)


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_every_calibration_method_keeps_pixels_exact(
    method: Any,
    folded: Any,
    images: NDArray[np.uint8],
    decisions: NDArray[np.int64],
    feed: RepresentativeDataset,
) -> None:
    """A clipped input range merges pixel values: a step must be a pixel, and the zero point -128."""
    floats = onnx_float32(folded)
    converted = static.onnx_int8(
        floats, feed, static.StaticQuantization(method=method), model_name="small"
    )
    assert converted.input is not None
    assert converted.input.scale == pytest.approx(1, rel=1e-6)
    assert converted.input.zero_point == -128
    assert (
        converted.conversion["quantization"]
        == f"QDQ, U8S8 within 16-bit sums, per-channel, {method}"
    )
    found = _onnxruntime(converted.data, (images.astype(np.int16) - 128).astype(np.int8))
    assert (found == decisions).mean() >= 0.9


@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_cropped_pixels_stay_exact_too(
    method: Any, images: NDArray[np.uint8], feed: RepresentativeDataset
) -> None:
    """The quantizer puts its first node behind a Slice, as behind a Transpose, and clips its range by percentile."""
    model = networks.build("seed-cnn", input_shape=(32, 32, 3), num_classes=10)
    dense = model.layers[-1]
    random = np.random.default_rng(0)
    dense.set_weights([random.normal(size=shape) for shape in map(np.shape, dense.get_weights())])
    folded = fold(model).model
    converted = static.onnx_int8(
        onnx_float32(folded), feed, static.StaticQuantization(method=method), model_name="cropped"
    )
    assert converted.input is not None
    assert (converted.input.scale, converted.input.zero_point) == (pytest.approx(1, rel=1e-6), -128)
    scores = _onnxruntime_scores(converted.data, (images.astype(np.int16) - 128).astype(np.int8))
    assert scores.dtype == np.int8
    expected = np.asarray(folded(images.astype(np.float32)))
    assert expected.std() > 0.1
    assert np.abs((scores + 128.0) / 256 - expected).mean() <= 0.01


def test_a_float_io_onnx_file_is_quantized_before_anything_else(
    folded: Any, feed: RepresentativeDataset
) -> None:
    """Behind the Transpose, signed pixels went into U8S8 products that saturate without VNNI: 82 % agreement."""
    import onnx

    converted = static.onnx_int8(
        onnx_float32(folded), feed, static.StaticQuantization(io="float32"), model_name="small"
    )
    graph = onnx.load_model_from_string(converted.data).graph
    first = [node.op_type for node in graph.node if "image" in node.input]
    last = [node.op_type for node in graph.node if "scores" in node.output]
    assert (first, last) == (["QuantizeLinear"], ["DequantizeLinear"])


def test_a_dynamic_onnx_file_decides_without_looking_at_neighbours(
    folded: Any, images: NDArray[np.uint8], decisions: NDArray[np.int64]
) -> None:
    """One range for a whole batch would make an image's scores depend on the others: the batch is 1."""
    converted = static.onnx_dynamic(onnx_float32(folded), model_name="small")
    found = _onnxruntime(converted.data, images.astype(np.float32), batch=1)
    assert (found == decisions).mean() >= 0.9
    with pytest.raises(Exception, match="Got invalid dimensions"):
        _onnxruntime(converted.data, images.astype(np.float32), batch=2)


@pytest.mark.parametrize(("bias", "num_pads"), [(-300.0, 1), (None, 0)])
def test_zeros_around_an_image_count_in_a_maximum(bias: float | None, num_pads: int) -> None:
    """A trap of onnxruntime, which takes them for the maximum's own padding, which loses against negative values.

    Where a ReLU leaves nothing negative, it may.
    """
    import keras
    import onnx
    from keras import layers

    negative = layers.Conv2D(3, 1)
    rest = [layers.ZeroPadding2D(1), layers.MaxPooling2D(3, 2), layers.Flatten()]
    first = [negative] if bias is not None else [negative, layers.ReLU()]
    model = keras.Sequential([keras.Input((5, 5, 3)), *first, *rest])
    negative.set_weights([np.eye(3)[None, None], np.full(3, bias or 0.0)])
    pixels = np.random.default_rng(5).integers(0, 256, (8, 5, 5, 3), dtype=np.uint8)
    value = np.pad(pixels + (bias or 0.0), ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.stack(
        [value[:, i : i + 3, j : j + 3].max(axis=(1, 2)) for i in (0, 2, 4) for j in (0, 2, 4)], 1
    )
    floats = onnx_float32(fold(model).model)
    found = _onnxruntime_scores(floats.data, pixels.astype(np.float32))
    expected = expected.reshape(len(pixels), -1)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    made = static.onnx_int8(floats, RepresentativeDataset(images=pixels), model_name="padded")
    assert made.output is not None
    raw = _onnxruntime_scores(made.data, (pixels.astype(np.int16) - 128).astype(np.int8), batch=1)
    real = (raw.astype(np.float64) - made.output.zero_point) * made.output.scale
    np.testing.assert_allclose(real, expected, atol=4.0)

    prepared = onnx.load_model_from_string(static.prepared_bytes(floats))
    assert [node.op_type for node in prepared.graph.node].count("Pad") == num_pads


def test_a_dense_layer_is_quantized_per_tensor(folded: Any, feed: RepresentativeDataset) -> None:
    """Trap 4: TFLite Micro before September 2024 misreads per-channel FULLY_CONNECTED."""
    from ai_edge_litert import schema_py_generated as schema

    data = tflite_int8(folded, feed).data
    graph = schema.ModelT.InitFromPackedBuf(data, 0).subgraphs[0]
    (position,) = [
        index
        for index, operator in enumerate(tflite_graph(data).operators)
        if operator.name == "FULLY_CONNECTED"
    ]
    kernel = graph.tensors[graph.operators[position].inputs[1]]
    assert len(kernel.quantization.scale) == 1
    convolution = graph.tensors[graph.operators[0].inputs[1]]
    assert len(convolution.quantization.scale) > 1
