"""This machine's certificate: every golden vector's scores and verdict, and on request every operator's checksum."""

import json
import platform
import zlib
from pathlib import Path

import numpy as np
import pytest

from cifar_runtime.certificates.certificate import Certificate, certificate_from_json
from cifar_runtime.certificates.certify import certify
from cifar_runtime.classifier import Classifier
from cifar_runtime.errors import ArtefactError, InputError

V1 = Path(__file__).parents[1] / "artefacts" / "v1"
MODEL = V1 / "tiny-int8.tflite"


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certify(MODEL, layers=True)


def test_it_holds_the_scores_of_every_golden_vector(certificate: Certificate) -> None:
    card = json.loads(Path(f"{MODEL}.json").read_text())
    classifier = Classifier(MODEL)
    assert certificate.model.sha256 == card["model"]["sha256"]
    recorded = np.float32(card["golden_vectors"]["scores"])
    found = np.float32([vector.scores for vector in certificate.vectors])
    assert np.abs(found - recorded).max() <= card["golden_vectors"]["tolerance"]
    assert [vector.decision for vector in certificate.vectors] == [
        classifier.labels[row.argmax()] for row in found
    ]
    assert {vector.verdict for vector in certificate.vectors} <= {"same", "close"}
    assert certificate.passed


def test_it_names_the_device_and_the_kernels_but_not_the_machine(certificate: Certificate) -> None:
    assert certificate.device.startswith(f"{platform.system()} {platform.machine()}, ")
    assert certificate.kernels.startswith("LiteRT ")
    assert certificate.kernels.endswith(", XNNPACK kernels")
    assert platform.node() not in json.dumps(certificate.to_json())


def test_the_last_operators_checksum_is_that_of_the_reference_kernels_scores(
    certificate: Certificate,
) -> None:
    """Of the first golden image, by an interpreter opened here."""
    interpreter_module = pytest.importorskip("ai_edge_litert.interpreter")
    card = json.loads(Path(f"{MODEL}.json").read_text())
    interpreter = interpreter_module.Interpreter(
        model_content=MODEL.read_bytes(),
        experimental_op_resolver_type=interpreter_module.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    import base64

    pixels = np.frombuffer(base64.b64decode(card["golden_vectors"]["images"][0]), np.uint8)
    shape = card["golden_vectors"]["shape"]
    given = (pixels.astype(np.int16) - 128).astype(np.int8).reshape(1, *shape)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
    interpreter.invoke()
    scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert certificate.operators is not None
    last = certificate.operators.outputs[-1]
    assert last.crc32 == f"{zlib.crc32(scores.tobytes()):08x}"
    assert certificate.operators.kernels.endswith(", reference kernels")


def test_its_document_is_read_back(certificate: Certificate) -> None:
    document = json.loads(json.dumps(certificate.to_json()))
    assert certificate_from_json(document, origin="a.json") == certificate


@pytest.mark.parametrize("change", [{"schema": "cifar-edge/info/1"}, {"vectors": 1}, {"device": 2}])
def test_another_document_is_refused(certificate: Certificate, change: dict[str, object]) -> None:
    with pytest.raises(
        InputError, match=r"^a\.json: is no cifar-edge/certificate/1 document: .*cifar-info MODEL"
    ):
        certificate_from_json({**certificate.to_json(), **change}, origin="a.json")


def test_operators_of_an_onnx_file_are_refused() -> None:
    with pytest.raises(ArtefactError, match=r"is onnx, expected a \.tflite file"):
        certify(V1 / "tiny-float32.onnx", layers=True)
