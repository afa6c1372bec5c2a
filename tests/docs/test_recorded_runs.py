"""The recorded runs reach what each recipe must, and what is shipped is the best of them on validation."""

import hashlib
import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from cifar_data import packaged

ROOT = Path(__file__).parents[2]
# Of all 10,000 test images, int8, the mean over seeds.
MUST = {
    "edge-xs": 0.87,
    "seed-cnn": 0.84,
    "resnet8": 0.905,
    "edge-s": 0.90,
    "edge-m": 0.925,
    "notebook": 0.659,
}


def recorded(recipe: str, file: str) -> list[Any]:
    paths = sorted((ROOT / "docs" / "runs").glob(f"{recipe}-seed-*/{file}"))
    assert paths
    return [json.loads(path.read_text()) for path in paths]


def validation_accuracy(card: dict[str, Any]) -> float:
    (counts,) = [card["accuracy"][split] for split in card["accuracy"] if split != "test"]
    return counts["correct"] / counts["seen"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("recipe", MUST)
def test_int8_reaches_what_the_recipe_must(recipe: str) -> None:
    documents = recorded(recipe, "parity-int8.json")
    assert all(document["split"]["num_images"] == 10_000 for document in documents)
    accuracies = [document["candidates"][0]["accuracy"]["accuracy"] for document in documents]
    assert statistics.fmean(accuracies) >= MUST[recipe]


@pytest.mark.parametrize("recipe", ["edge-xs", "seed-cnn", "resnet8", "edge-s", "edge-m"])
def test_the_best_seed_on_validation_whose_int8_file_passes_is_shipped(recipe: str) -> None:
    runs = zip(recorded(recipe, "card.json"), recorded(recipe, "parity-int8.json"), strict=True)
    passing = [card for card, parity in runs if parity["candidates"][0]["passed"]]
    best = max(passing, key=validation_accuracy)
    models = {
        path.stem: path for path in [*(ROOT / "models").glob("*.keras"), packaged.checkpoint()]
    }
    assert hashlib.sha256(models[recipe].read_bytes()).hexdigest() == best["model"]["sha256"]
