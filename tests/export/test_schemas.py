"""What cifar-export writes is what the shipped JSON Schema files describe, and nothing more."""

import copy
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cifar_export.commands.export import main

jsonschema = pytest.importorskip("jsonschema")
referencing = pytest.importorskip("referencing")
SCHEMAS: dict[str, Any] = {
    path.name: json.loads(path.read_text())
    for package in ("cifar_runtime", "cifar_eval", "cifar_bench", "cifar_export")
    for path in (resources.files(package) / "schemas").iterdir()
    if path.name.endswith(".schema.json")
}
DOCUMENTS = ("export", "export-plan", "failed-export")


def validator(name: str) -> Any:
    registry = referencing.Registry().with_resources(
        (schema["$id"], referencing.Resource.from_contents(schema)) for schema in SCHEMAS.values()
    )
    return jsonschema.Draft202012Validator(SCHEMAS[f"{name}.schema.json"], registry=registry)


@pytest.fixture(scope="module")
def documents(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The plan, the report and what is left of an export whose int8 fails and whose float32 passes."""
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "black").mkdir()
    Image.new("RGB", (32, 32), (0, 0, 0)).save(folder / "black" / "black.png")
    asked = [
        *(str(checkpoint), "--quantize", "int8,none", "--min-agreement", "99.9%", "-q"),
        *("--calibration-data", str(folder / "black"), "--eval-split", "test-sample"),
        *("-o", str(folder / "out"), "--json"),
    ]
    assert main([*asked, str(folder / "plan.json"), "--dry-run"]) == 0
    assert main([*asked, str(folder / "export.json")]) == 5
    left = folder / "out" / "small-int8.tflite.failed.parity.json"
    files = (folder / "export.json", folder / "plan.json", left)
    return {name: json.loads(path.read_text()) for name, path in zip(DOCUMENTS, files, strict=True)}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_follow_their_schema(documents: dict[str, Any], name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[f"{name}.schema.json"])
    document = documents[name]
    assert document["schema"] == f"cifar-edge/{name}/1"
    validator(name).validate(document)


def test_the_documents_hold_what_makes_them_worth_checking(documents: dict[str, Any]) -> None:
    assert [one["name"] for one in documents["export"]["artefacts"]] == ["small-float32"]
    assert documents["export"]["failures"][0]["layers"]["errors"]["layers"]
    assert documents["failed-export"]["layers"] == documents["export"]["failures"][0]["layers"]
    assert [Path(one["path"]).name for one in documents["export-plan"]["artefacts"]] == [
        "small-int8.tflite",
        "small-float32.tflite",
    ]


@pytest.mark.parametrize(
    ("name", "place", "key", "value"),
    [
        ("export", (), "surprise", 1),
        ("export", (), "schema", "cifar-edge/export/2"),
        ("export", ("artefacts", 0), "sha256", "short"),
        ("export", ("artefacts", 0), "accuracy", 81.2),
        ("export", ("failures", 0), "reason", "mood"),
        ("export", ("failures", 0, "gates", 0), "basis", "guess"),
        ("export", ("error",), "exit_code", 7),
        ("export-plan", (), "artefacts", []),
        ("export-plan", ("artefacts", 0), "exists", "no"),
        ("export-plan", ("artefacts", 0), "max_accuracy_drop", 50),
        ("failed-export", (), "schema", "cifar-edge/artefact/1"),
        ("failed-export", (), "refusal", 1),
        ("failed-export", ("layers", "errors"), "matched_by", "luck"),
        ("failed-export", ("contract", "input"), "colour_order", "BGR"),
    ],
)
def test_other_documents_do_not(
    documents: dict[str, Any], name: str, place: tuple[Any, ...], key: str, value: Any
) -> None:
    document = copy.deepcopy(documents[name])
    part: Any = document
    for step in place:
        part = part[step]
    part[key] = value
    assert not validator(name).is_valid(document)


def test_failures_come_with_an_error(documents: dict[str, Any]) -> None:
    document = {key: value for key, value in documents["export"].items() if key != "error"}
    assert not validator("export").is_valid(document)
    del document["failures"]
    validator("export").validate(document)
