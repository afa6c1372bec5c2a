"""A model file carries a document inside, every other byte of it stays, and interpreters do not mind."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_runtime.artefact import open_artefact
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.embedded_card import (
    NAME,
    document_of_card,
    embed_document,
    embedded_document,
    sealed,
)
from cifar_runtime.formats.flatbuffer import FlatBuffer

DOCUMENT = {"name": "größe", "numbers": [1, 0.1, 1e-300, None, True], "deep": {"empty": {}}}


@pytest.fixture(params=["tflite", "onnx"])
def bare(request: pytest.FixtureRequest, publish: Any) -> tuple[bytes, Any]:
    """The bytes of each tiny model without a document, and its format."""
    make = {"tflite": publish.tflite_bytes, "onnx": publish.onnx_bytes}[request.param]
    return make(), request.param


def test_a_document_comes_back_as_it_was(bare: tuple[bytes, Any]) -> None:
    data, model_format = bare
    assert embedded_document(data, model_format) is None
    carrier = embed_document(data, model_format, DOCUMENT)
    assert embedded_document(carrier, model_format) == DOCUMENT


def test_every_byte_of_the_model_stays_and_keeps_its_alignment(bare: tuple[bytes, Any]) -> None:
    data, model_format = bare
    carrier = embed_document(data, model_format, DOCUMENT)
    if model_format == "tflite":
        assert carrier.endswith(data)
        assert (len(carrier) - len(data)) % 16 == 0
        assert carrier[4:8] == b"TFL3"
    else:
        assert carrier.startswith(data)


def test_embedding_is_reproducible(bare: tuple[bytes, Any]) -> None:
    assert embed_document(*bare, DOCUMENT) == embed_document(*bare, DOCUMENT)


def test_a_second_document_is_refused(bare: tuple[bytes, Any]) -> None:
    data, model_format = bare
    carrier = embed_document(data, model_format, DOCUMENT)
    with pytest.raises(ArtefactError, match="carries a contract already"):
        embed_document(carrier, model_format, DOCUMENT)


def test_a_document_with_nan_is_refused(bare: tuple[bytes, Any]) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        embed_document(*bare, {"scale": float("nan")})


def test_sealing_gives_the_card_of_the_very_file(bare: tuple[bytes, Any]) -> None:
    data, model_format = bare
    document = {"model": {"file": "a", "format": model_format}, **DOCUMENT}
    carrier, card = sealed(data, model_format, document)
    assert card["model"]["size_bytes"] == len(carrier)
    assert document_of_card(card) == document == embedded_document(carrier, model_format)


def test_other_tools_read_the_tflite_as_before(tflite_model: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    carrier = tflite_model.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(carrier, 0)
    assert [entry.name.decode() for entry in model.metadata] == [NAME]
    text = bytes(model.buffers[model.metadata[0].buffer].data)
    assert json.loads(text) == embedded_document(carrier, "tflite")
    assert model.description == b"tiny"
    assert [tensor.name for tensor in model.subgraphs[0].tensors][:2] == [b"image", b"shape"]
    assert len(model.buffers) == 5


def test_other_tools_read_the_onnx_as_before(onnx_model: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(onnx_model.read_bytes())
    onnx.checker.check_model(model)
    (entry,) = model.metadata_props
    assert entry.key == NAME
    assert json.loads(entry.value) == embedded_document(onnx_model.read_bytes(), "onnx")


def test_both_interpreters_give_the_same_scores_as_without(bare: tuple[bytes, Any]) -> None:
    data, model_format = bare
    images = np.random.default_rng(5).integers(-128, 128, (1, 6, 8, 3))
    assert (
        _run(data, model_format, images)
        == _run(embed_document(data, model_format, DOCUMENT), model_format, images)
    ).all()


def _run(data: bytes, model_format: str, images: Any) -> Any:
    if model_format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        return session.run(None, {"image": images.astype(np.float32)})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images.astype(np.int8))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("model_format", ["tflite", "onnx"])
def test_noise_and_truncations_raise_nothing_but_errors_of_ours(
    any_model: Path, model_format: Any
) -> None:
    """Other exceptions, and endless loops, fail this test; most noise has no document and says so."""
    data = any_model.read_bytes()
    generator = np.random.default_rng(11)
    damaged = 0
    for size in (0, 1, 7, 8, 12, 40, 400, 2000):
        for candidate in (generator.bytes(size), data[:size], bytes(size), b"\xff" * size):
            try:
                embedded_document(candidate, model_format)
            except ArtefactError:
                damaged += 1
    assert damaged > 10


def test_a_document_that_is_no_object_is_refused(bare: tuple[bytes, Any]) -> None:
    data, model_format = bare
    carrier = embed_document(data, model_format, {"abc": 1}).replace(b'{"abc":1}', b'["abc",1]')
    with pytest.raises(ArtefactError, match="is not a JSON object"):
        embedded_document(carrier, model_format)


def test_weights_outside_the_flatbuffer_are_refused() -> None:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].offset, model.buffers[1].size = 4096, 64
    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(ArtefactError, match="it keeps weights outside the flatbuffer"):
        embed_document(bytes(builder.Output()), "tflite", DOCUMENT)


def test_a_table_that_points_to_itself_ends() -> None:
    with pytest.raises(ValueError, match="outside the file"):
        FlatBuffer(b"\x04\0\0\0\xff\xff\xff\x7f" * 4).root()


def test_reading_the_document_costs_little(artefact_of_this_version: Path) -> None:
    """It is read at every start; measured: 0.3 ms. The limit is for busy machines."""
    open_artefact(artefact_of_this_version)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        open_artefact(artefact_of_this_version)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.02
