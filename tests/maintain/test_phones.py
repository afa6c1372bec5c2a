"""MediaPipe Tasks itself opens what cifar-export writes, and answers as the runtime does where it resizes nothing."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import export_recipe

from cifar_data import packaged
from cifar_export.pipeline import export
from cifar_maintain.phones import (
    PHONES_SCHEMA,
    Pictures,
    measure,
    mediapipe_scores,
    page_with_table,
    phones_table,
)
from cifar_runtime.classifier import Classifier
from cifar_runtime.errors import ArtefactError, InputError, MissingDependencyError

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "benchmarks" / "reports" / "phones.json"
PRECISIONS = ("none", "int8-float-io", "int8-uint8-io")


@pytest.fixture(scope="module")
def python(readers_python: Callable[[str], Path]) -> Path:
    return readers_python("mediapipe")


@pytest.fixture(scope="module")
def artefacts(
    python: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The small classifier, whose scores are probabilities, with each border."""
    del python  # nothing is exported where nothing can read it
    recipe = export_recipe(
        checkpoint=checkpoint,
        output=tmp_path_factory.mktemp("phones"),
        quantize=("none", "int8", "int8-float-io", "int8-uint8-io"),
        calibration_samples=128,
        eval_split="test-sample",
        max_accuracy_drop=0.03,
        min_agreement=0.9,
    )
    results = export(recipe)
    return {name: result.path for name, result in zip(recipe.quantize, results, strict=True)}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_mediapipe_replays_the_golden_vectors(
    precision: str, artefacts: dict[str, Path], python: Path
) -> None:
    sample = packaged.test_sample()
    small = Pictures(
        name="as they are", images=tuple(sample.images[:20]), labels=sample.labels[:20]
    )
    found = measure(artefacts[precision], [small], python=python)
    golden = found["golden"]
    assert golden["labels_equal"] == golden["num_vectors"] == 8
    assert golden["max_difference"] <= golden["tolerance"]
    (kind,) = found["pictures"]
    for way in ("whole", "centre", "fitted"):
        assert kind["ways"][way]["labels_changed"] == 0
        assert kind["ways"][way]["max_difference"] <= golden["tolerance"]
        assert kind["ways"][way]["correct"] == kind["correct"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_mediapipe_shows_the_labels_of_the_contract(
    precision: str, artefacts: dict[str, Path], python: Path
) -> None:
    model = artefacts[precision]
    images = packaged.test_sample().images[:2]
    found = mediapipe_scores(model, list(images), python=python)
    assert found.labels == Classifier(model).labels


def test_mediapipe_says_what_it_refuses(
    artefacts: dict[str, Path], python: Path, tmp_path: Path
) -> None:
    """Int8 ends always, float ends without our metadata: what it refused before our files carried it."""
    image = packaged.test_sample().images[0]
    with pytest.raises(ArtefactError, match=r"MediaPipe refused: .*uint8/float32, got INT8"):
        mediapipe_scores(artefacts["int8"], [image], python=python)
    bare = tmp_path / "bare.tflite"
    whole = artefacts["int8-float-io"].read_bytes()
    bare.write_bytes(whole.replace(b"TFLITE_METADATA", b"ELSE_E_METADATA"))
    with pytest.raises(ArtefactError, match=r"MediaPipe refused: .*NormalizationOptions metadata"):
        mediapipe_scores(bare, [image], python=python)


def test_an_environment_without_mediapipe_is_named() -> None:
    model = ROOT / "runtime" / "cifar_runtime" / "models" / "edge-s-int8.tflite"
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    with pytest.raises(MissingDependencyError) as caught:
        mediapipe_scores(model, [image], python=Path(sys.executable))
    assert str(caught.value) == (
        f"{sys.executable}: MediaPipe does not work there: ModuleNotFoundError: No module named 'mediapipe'. "
        "Make an environment with: make readers"
    )


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(REPORT.read_text())
    return document


def test_the_page_shows_the_report(report: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "phones.md").read_text()
    assert page_with_table(page, report) == page


def test_the_report_keeps_to_its_schema(report: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = ROOT / "maintain" / "cifar_maintain" / "schemas" / "phones.schema.json"
    jsonschema.validate(report, json.loads(schema.read_text()))
    assert report["schema"] == PHONES_SCHEMA


def test_fitted_pictures_give_the_runtimes_answers(report: dict[str, Any]) -> None:
    for model in report["models"]:
        assert model["golden"]["max_difference"] <= model["golden"]["tolerance"]
        for kind in model["pictures"]:
            assert kind["ways"]["fitted"]["labels_changed"] == 0


def test_files_with_other_figures_have_a_table_of_their_own(report: dict[str, Any]) -> None:
    other = json.loads(json.dumps(report["models"][0])) | {"file": "other.tflite"}
    other["pictures"][0]["ways"]["whole"] = {
        "labels_changed": 7,
        "max_difference": 0.5,
        "correct": None,
    }
    text = phones_table({**report, "models": [*report["models"], other]})
    assert "\nother.tflite: labels changed, largest difference" in text
    assert "| 7, 0.500 |" in text


def test_a_page_without_the_markers_is_refused(report: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="has no table of phones"):
        page_with_table("# nothing\n", report)
