"""A checkpoint of the user's own pictures exports without an option: its run says which pictures, and they prove it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_data.pictures.load import load_pictures, picture_contract
from cifar_export.checkpoint.open import open_checkpoint
from cifar_export.checkpoint.run_pictures import run_pictures, with_confidence
from cifar_export.commands.export import main
from cifar_export.recipe import (
    ConfidenceRecipe,
    ExportRecipe,
    PublishOptions,
    QatRecipe,
    SourceRecipe,
)
from cifar_runtime import open_artefact
from cifar_runtime.errors import CifarEdgeError, InputError, UsageError
from cifar_train.pictures import picture_recipe, train_on_pictures
from cifar_train.recipe import RunOptions

COLOURS = {"blue": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``colours`` and the run trained on it."""
    root = tmp_path_factory.mktemp("own")
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / "colours" / name).mkdir(parents=True)
        for number in range(40):
            pixels = random.integers(0, 50, (20, 30, 3)) + colour
            Image.fromarray(pixels.astype(np.uint8)).save(root / "colours" / name / f"{number}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIFAR_EDGE_CACHE", str(root / "cache"))
        pictures = load_pictures(root / "colours", picture_contract((16, 24), "lanczos"))
        recipe = picture_recipe(pictures, "edge-xs", "photographs")
        recipe = replace(recipe, epochs=6, precision="float32")
        train_on_pictures(recipe, RunOptions(folder=root / "run"), pictures, root / "colours")
    return root


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run folder."""
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(made / "cache"))
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path / "run"


def recipe_of(run: Path) -> ExportRecipe:
    return ExportRecipe(
        source=SourceRecipe(checkpoint=run / "model.keras"), publish=PublishOptions(output=run)
    )


def test_the_runs_own_pictures_calibrate_and_judge(made: Path, run: Path) -> None:
    argv = [
        str(run / "model.keras"),
        "-o",
        str(run),
        "--quantize",
        "int8",
        "--max-accuracy-drop",
        "10pp",
        "-q",
    ]
    assert main([*argv, "--min-agreement", "0.8"]) == 0
    artefact = open_artefact(run / "model-int8.tflite")
    assert artefact.contract.labels == ("blue", "green", "red")
    assert artefact.contract.input.shape == (16, 24, 3)
    assert artefact.contract.input.resize_filter == "lanczos"
    assert artefact.contract.input.jpeg_decoding == "reduced"
    card = json.loads((run / "model-int8.tflite.json").read_text())
    splits = json.loads((run / "card.json").read_text())["pictures"]["splits"]
    assert card["provenance"]["parity"]["split"] == "test"
    assert card["provenance"]["parity"]["seen"] == splits["test"]["images"]
    calibration = card["provenance"]["calibration"]
    assert calibration["source"] == "train"
    assert len(calibration["ids"]) == splits["train"]["images"]
    assert str(made) not in json.dumps(card)
    fitted = card["provenance"]["confidence"]
    assert fitted["images"]["split"] == "validation"
    assert fitted["images"]["num_images"] == splits["validation"]["images"]
    assert artefact.contract.output.temperature == fitted["temperature"]
    assert artefact.contract.output.abstention_threshold == fitted["abstention_threshold"]


def test_confidence_is_fitted_where_validation_makes_two_halves_unless_the_recipe_says_how(
    made: Path, run: Path
) -> None:
    recipe = recipe_of(run)
    pictures = load_pictures(made / "colours", picture_contract((16, 24), "lanczos"))
    stated = replace(recipe, confidence=ConfidenceRecipe(coverage=0.8))
    assert with_confidence(recipe, pictures).confidence == ConfidenceRecipe()
    assert with_confidence(stated, pictures) == stated
    assert with_confidence(recipe, None) == recipe
    validation = pictures.splits["validation"]
    one_each = np.unique(validation.labels, return_index=True)[1]
    few = replace(
        validation,
        images=np.asarray(validation.images)[one_each],
        labels=validation.labels[one_each],
        ids=validation.ids[one_each],
    )
    lone = replace(pictures, splits={**pictures.splits, "validation": few})
    assert with_confidence(recipe, lone) == recipe


def test_what_the_run_does_not_prove_is_refused(run: Path) -> None:
    checkpoint = open_checkpoint(run / "model.keras")
    recipe = recipe_of(run)
    assert run_pictures(recipe, checkpoint) is not None
    refusals: list[tuple[ExportRecipe, type[CifarEdgeError], str]] = [
        (
            replace(recipe, source=replace(recipe.source, resize_filter="bilinear")),
            UsageError,
            "was trained on pictures with --resize-filter lanczos",
        ),
        (
            replace(recipe, source=replace(recipe.source, resize="stretch")),
            UsageError,
            "was trained on pictures with --resize centre-crop",
        ),
        (
            replace(recipe, source=replace(recipe.source, jpeg_decoding="full")),
            UsageError,
            "was trained on pictures with --jpeg-decoding reduced",
        ),
        (
            replace(recipe, qat=QatRecipe(), quantize=("int8",)),
            UsageError,
            "was trained on other pictures",
        ),
    ]
    for changed, error, message in refusals:
        with pytest.raises(error, match=message):
            run_pictures(changed, checkpoint)
    data = json.loads((run / "data.json").read_text())
    data["splits"]["test"]["sha256"] = "0" * 64
    (run / "data.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="names other pictures than the card"):
        run_pictures(recipe, checkpoint)
    (run / "data.json").unlink()
    with pytest.raises(UsageError, match=r"no data\.json beside it says where they are"):
        run_pictures(recipe, checkpoint)


def test_options_that_name_images_are_heeded_instead(run: Path) -> None:
    checkpoint = open_checkpoint(run / "model.keras")
    recipe = recipe_of(run)
    labels = replace(recipe, source=replace(recipe.source, labels=Path("labels.txt")))
    assert run_pictures(labels, checkpoint) is None
