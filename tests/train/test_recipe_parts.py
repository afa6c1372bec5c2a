"""The parts of a run that need no training: networks, augmentation, recipes, state on disk, the command line."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cifar_runtime.errors import InputError, UsageError
from cifar_train.architectures import build
from cifar_train.augment import augment
from cifar_train.cli import parse
from cifar_train.recipes import NOTEBOOK, RECIPES, SEED_CNN, Augmentation, recipe_from_json
from cifar_train.run_state import (
    Epoch,
    RunState,
    checkpoint_path,
    load_state,
    load_variables,
    save_state,
)

COMMAND = Path(sys.executable).with_name("cifar-train")

# The notebook's own model.summary().
NOTEBOOK_SUMMARY = [
    ("Conv2D", (26, 26, 64), 9_472),
    ("BatchNormalization", (26, 26, 64), 256),
    ("MaxPooling2D", (13, 13, 64), 0),
    ("Conv2D", (11, 11, 128), 73_856),
    ("BatchNormalization", (11, 11, 128), 512),
    ("MaxPooling2D", (5, 5, 128), 0),
    ("Conv2D", (3, 3, 256), 295_168),
    ("BatchNormalization", (3, 3, 256), 1_024),
    ("MaxPooling2D", (1, 1, 256), 0),
    ("Flatten", (256,), 0),
    ("Dropout", (256,), 0),
    ("Dense", (10,), 2_570),
]


def summary(model) -> list[tuple[str, tuple[int, ...], int]]:
    return [
        (type(layer).__name__, layer.output.shape[1:], layer.count_params())
        for layer in model.layers
    ]


def test_the_notebook_network_is_the_notebooks() -> None:
    model = build("notebook")
    assert summary(model) == NOTEBOOK_SUMMARY
    assert model.count_params() == 382_858
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 381_962


def test_seed_cnn_is_the_same_network_behind_centred_pixels() -> None:
    model = build("seed-cnn")
    assert summary(model) == [("Rescaling", (32, 32, 3), 0), *NOTEBOOK_SUMMARY]
    pixels = np.array([0.0, 128.0, 255.0], np.float32).reshape(1, 1, 3, 1)
    assert np.asarray(model.layers[0](pixels)).ravel().tolist() == [-2.0, 0.0, 1.984375]


def test_the_notebook_recipe_is_the_notebooks() -> None:
    assert (NOTEBOOK.epochs, NOTEBOOK.batch_size, NOTEBOOK.optimizer) == (25, 32, "adam")
    assert (NOTEBOOK.learning_rate, NOTEBOOK.schedule, NOTEBOOK.weight_decay) == (
        0.001,
        "constant",
        0,
    )
    assert (NOTEBOOK.augmentation, NOTEBOOK.patience, NOTEBOOK.keep) == (None, 3, "last")
    assert NOTEBOOK.validation == "last fifth of official-train"


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive_json(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe_from_json(recipe.to_json()) == recipe


def test_a_recipe_without_epochs_is_refused() -> None:
    with pytest.raises(UsageError, match="epochs 0"):
        replace(SEED_CNN, epochs=0)


def test_augmented_images_are_shifts_and_mirrors_of_their_own_image() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, size=(40, 8, 9, 3), dtype=np.uint8)
    varied = augment(images, Augmentation(flip=True, translate=2), np.random.default_rng(1))
    seen = set()
    for image, result in zip(images, varied, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
        candidates = {
            (row, column, mirrored): padded[row : row + 8, column : column + 9]
            for row in range(5)
            for column in range(5)
            for mirrored in (False, True)
        }
        matches = [
            key
            for key, view in candidates.items()
            if np.array_equal(result, view[:, ::-1] if key[2] else view)
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    assert {key[2] for key in seen} == {False, True}
    assert {key[0] for key in seen} == {key[1] for key in seen} == set(range(5))


def test_no_augmentation_changes_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(4, 8, 8, 3), dtype=np.uint8)
    same = augment(images, Augmentation(flip=False, translate=0), np.random.default_rng(1))
    assert np.array_equal(images, same)


def epoch(number: int, *, loss: float = 1.0, held_out: float = 0.5) -> Epoch:
    return Epoch(
        number=number,
        loss=loss,
        accuracy=0.5,
        validation_loss=1.0,
        validation_accuracy=held_out,
        images_per_second=100.0,
        seconds=1.0,
    )


@pytest.mark.parametrize(
    ("losses", "finished"),
    [
        ([3, 2, 1], False),
        ([1, 2, 2], False),
        ([1, 2, 2, 2], True),
        ([1, 1, 1, 1], True),
        ([2, 3, 3, 1], False),
        ([9, 8, 7, 6, 5], True),
    ],
)
def test_a_run_ends_after_its_epochs_or_when_the_loss_stalls(
    losses: list[float], finished: bool
) -> None:
    epochs = tuple(epoch(number, loss=loss) for number, loss in enumerate(losses, start=1))
    state = RunState(recipe=replace(NOTEBOOK, epochs=5, patience=3), epochs=epochs)
    assert state.is_finished is finished


def test_the_best_epoch_is_the_earliest_of_equals() -> None:
    epochs = tuple(epoch(n, held_out=value) for n, value in ((1, 0.5), (2, 0.7), (3, 0.7)))
    assert RunState(recipe=SEED_CNN, epochs=epochs).kept.number == 2
    assert RunState(recipe=NOTEBOOK, epochs=epochs).kept.number == 3


def test_state_keeps_the_last_and_the_best_checkpoint(tmp_path: Path) -> None:
    state = RunState(recipe=SEED_CNN)
    for number, held_out in ((1, 0.4), (2, 0.7), (3, 0.6), (4, 0.5)):
        state = state.with_epoch(epoch(number, held_out=held_out))
        save_state(tmp_path, state, {"w": np.array([number])})
    assert load_state(tmp_path) == state
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-0002.npz",
        "checkpoint-0004.npz",
        "state.json",
    ]
    assert load_variables(tmp_path, state.kept)["w"].tolist() == [2]


def test_a_damaged_state_or_checkpoint_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(InputError, match="no run can be resumed from it"):
        load_state(tmp_path)
    checkpoint_path(tmp_path, 1).write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match="cannot be read"):
        load_variables(tmp_path, epoch(1))


def test_the_command_line_overrides_the_recipe(tmp_path: Path) -> None:
    asked = parse(
        ["--recipe", "notebook", "--epochs", "2", "--seed", "7", "-o", str(tmp_path), "--final"]
    )
    assert asked.recipe == replace(NOTEBOOK, epochs=2, seed=7)
    assert (asked.options.folder, asked.options.final) == (tmp_path, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--recipe", "notbook"],
            "'notbook' is not one of notebook, seed-cnn; did you mean notebook?",
        ),
        (["--epochs", "0"], "'0' is not a whole number above zero"),
        (["--precision", "fp16"], "'fp16' is not one of float32, mixed_bfloat16, auto"),
        (["--resume", "-o", "absent"], "absent holds no run to resume"),
    ],
)
def test_bad_use_exits_2_with_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    finished = subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert finished.returncode == 2
    assert message in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_started_run_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    finished = subprocess.run(
        [COMMAND, "-o", tmp_path], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert finished.stderr == (
        f"cifar-train: {tmp_path} holds a run already. Continue it with --resume, start over with "
        "--force, or choose another folder.\n"
    )
