"""QAT of a model of the user's own pictures: it trains on those that set the ranges, and asks for CIFAR-10 nowhere."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import export_recipe
from PIL import Image

from cifar_data.cifar10 import splits
from cifar_export.pipeline import export
from cifar_export.recipe import QatRecipe
from cifar_runtime.artefact import card_path
from cifar_runtime.errors import InputError


@pytest.fixture
def folder(save: Callable[[Any, Path], None], tmp_path: Path) -> Path:
    """``train`` and ``test`` of two classes of 12 pixels, and a model of them."""
    import keras
    from keras import layers

    random = np.random.default_rng(2)
    for part, count in (("train", 30), ("test", 12)):
        for brightness, name in ((40, "dark"), (160, "light")):
            place = tmp_path / "pictures" / part / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(brightness, brightness + 60, (12, 12, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")
    keras.utils.set_random_seed(1)
    convolution = layers.Conv2D(4, 3, activation="relu")
    body = [layers.Rescaling(1 / 64, offset=-2.0), convolution, layers.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((12, 12, 3)), *body, layers.Dense(2)])
    save(model, tmp_path / "own.keras")
    return tmp_path


def recipe(folder: Path, **options: Any) -> Any:
    return replace(
        export_recipe(
            checkpoint=folder / "own.keras",
            output=folder / "out",
            quantize=("int8",),
            eval_data=folder / "pictures",
            max_accuracy_drop=1.0,
            min_agreement=0.0,
            **options,
        ),
        qat=QatRecipe(steps=2, batch_size=8),
    )


def test_it_trains_on_the_images_that_set_the_ranges(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "is_available", lambda: False)
    (result,) = export(recipe(folder))
    card = json.loads(card_path(result.path).read_text())
    assert result.name == "own-int8-qat"
    assert card["provenance"]["calibration"]["source"] == "folder"
    assert card["provenance"]["training_for_int8"]["steps"] == 2
    assert card["provenance"]["training_for_int8"]["validation_images"] == 12  # a fifth of 60


def test_too_few_images_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="which are 20, expected 40 or more"):
        export(recipe(folder, calibration_samples=20))
