"""A teacher labels views of the training images, and the student sees those very views."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cifar_data import packaged
from cifar_data.split import Split
from cifar_runtime.errors import InputError
from cifar_train.commands import soft_labels
from cifar_train.input.augment import numbered_views
from cifar_train.input.batches import batches
from cifar_train.recipe import Augmentation, Distillation
from cifar_train.recipes import RECIPES
from cifar_train.teacher.distillation import LabelledViews, open_teacher, softened

SHIFTED = Augmentation(flip="alternating", translate=4)
RECIPE = replace(
    RECIPES["edge-s"], epochs=1, batch_size=16, distillation=Distillation(temperature=2.0)
)


@pytest.fixture(scope="module")
def few() -> Split:
    return packaged.test_sample().take(np.arange(40), name="few")


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear classifier, for which every shift counts."""
    import keras

    keras.utils.set_random_seed(1)
    image = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(keras.layers.Flatten()(image))
    model = keras.Model(image, keras.layers.Dense(10, activation="softmax")(x))
    path = tmp_path_factory.mktemp("teacher") / "model.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def labels(teacher_file: Path, few: Split) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cifar_data.load.load_split", lambda _: few)
        path = teacher_file.with_name("views.npy")
        line = [str(teacher_file), "--views", "3", "-o", str(path)]
        assert soft_labels.main(line) == 0
    return path


def test_the_file_holds_the_answers_to_each_view(
    labels: Path, follows: Callable[[str, object], bool]
) -> None:
    card = json.loads(labels.with_suffix(".json").read_text())
    assert follows("soft-labels", card)
    assert not follows("soft-labels", {**card, "views": {"number": 0, "augmentation": {}}})
    assert (card["views"]["number"], card["views"]["augmentation"]["translate"]) == (3, 4)
    assert np.load(labels).shape == (3, 40, 10)
    assert np.load(labels).dtype == np.float16


def test_every_target_is_what_the_teacher_says_of_the_students_pixels(
    labels: Path, teacher_file: Path, few: Split
) -> None:
    import keras

    model = keras.models.load_model(teacher_file)
    teacher = open_teacher(labels, RECIPE, few)
    assert isinstance(teacher, LabelledViews)
    for epoch in (1, 2, 3, 4):
        for pixels, targets in batches(RECIPE, few, epoch, teacher=teacher):
            expected = softened(np.log(np.asarray(model(pixels))), 2.0)
            np.testing.assert_allclose(targets[:, 10:], expected, atol=2e-3)
            assert targets.shape == (len(pixels), 20)


def test_epochs_show_the_views_in_turns_and_mirror_them_by_turns(labels: Path, few: Split) -> None:
    teacher = open_teacher(labels, RECIPE, few)
    assert isinstance(teacher, LabelledViews)
    columns = [
        numbered_views((40, 32, 32), SHIFTED, teacher.number(epoch)).columns for epoch in range(4)
    ]
    assert np.array_equal(columns[0], columns[3])
    mirrored = [one[:, 15] > one[:, 16] for one in columns]
    assert np.array_equal(mirrored[0], ~mirrored[1])
    assert 0 < np.count_nonzero(mirrored[0]) < 40
    seeds = [
        next(iter(batches(replace(RECIPE, seed=seed), few, 1, teacher=teacher)))[0]
        for seed in (0, 1)
    ]
    assert not np.array_equal(*seeds)  # the order of the images is the seed's


def test_views_that_vary_otherwise_than_the_recipes_are_refused(labels: Path, few: Split) -> None:
    recipe = RECIPES["seed-cnn"]
    with pytest.raises(InputError, match=r"'translate': 4.* expected those of the recipe seed-cnn"):
        open_teacher(labels, recipe, few)


def test_a_recipe_without_augmentation_has_one_view(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["teacher.keras", "--views", "3", "--recipe", "notebook", "-o", "views.npy"]
    assert soft_labels.main(line) == 2
    assert "the recipe notebook varies no images" in capsys.readouterr().err


def test_what_a_square_hides_is_hidden_from_both(few: Split) -> None:
    hidden = Augmentation(flip="none", translate=0, cutout=8)
    probabilities = np.full((1, 40, 10), 0.1, np.float32)
    teacher = LabelledViews(probabilities=probabilities, augmentation=hidden)
    recipe = replace(RECIPE, augmentation=hidden)
    pixels, _ = next(iter(batches(recipe, few, 1, teacher=teacher)))
    assert np.all(np.any(np.all(pixels == 128, axis=3), axis=(1, 2)))
