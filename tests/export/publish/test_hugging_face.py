"""A repository for the Hugging Face hub says what the cards say, in the hub's words."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cifar_export.publish.hugging_face import front_matter, readme, write_repository
from cifar_runtime.artefact import Artefact, open_artefact
from cifar_runtime.classifier import default_model
from cifar_runtime.errors import UsageError

MODELS = [default_model("tflite"), default_model("onnx")]


@pytest.fixture(scope="module")
def artefacts() -> list[Artefact]:
    return [open_artefact(model) for model in MODELS]


def test_the_folder_holds_models_cards_and_labels_that_open_again(tmp_path: Path) -> None:
    write_repository(MODELS, tmp_path / "repository")
    files = {path.name for path in (tmp_path / "repository").iterdir()}
    assert files == {
        "README.md",
        "labels.txt",
        *(model.name for model in MODELS),
        *(f"{model.name}.json" for model in MODELS),
    }
    for model in MODELS:
        copy = open_artefact(tmp_path / "repository" / model.name)
        assert copy.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    labels = (tmp_path / "repository" / "labels.txt").read_text().splitlines()
    assert tuple(labels) == copy.contract.labels


def test_the_front_matter_is_yaml_of_what_the_hub_reads(artefacts: list[Artefact]) -> None:
    yaml = pytest.importorskip("yaml")
    _, text, body = readme(artefacts).split("---\n", 2)
    found = yaml.safe_load(text)
    assert found == front_matter(artefacts)
    assert (found["library_name"], found["license"]) == ("litert", "apache-2.0")
    assert found["tags"] == ["image-classification", "litert", "onnx", "int8", "cifar-edge"]
    model = found["model-index"][0]
    (result,) = model["results"]
    card = json.loads(Path(f"{MODELS[0]}.json").read_text())
    parity = card["provenance"]["parity"]
    assert model["name"] == card["name"]
    assert result["dataset"] == {"name": "CIFAR-10", "type": "cifar10", "split": parity["split"]}
    accuracy = parity["candidate_correct"] / parity["seen"]
    assert result["metrics"][0] == {
        "type": "accuracy",
        "value": accuracy,
        "name": "Top-1 accuracy",
    }
    assert f"| {100 * accuracy:.2f} |" in body


@pytest.mark.parametrize(
    ("licence", "stated"),
    [
        (None, {}),
        ("MIT", {"license": "mit"}),
        ("LicenseRef-Own", {"license": "other", "license_name": "LicenseRef-Own"}),
    ],
)
def test_a_licence_is_in_the_hubs_words(
    licence: str | None, stated: dict[str, Any], artefacts: list[Artefact]
) -> None:
    first = artefacts[0]
    found = front_matter([replace(first, card={**first.card, "licence": licence})])
    named = {key: value for key, value in found.items() if key.startswith("license")}
    assert named == stated


def test_a_model_without_measurements_claims_none(artefacts: list[Artefact]) -> None:
    first = artefacts[0]
    bare = replace(first, card={**first.card, "provenance": {}})
    assert front_matter([bare])["model-index"] == []
    assert "| - | - | - | - |" in readme([bare])


def test_no_models_make_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        write_repository([], tmp_path)
    assert str(caught.value) == (
        "0 models with different labels, or none, expected models of one classifier. "
        "Write a repository for each."
    )
