"""Saved outputs come back as they were, and a file that is something else is refused with the reason."""

import io
import json
import zipfile
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_eval.models.protocols import ModelFile
from cifar_eval.parity.limits import Limits
from cifar_eval.parity.outputs import Outputs, ScoredModel, read_outputs
from cifar_eval.parity.report import comparable_scores, report_from_outputs
from cifar_runtime.contract import ScoreKind
from cifar_runtime.environment import read_environment
from cifar_runtime.errors import InputError


def scored(name: str, kind: ScoreKind = "probabilities") -> ScoredModel:
    return ScoredModel(
        name=name,
        model_file=ModelFile(
            file=f"{name}.tflite", format="tflite", size_bytes=7, sha256="ab" * 32
        ),
        runtime="litert",
        score_kind=kind,
    )


@pytest.fixture
def outputs() -> Outputs:
    """A reference that is always right, and a candidate that takes the last image for another."""
    right = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]
    wrong = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    return Outputs(
        split="pets",
        images_sha256="cd" * 32,
        label_names=("ape", "bée", "cow"),
        labels=np.array([0, 1, 2, 2]),
        models=(scored("float"), scored("int8")),
        scores=np.stack([right, wrong]),
        environment=read_environment(),
    )


def test_outputs_come_back_from_their_file(outputs: Outputs, tmp_path: Path) -> None:
    (tmp_path / "saved.npz").write_bytes(outputs.to_bytes())
    again = read_outputs(tmp_path / "saved.npz")
    assert np.array_equal(again.scores, outputs.scores)
    assert again.scores.dtype == np.float32
    assert again.labels.tolist() == [0, 1, 2, 2]
    for field in ("split", "images_sha256", "label_names", "models", "environment"):
        assert getattr(again, field) == getattr(outputs, field)


def test_the_header_follows_its_schema(outputs: Outputs) -> None:
    jsonschema, referencing = pytest.importorskip("jsonschema"), pytest.importorskip("referencing")
    folder = resources.files("cifar_eval") / "schemas"
    schemas: dict[str, Any] = {
        name: json.loads((folder / f"{name}.schema.json").read_text())
        for name in ("outputs", "parity")
    }
    registry = referencing.Registry().with_resources(
        (schema["$id"], referencing.Resource.from_contents(schema)) for schema in schemas.values()
    )
    validator = jsonschema.Draft202012Validator(schemas["outputs"], registry=registry)
    document = json.loads(header(outputs))
    validator.validate(document)
    for place, wrong in (("schema", "cifar-edge/outputs/2"), ("models", []), ("surprise", 1)):
        assert not validator.is_valid({**document, place: wrong})


def test_the_report_counts_what_the_scores_say(outputs: Outputs) -> None:
    report = report_from_outputs(outputs, Limits())
    (candidate,) = report.candidates
    assert (report.reference.name, report.reference_accuracy.correct) == ("float", 4)
    assert (candidate.accuracy.correct, candidate.parity.flips_to_wrong) == (3, 1)
    assert [one.accuracy_drop for one in candidate.classes] == [0, 0, 0.5]
    assert [gate.passed for gate in candidate.gates] == [False, False]
    assert not report.passed


def test_logits_are_compared_as_probabilities_where_the_other_model_gives_those() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25]], dtype=np.float32)) + 3
    model, other = scored("logits", "logits"), scored("probabilities")
    compared = comparable_scores(model, logits, other=other)
    assert compared == pytest.approx(np.array([[0.5, 0.25, 0.25]]))
    assert np.array_equal(comparable_scores(model, logits, other=model), logits)
    assert np.array_equal(comparable_scores(other, logits, other=model), logits)


def npz(**members: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **members)
    return stream.getvalue()


def header(outputs: Outputs, **changes: Any) -> str:
    with np.load(io.BytesIO(outputs.to_bytes())) as archive:
        document = json.loads(str(archive["header"]))
    return json.dumps({**document, **changes})


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "text")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda _: b"", "File is not a zip file"),
        (lambda it: it.to_bytes()[:-9], "File is not a zip file"),
        (lambda _: zipped("notes.txt"), "it holds notes.txt, expected header, labels, scores"),
        (
            lambda it: npz(header="{", labels=it.labels, scores=it.scores),
            "Expecting property name",
        ),
        (
            lambda it: npz(header=header(it, schema="x/1"), labels=it.labels, scores=it.scores),
            "its schema is 'x/1', expected 'cifar-edge/outputs/1'",
        ),
        (
            lambda it: npz(header=header(it, models=[]), labels=it.labels, scores=it.scores),
            r"scores of shape \(2, 4, 3\), expected \(0, 4, 3\)",
        ),
        (
            lambda it: npz(header=header(it), labels=it.labels + 1, scores=it.scores),
            "labels 1 to 3 have no name",
        ),
        (
            lambda it: npz(header=header(it), labels=it.labels, scores=it.scores.astype(float)),
            "labels are int64 and scores float64",
        ),
        (
            # A pickle inside: never loaded.
            lambda it: npz(
                header=header(it), labels=it.labels, scores=np.array([{}], dtype=object)
            ),
            "Object arrays cannot be loaded when allow_pickle=False",
        ),
    ],
)
def test_a_file_that_is_something_else_is_refused(
    outputs: Outputs, tmp_path: Path, data: Any, reason: str
) -> None:
    path = tmp_path / "saved.npz"
    path.write_bytes(data(outputs))
    with pytest.raises(InputError, match=reason) as caught:
        read_outputs(path)
    assert caught.value.message.startswith(f"{path}: is not a file of saved outputs: ")


def test_a_damaged_member_is_refused(outputs: Outputs, tmp_path: Path) -> None:
    path = tmp_path / "saved.npz"
    data = bytearray(outputs.to_bytes())
    place = data.index(b"scores.npy") + 40
    data[place : place + 8] = bytes(8)
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="is not a file of saved outputs"):
        read_outputs(path)


def test_every_flipped_byte_is_read_or_refused(outputs: Outputs, tmp_path: Path) -> None:
    """Flips in the ZIP's own fields once ended as EOFError, NotImplementedError or TokenError, exit code 1."""
    data, path = outputs.to_bytes(), tmp_path / "o.npz"
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        with suppress(InputError):
            read_outputs(path)
