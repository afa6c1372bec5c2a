"""cifar-train --data: a folder of pictures in, a described run out."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_data.pictures.load import Pictures, load_pictures, picture_contract
from cifar_data.split import Split
from cifar_runtime.errors import InputError
from cifar_train.commands.train import main, parse
from cifar_train.input.augment import draw_views, view
from cifar_train.input.batches import draws
from cifar_train.pictures import fine_tuning_recipe, picture_facts, picture_recipe
from cifar_train.recipe import Augmentation
from cifar_train.recipes import RECIPES
from cifar_train.run.class_report import class_report, plain_sentence
from cifar_train.run.evaluate import evaluate

COLOURS = {"blue": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30)}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path / "cache"))


def write_colours(folder: Path, counts: tuple[int, int, int]) -> None:
    random = np.random.default_rng(0)
    for (name, colour), count in zip(COLOURS.items(), counts, strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            noise = random.integers(0, 50, (20, 30, 3))
            Image.fromarray((noise + colour).astype(np.uint8)).save(folder / name / f"{number}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_colours(tmp_path / "colours", (40, 40, 20))
    return tmp_path / "colours"


def loaded(folder: Path) -> Pictures:
    return load_pictures(folder, picture_contract((16, 24), "bicubic"))


def test_a_folder_becomes_a_run_that_describes_its_pictures(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    follows: Callable[[str, object], bool],
) -> None:
    run = tmp_path / "run"
    argv = ["--data", str(folder), "--size", "16x24", "--network", "edge-xs", "-o", str(run)]
    assert main([*argv, "--epochs", "2"]) == 0
    printed = capsys.readouterr()
    assert "edge-xs at 24x16: " in printed.err
    assert "million MACs, 42," in printed.err
    assert "training draws each class equally often" in printed.err
    card = json.loads((run / "card.json").read_text())
    assert follows("train", card)
    assert card["labels"] == ["blue", "green", "red"]
    assert card["contract"] == {
        "shape": [16, 24, 3],
        "resize_filter": "bicubic",
        "resize": "centre-crop",
        "jpeg_decoding": "reduced",
    }
    splits = loaded(folder).splits_document()
    assert card["pictures"]["splits"] == splits
    assert card["recipe"]["sampling"] == "class-balanced"
    assert str(tmp_path) not in json.dumps(card)
    assert json.loads((run / "data.json").read_text())["path"] == str(folder)
    seen = splits["test"]["images"]
    assert card["accuracy"]["test"]["seen"] == seen
    assert sum(one["images"] for one in card["report"]["test"]["classes"].values()) == seen
    assert f"Of {seen} test pictures" in printed.out

    (folder / "red" / "0.png").unlink()
    assert main([*argv, "--epochs", "2", "--resume"]) == 2
    assert "was started on other pictures" in capsys.readouterr().err


def test_a_class_without_a_picture_is_an_error_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_colours(tmp_path / "colours", (20, 20, 0))
    run = tmp_path / "run"
    assert main(["--data", str(tmp_path / "colours"), "--size", "16", "-o", str(run)]) == (
        InputError.exit_code
    )
    assert "colours: class red has no picture to train on" in capsys.readouterr().err
    assert not run.exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--size", "32"], "--size needs --data FOLDER"),
        (["--network", "edge-s"], "--network needs --data FOLDER"),
        (["--data", "x", "--recipe", "quick"], "--recipe belongs to the recipes for CIFAR-10"),
        (["--data", "x", "--final"], "--final belongs to the recipes for CIFAR-10"),
        (["--data", "x", "--weights", "none"], "--weights needs --network mobilenet-v2|"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "weights"),
    [
        (["--network", "mobilenet-v2"], "imagenet"),
        (["--network", "mobilenet-v2", "--weights", "none"], None),
        (["--network", "mobilenet-v2", "--weights", "w.h5"], "w.h5"),
        ([], None),
    ],
)
def test_backbones_begin_with_imagenet_unless_told_otherwise(
    argv: list[str], weights: str | None
) -> None:
    pictures = parse(["--data", "x", *argv]).pictures
    assert pictures is not None
    assert pictures.weights == weights


def test_the_recipe_follows_the_number_of_pictures_and_their_balance(folder: Path) -> None:
    unequal = picture_recipe(loaded(folder), "edge-s", "photographs")
    # 100 epochs at most; batches of 32 below 20 of 64.
    assert (unequal.epochs, unequal.batch_size, unequal.sampling) == (100, 32, "class-balanced")
    assert unequal.augmentation == Augmentation(flip="random", translate=2, zoom=0.2)
    tuned = fine_tuning_recipe(unequal)
    assert (tuned.optimizer, tuned.learning_rate, tuned.epochs) == ("adamw", 1e-4, 15)
    assert picture_recipe(loaded(folder), "edge-s", "none").augmentation is None
    assert picture_facts(loaded(folder))["contract"]["shape"] == [16, 24, 3]


def test_balanced_epochs_show_each_class_equally_often_and_all_pictures_before_any_twice() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    split = Split(
        name="train",
        images=np.zeros((100, 8, 8, 3), np.uint8),
        labels=labels,
        label_names=("many", "few"),
        ids=np.arange(100),
    )
    recipe = replace(RECIPES["quick"], sampling="class-balanced", batch_size=30)
    chosen = np.concatenate([draw.chosen for draw in draws(recipe, split, 1)])
    assert len(chosen) == 100
    counts = np.bincount(chosen, minlength=100)
    assert (labels[chosen] == 1).sum() == 50
    assert counts[90:].tolist() == [5] * 10
    assert counts[:90].max() == 1


def test_zoom_enlarges_around_the_middle() -> None:
    image = np.arange(9, dtype=np.uint8).repeat(3).reshape(1, 1, 9, 3).repeat(9, axis=1)
    augmentation = Augmentation(flip="none", translate=0, zoom=0.5)
    rows = np.array(
        [
            view(image, draw_views((1, 9, 9), augmentation, np.random.default_rng(seed)))[
                0, 0, :, 0
            ]
            for seed in range(50)
        ]
    ).astype(int)
    assert (rows[:, 4] == 4).all()  # the middle stays
    assert (np.diff(rows, axis=1) >= 0).all()
    assert rows[:, 0].min() == 0
    assert rows[:, 0].max() == 2  # half of the side: from 2 to 6
    assert (rows[:, 0] + rows[:, 8] == 8).all()


def test_the_report_counts_classes_alike_and_says_what_the_test_can() -> None:
    """90 of one class all right, and 4 of 10 of the other: 94 of 100."""
    labels = np.array([0] * 90 + [1] * 10)
    scores = np.eye(3, dtype=np.float32)[[0] * 90 + [1] * 4 + [0] * 6]
    split = Split(
        name="test",
        images=np.zeros((100, 8, 8, 3), np.uint8),
        labels=labels,
        label_names=("cat", "dog", "unseen"),
        ids=np.arange(100),
    )
    report = class_report(evaluate(scores, split))
    assert report["balanced_accuracy"] == pytest.approx(0.7)
    # F1: cat 2 * 90 / (90 + 96), dog 2 * 4 / (10 + 4).
    assert report["macro_f1"] == pytest.approx((180 / 186 + 8 / 14) / 2)
    assert report["weakest_class"] == "dog"
    card = {"accuracy": {"test": {"correct": 94, "seen": 100}}, "report": {"test": report}}
    assert plain_sentence(card, "test") == (
        "Of 100 test pictures 94 are right, so on pictures like these expect 88% to 97% (95 % interval); 400 would "
        "halve that range. Weakest is dog: 4 of 10 right."
    )
    card["report"]["test"] = class_report(evaluate(np.eye(3, dtype=np.float32)[labels], split))
    assert plain_sentence(card, "test").endswith("400 would halve that range.")
