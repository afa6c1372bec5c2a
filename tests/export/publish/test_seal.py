"""What other tools' readers find in a sealed file, read back by their own schema where that is at hand."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cifar_export.converted import IoType
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.publish.reader_facts import (
    normalization_of,
    onnx_properties_of,
    score_threshold_of,
    tflite_metadata_of,
)
from cifar_export.publish.seal import sealed_for_readers
from cifar_export.publish.tflite_metadata import (
    BUFFER_NAME,
    TfliteMetadata,
    metadata_bytes,
    metadata_from_bytes,
)
from cifar_export.targets.tflite import tflite_int8
from cifar_runtime.contract import Contract, InputContract, OutputContract
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.embedded_card import embedded_document
from cifar_runtime.formats.metadata_buffer import metadata_entry, with_metadata_entry
from cifar_runtime.imaging.preprocess import input_table

LABELS = ("cat", "größe", "dog")
PIXELS = InputContract(
    shape=(6, 8, 3),
    dtype="uint8",
    multiplier=1 / 64,
    offset=-2.0,
    scale=1 / 64,
    zero_point=128,
    resize_filter="bicubic",
)
PROBABILITIES = OutputContract(
    kind="probabilities", dtype="uint8", scale=1 / 256, zero_point=0, abstention_threshold=0.5
)
METADATA = TfliteMetadata(
    name="small",
    description="Tells größe.",
    version="1",
    author="somebody",
    licence="Apache-2.0",
    size=(6, 8),
    input_description="a picture",
    mean=128.0,
    std=64.0,
    output_description="scores",
    output_range=(0.0, 1.0),
    score_threshold=0.5,
)


def document(contract: Contract) -> dict[str, Any]:
    return {
        "schema": "cifar-edge/artefact/1",
        "name": "small",
        "licence": "MIT",
        "model": {"file": "small.tflite", "format": "tflite"},
        "contract": json.loads(json.dumps(contract.to_json())),
        "provenance": {"checkpoint": {"sha256": "0123456789abcdef"}},
    }


CONTRACT = Contract(input=PIXELS, output=PROBABILITIES, labels=LABELS)


@pytest.fixture(scope="module")
def model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 8, 3))
    features = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(features), name="small")


def converted(model: Any, io_type: IoType = "uint8") -> bytes:
    images = np.random.default_rng(0).integers(0, 256, (8, 6, 8, 3), dtype=np.uint8)
    images[0], images[1] = 0, 255
    return tflite_int8(model, RepresentativeDataset(images=images), io=io_type).data


@pytest.fixture(scope="module")
def bare(model: Any) -> bytes:
    return converted(model)


@pytest.mark.parametrize(
    "metadata",
    [
        METADATA,
        replace(METADATA, version=None, author=None, licence=None),
        replace(METADATA, output_range=None, score_threshold=None, mean=0.0, std=1.0),
    ],
)
def test_metadata_comes_back_as_it_was(metadata: TfliteMetadata) -> None:
    assert metadata_from_bytes(metadata_bytes(metadata)) == metadata
    assert metadata_bytes(metadata) == metadata_bytes(metadata)
    assert len(metadata_bytes(metadata)) <= 800


def test_metadata_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="its identifier is b'TFL3', expected b'M001'"):
        metadata_from_bytes(b"\0\0\0\0TFL3")


def test_damaged_metadata_raises_nothing_but_value_errors() -> None:
    whole = metadata_bytes(METADATA)
    for size in range(8, len(whole), 4):
        try:
            metadata_from_bytes(whole[:size])
        except ValueError:
            continue


def test_a_sealed_tflite_carries_card_metadata_and_labels_and_still_computes(bare: bytes) -> None:
    data, card = sealed_for_readers(bare, "tflite", document(CONTRACT))
    assert embedded_document(data, "tflite") == document(CONTRACT)
    assert card["model"]["size_bytes"] == len(data)
    assert card["model"]["sha256"] == hashlib.sha256(data).hexdigest()
    buffer = metadata_entry(data, BUFFER_NAME)
    assert buffer is not None
    assert metadata_from_bytes(bytes(buffer)) == tflite_metadata_of(document(CONTRACT))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode() == "cat\ngröße\ndog\n"
        assert data[archive.infolist()[0].header_offset :].startswith(b"PK\3\4")
        assert data[archive.start_dir :].startswith(b"PK\1\2")
    image = np.random.default_rng(1).integers(0, 256, (1, 6, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(_scores(data, image), _scores(bare, image))


def test_a_tflite_keeps_every_byte_of_the_converters(bare: bytes) -> None:
    data, _ = sealed_for_readers(bare, "tflite", document(CONTRACT))
    assert bare in data
    assert data.index(bare) % 16 == 0
    assert sealed_for_readers(bare, "tflite", document(CONTRACT))[0] == data


def test_a_tflite_that_has_such_metadata_already_is_refused(bare: bytes) -> None:
    twice = with_metadata_entry(bare, BUFFER_NAME, b"M001")
    with pytest.raises(ArtefactError) as caught:
        sealed_for_readers(twice, "tflite", document(CONTRACT))
    assert str(caught.value) == (
        "small: cannot carry TFLite Metadata: it has a buffer TFLITE_METADATA already. "
        "Export the checkpoint again with cifar-export."
    )


def _scores(data: bytes, image: Any) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize(
    ("multiplier", "offset"), [(1.0, 0.0), (1 / 255, 0.0), (1 / 64, -2.0), (2 / 255, -1.0)]
)
def test_mean_and_deviation_give_the_contracts_input(multiplier: float, offset: float) -> None:
    contract = replace(
        PIXELS, dtype="float32", scale=None, zero_point=None, multiplier=multiplier, offset=offset
    )
    mean, std = normalization_of(contract)
    pixels = np.arange(256, dtype=np.float64)
    np.testing.assert_allclose((pixels - mean) / std, input_table(contract), atol=1e-6)


@pytest.mark.parametrize(
    ("output", "threshold"),
    [
        (PROBABILITIES, 0.5),
        (replace(PROBABILITIES, abstention_threshold=None), None),
        (replace(PROBABILITIES, temperature=1.2), None),
        (replace(PROBABILITIES, abstention_score="generalized-entropy"), None),
        (replace(PROBABILITIES, kind="logits"), None),
    ],
)
def test_a_threshold_is_said_only_where_one_score_decides(
    output: OutputContract, threshold: float | None
) -> None:
    assert score_threshold_of(output) == threshold


def test_a_sealed_onnx_says_what_other_readers_look_for() -> None:
    import ast

    import onnx

    from cifar_export.targets.onnx_float import OPSET

    make = onnx.helper.make_tensor_value_info
    ends = [make(name, onnx.TensorProto.UINT8, [1, 3]) for name in ("image", "scores")]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["image"], ["scores"])], "classifier", ends[:1], ends[1:]
    )
    opset = [onnx.helper.make_opsetid("", OPSET)]
    bare = onnx.helper.make_model(graph, opset_imports=opset).SerializeToString()
    data, _ = sealed_for_readers(bare, "onnx", document(CONTRACT))
    assert data.startswith(bare)
    assert embedded_document(data, "onnx") == document(CONTRACT)
    found = {entry.key: entry.value for entry in onnx.load_from_string(data).metadata_props}
    assert ast.literal_eval(found["names"]) == dict(enumerate(LABELS))
    assert ast.literal_eval(found["imgsz"]) == [6, 8]
    assert {key: found[key] for key in ("task", "stride", "batch", "channels")} == {
        "task": "classify",
        "stride": "1",
        "batch": "1",
        "channels": "3",
    }
    assert (found["license"], found["version"]) == ("MIT", "checkpoint 0123456789ab")
    assert found["Image.BitmapPixelFormat"] == "Rgb8"
    assert found["Image.ColorSpaceGamma"] == "SRGB"
    assert found["Image.NominalPixelRange"] == "NominalRange_0_255"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"multiplier": 1.0, "offset": 0.0}, "NominalRange_0_255"),
        ({"multiplier": 1 / 255, "offset": 0.0}, "Normalized_0_1"),
        ({"multiplier": 2 / 255, "offset": -1.0}, "Normalized_1_1"),
        ({"multiplier": 1 / 64, "offset": -2.0}, None),
        ({"dtype": "int8", "scale": 1.0, "zero_point": 0}, None),
    ],
)
def test_a_range_of_pixels_is_said_only_where_it_has_a_name(
    changes: dict[str, Any], named: str | None
) -> None:
    floating = replace(PIXELS, dtype="float32", scale=None, zero_point=None)
    contract = replace(CONTRACT, input=replace(floating, **changes))
    properties = onnx_properties_of(document(contract))
    assert properties.get("Image.NominalPixelRange") == named


def test_readers_are_told_how_jpegs_are_decoded() -> None:
    full = tflite_metadata_of(document(CONTRACT)).input_description
    reduced = replace(CONTRACT, input=replace(PIXELS, jpeg_decoding="reduced"))
    assert tflite_metadata_of(document(reduced)).input_description == (
        f"{full} JPEGs decoded at the smallest of 1/8, 1/4, 1/2 and 1 that leaves both sides 32 pixels."
    )
