"""What the commands really write fits the JSON Schemas that ship in the wheel."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cifar_runtime
from cifar_runtime import errors
from cifar_runtime.artefact import card_path
from cifar_runtime.classifier import default_model
from cifar_runtime.commands.classify import main as classify
from cifar_runtime.commands.info import main as info
from cifar_runtime.commands.parser import ERROR_SCHEMA
from cifar_runtime.errors import CifarEdgeError

jsonschema = pytest.importorskip("jsonschema")
referencing = pytest.importorskip("referencing")

FOLDER = Path(cifar_runtime.__file__).parent / "schemas"
SCHEMAS = {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.schema.json")}
KEPT = sorted((Path(__file__).parent / "artefacts").glob("*/*.json"))
SHIPPED = [
    card_path(path) for path in map(default_model, ("tflite", "onnx")) if card_path(path).exists()
]


def validator(name: str, part: str = "") -> Any:
    registry = referencing.Registry().with_resources(
        (schema["$id"], referencing.Resource.from_contents(schema)) for schema in SCHEMAS.values()
    )
    schema = {"$ref": SCHEMAS[f"{name}.schema.json"]["$id"] + part}
    return jsonschema.Draft202012Validator(schema, registry=registry)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    Image.new("RGB", (9, 9), (200, 10, 10)).save(path)
    return path


def test_any_number_of_labels_fits_the_schemas(
    publish: Any, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = publish.calibrated(temperature=1.0, threshold=0.5)
    output = replace(
        contract.output,
        kind="independent-probabilities",
        temperature=None,
        abstention_threshold=None,
        label_threshold=0.4,
    )
    model = publish.onnx(contract=replace(contract, output=output), data=publish.sigmoid_bytes())
    card = json.loads(card_path(model).read_text())
    validator("artefact", "#/$defs/contract").validate(card["contract"])
    assert classify([str(image), "-m", str(model), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    validator("classify").validate(document)
    assert "holding" in document["results"][0]


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_there_is_one_for_every_document_of_the_runtime() -> None:
    assert set(SCHEMAS) == {
        f"{name}.schema.json"
        for name in ("artefact", "certificate", "classify", "doctor", "error", "info")
    }


@pytest.mark.parametrize(
    "card", [*KEPT, *SHIPPED], ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_cards_fit(card: Path) -> None:
    validator("artefact").validate(json.loads(card.read_text()))


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("schema",), "cifar-edge/artefact/2"),
        (("name",), ""),
        (("surprise",), 1),
        (("model", "sha256"), "AB"),
        (("model", "size_bytes"), 0),
        (("contract", "labels"), ["one"]),
        (("contract", "input", "shape"), [16, 16, 2]),
        (("contract", "input", "colour_order"), "BGR"),
        (("contract", "output", "scale"), 0),
        (("golden_vectors", "images"), []),
        (("golden_vectors",), None),
        (("provenance", "parity", "seen"), 0),
    ],
)
def test_wrong_cards_do_not_fit(keys: tuple[str, ...], value: object) -> None:
    card: Any = json.loads(KEPT[0].read_text())
    target = card
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = value
    assert not validator("artefact").is_valid(card)


def test_what_classify_prints_fits(
    any_model: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify([str(image), "none.png", "-m", str(any_model), "-k", "2", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    validator("classify").validate(document)
    assert not validator("classify").is_valid({**document, "surprise": 1})
    assert not validator("classify").is_valid({**document, "schema": "cifar-edge/classify/2"})
    assert classify(["none.png", "-m", str(any_model), "--json"]) == 3
    validator("classify").validate(json.loads(capsys.readouterr().out))
    classify([str(image), "none.png", "-m", str(any_model), "--jsonl"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line in lines:
        validator("classify", "#/$defs/result").validate(json.loads(line))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["a.png", "--top-k", "0"], "usage"),
        (["a.png", "-m", "none.tflite"], "artefact"),
        (["."], "input"),
    ],
)
def test_what_a_failing_command_prints_fits(
    arguments: list[str],
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert classify([*arguments, "--json"]) > 0
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["code"] == code
    for name in ("error", "classify", "info"):
        validator(name).validate(document)
        assert not validator(name).is_valid({**document, "schema": "cifar-edge/error/2"})
    assert not validator("error").is_valid({**document, "error": {}})


def test_every_error_of_the_tree_fits() -> None:
    own = [one for one in CifarEdgeError.__subclasses__() if one.__module__ == errors.__name__]
    assert len(own) == 5
    for kind in (CifarEdgeError, *own):
        document = {"schema": ERROR_SCHEMA, "error": kind("m.").to_json()}
        validator("error").validate(document)


@pytest.mark.parametrize("arguments", [[], ["--self-test", "--full"]])
def test_what_info_prints_fits(
    artefact_of_this_version: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert info([str(artefact_of_this_version), "--json", *arguments]) == 0
    validator("info").validate(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("arguments", [[], ["--layers"]])
def test_a_certificate_fits(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    model = Path(__file__).parent / "artefacts" / "v1" / "tiny-int8.tflite"
    assert info([str(model), "--self-test", "--json", *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "cifar-edge/certificate/1"
    validator("certificate").validate(document)
    validator("certificate").validate({**document, "operators": None})
    for change in ({"device": ""}, {"vectors": []}, {"extra": 1}, {"operators": {}}):
        assert not validator("certificate").is_valid({**document, **change})


def test_what_info_prints_of_a_foreign_model_fits(
    publish: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "foreign.onnx"
    path.write_bytes(publish.onnx_bytes())
    contract = tmp_path / "c.json"
    stated = {"shape": [6, 8, 3], "multiplier": 1, "offset": 0, "resize_filter": "bilinear"}
    contract.write_text(json.dumps({"input": stated, "labels": ["r", "g", "b"]}))
    assert info([str(path), "--contract", str(contract), "--json"]) == 0
    validator("info").validate(json.loads(capsys.readouterr().out))


def test_what_the_doctor_says_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert info(["--doctor", "--json"]) == 0
    validator("doctor").validate(json.loads(capsys.readouterr().out))
