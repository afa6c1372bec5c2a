"""How pictures are brought to size is found out from labelled ones of another aspect ratio."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.counted_steps import CountedSteps
from cifar_fixtures.recipes import export_recipe
from PIL import Image

from cifar_export.pipeline import export
from cifar_export.recipe import ExportRecipe
from cifar_export.stages.source import open_source
from cifar_runtime import Classifier
from cifar_runtime.artefact import open_artefact
from cifar_runtime.errors import ArtefactError, UsageError

Save = Callable[[Any, Path], None]
LABELS = ("edges", "middle")
SIZE, WIDE = 16, (48, 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures three times as wide as high, whose centre is grey: what tells them apart is left and right of it."""
    root = tmp_path_factory.mktemp("wide") / "pictures"
    random = np.random.default_rng(0)
    for name, level in zip(LABELS, (220, 40), strict=True):
        (root / name).mkdir(parents=True)
        for number in range(40):
            pixels = random.integers(118, 138, (WIDE[1], WIDE[0], 3))
            pixels[:, :12] = pixels[:, -12:] = level + random.integers(-20, 21)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def checkpoint(save: Save, folder: Path) -> Path:
    """Says ``edges`` of what is bright: a mean brightness above 128 of a stretched picture."""
    import keras
    from keras import layers

    head = layers.Dense(2, activation="softmax", name="head")
    model = keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), layers.GlobalAveragePooling2D(), head], name="bright"
    )
    head.set_weights([np.array([[0.1, -0.1]] * 3), np.array([-38.4, 38.4])])
    path = folder.parent / "mine.keras"
    save(model, path)
    return path


def recipe_of(checkpoint: Path, folder: Path, output: Path, **options: Any) -> ExportRecipe:
    return export_recipe(checkpoint=checkpoint, output=output, eval_data=folder, **options)


def test_the_rule_that_the_network_was_trained_with_is_named(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    said = CountedSteps()
    with pytest.raises(ArtefactError) as caught:
        export(recipe_of(checkpoint, folder, tmp_path), progress=said)
    done, total = said.counts_after("trying other ways to resize on ")[-1]
    assert 0 < done == total <= 80
    message, hint = caught.value.message, caught.value.hint
    assert message.startswith(f"{checkpoint}: ")
    assert message.endswith(" % with centre-crop, 100.0 % with stretch.")
    assert float(message.split()[1]) < 75
    assert hint == "Did you mean --resize stretch?"


def test_a_stated_rule_is_used_by_the_artefact_too(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    (result,) = export(recipe_of(checkpoint, folder, tmp_path, resize="stretch"))
    assert result.accuracy == 1.0
    artefact = open_artefact(result.path)
    assert artefact.contract.input.resize == "stretch"
    assert artefact.card["provenance"]["recipe"]["resize"] == "stretch"
    classifier = Classifier(result.path)
    for name in LABELS:
        assert classifier.classify(folder / name / "0.png").label == name


def test_a_rule_that_was_given_is_not_doubted(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    source = open_source(
        recipe_of(checkpoint, folder, tmp_path, resize="centre-crop"), lambda _: None
    )
    assert source.pixels.resize == "centre-crop"


def test_the_filter_is_named_where_it_alone_matters(save: Save, tmp_path: Path) -> None:
    """Lines of one pixel: grey where pictures are antialiased, themselves where every third pixel is taken."""
    import keras
    from keras import layers

    for name, level in zip(LABELS, (255, 0), strict=True):
        (tmp_path / "lines" / name).mkdir(parents=True)
        for number in range(40):
            pixels = np.full((SIZE * 3, SIZE * 3, 3), (384 - level) // 2, np.uint8)
            pixels[1::3] = level
            pixels[:, 0] = number
            Image.fromarray(pixels).save(tmp_path / "lines" / name / f"{number}.png")
    head = layers.Dense(2, activation="softmax", name="head")
    model = keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), layers.GlobalAveragePooling2D(), head], name="bright"
    )
    head.set_weights([np.array([[0.1, -0.1]] * 3), np.array([-38.4, 38.4])])
    save(model, tmp_path / "mine.keras")
    recipe = recipe_of(tmp_path / "mine.keras", tmp_path / "lines", tmp_path / "out")
    with pytest.raises(ArtefactError) as caught:
        open_source(recipe, lambda _: None)
    message, hint = caught.value.message, caught.value.hint
    assert message.endswith(" % with bicubic, 100.0 % with bilinear-no-antialias.")
    assert 25 < float(message.split()[1]) < 75
    assert hint == "Did you mean --resize-filter bilinear-no-antialias?"


def test_a_contract_and_a_rule_are_two_statements(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--contract cifar10-unit and --resize both state"):
        recipe_of(checkpoint, tmp_path, tmp_path, contract="cifar10-unit", resize="stretch")
