"""Training from Python on images of another shape and other classes than CIFAR-10's, without a word printed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_data.split import Split
from cifar_runtime.errors import InputError, UsageError
from cifar_train.fit import SilentWatcher, fit
from cifar_train.input.batches import batches
from cifar_train.recipe import Fold, RunOptions, TrainRecipe
from cifar_train.recipes import RECIPES
from cifar_train.training import train

COLOURS = ("red", "green", "blue", "white", "black")
PIXELS = np.array([[220, 30, 30], [30, 220, 30], [30, 30, 220], [220] * 3, [30] * 3], np.uint8)
RECIPE = replace(
    RECIPES["quick"], epochs=2, batch_size=20, distillation=None, ema=None, precision="float32"
)


def coloured(name: str, count: int, *, seed: int) -> Split:
    """Noisy images of one colour each, 16x24."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % 5)
    noise = random.integers(0, 30, (count, 16, 24, 3)).astype(np.uint8)
    images = PIXELS[labels][:, None, None, :] + noise
    return Split(name=name, images=images, labels=labels, label_names=COLOURS, ids=np.arange(count))


@pytest.fixture(scope="module")
def data() -> tuple[Split, Split]:
    return coloured("mine", 100, seed=0), coloured("held out", 25, seed=1)


def test_a_run_describes_its_own_classes_and_prints_nothing(
    data: tuple[Split, Split],
    follows: Callable[[str, object], bool],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import keras

    test = coloured("test", 50, seed=2)
    result = train(
        RECIPE, RunOptions(folder=str(tmp_path / "run"), final=True), data=data, test=test
    )
    assert capsys.readouterr() == ("", "")
    model = keras.models.load_model(result.model_path)
    assert (model.input_shape, model.output_shape) == ((None, 16, 24, 3), (None, 5))
    assert result.card["labels"] == list(COLOURS)
    assert result.card["data"] == {
        split.name: {"images": len(split.ids), "ids_sha256": split.ids_sha256()} for split in data
    }
    assert follows("train", json.loads((tmp_path / "run" / "card.json").read_text()))
    validated, tested = result.evaluations
    assert (validated.split, tested.split, tested.seen) == ("held out", "test", 50)
    predicted = np.asarray(model(test.images.astype(np.float32))).argmax(axis=1)
    assert tested.correct == np.sum(predicted == test.labels)
    document = json.loads((tmp_path / "run" / "evaluation-test.json").read_text())
    assert follows("evaluation", document)
    assert document["labels"] == list(COLOURS)
    assert set(COLOURS) <= set(document["classification_report"])


def test_targets_have_one_column_a_class_even_where_the_last_class_is_missing(
    data: tuple[Split, Split],
) -> None:
    train_split = data[0].take(np.flatnonzero(data[0].labels < 4), name="without black")
    for pixels, targets in batches(RECIPE, train_split, 1):
        assert pixels.shape[1:] == (16, 24, 3)
        assert targets.shape[1] == 5
        assert not targets[:, 4].any()


def test_a_fold_is_left_out_of_any_images(data: tuple[Split, Split], tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=1, fold=Fold(number=1, of=2))
    card = train(recipe, RunOptions(folder=tmp_path), data=data).card
    assert card["data"]["mine without part 1 of 2"]["images"] == 50


def _other_size(split: Split) -> Split:
    return replace(split, images=split.images[:, :, :16])


def _other_classes(split: Split) -> Split:
    return replace(split, label_names=(*COLOURS, "pink"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _other_size,
            "held out: has image shape (16, 16, 3), expected (16, 24, 3) as in mine. "
            "Validate and test on images like those that are trained on.",
        ),
        (
            _other_classes,
            "held out: has classes ('red', 'green', 'blue', 'white', 'black', 'pink'), expected "
            "('red', 'green', 'blue', 'white', 'black') as in mine. "
            "Validate and test on images like those that are trained on.",
        ),
    ],
)
def test_splits_that_differ_are_refused(
    change: Callable[[Split], Split], message: str, data: tuple[Split, Split], tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        fit(RECIPE, (data[0], change(data[1])), tmp_path, SilentWatcher(), resume=False)
    assert str(caught.value) == message


def test_a_test_split_of_other_classes_is_refused_before_training(
    data: tuple[Split, Split], tmp_path: Path
) -> None:
    options = RunOptions(folder=tmp_path, final=True)
    with pytest.raises(InputError, match="test: has classes"):
        train(RECIPE, options, data=data, test=_other_classes(coloured("test", 10, seed=2)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("quik", {}, "recipe 'quik' is not one of notebook, seed-cnn"),
        (RECIPE, {"final": True}, "a final run on images of your own has no test split"),
        ("quick", {"resume": True}, "holds no run to resume"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(
    recipe: TrainRecipe | str,
    options: dict[str, Any],
    message: str,
    data: tuple[Split, Split],
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match=message):
        train(recipe, RunOptions(folder=tmp_path, **options), data=data)
    assert list(tmp_path.iterdir()) == []


def test_soft_labels_of_other_images_are_refused(data: tuple[Split, Split], tmp_path: Path) -> None:
    """A recipe's name brings its distillation from the packaged soft labels, which are CIFAR-10's."""
    with pytest.raises(InputError, match="labels 45000 images of train, expected the 100 of mine"):
        train("quick", RunOptions(folder=tmp_path), data=data)
