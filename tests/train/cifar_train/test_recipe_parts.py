"""The parts of a run that need no training: networks, augmentation, recipes, state on disk, the command line."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_runtime.documents import to_document
from cifar_runtime.errors import InputError, UsageError
from cifar_train import networks
from cifar_train.commands.train import parse
from cifar_train.input.augment import alternating_flips, blend, draw_mix, draw_views, view
from cifar_train.networks import Architecture
from cifar_train.recipe import Augmentation, Distillation, Fold, recipe_from_json
from cifar_train.recipes import NOTEBOOK, RECIPES, SEED_CNN
from cifar_train.run.state import (
    Epoch,
    RunState,
    checkpoint_path,
    load_state,
    load_variables,
    save_state,
)

ROOT = Path(__file__).parents[3]
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


def build(name: Architecture) -> Any:
    return networks.build(name, input_shape=(32, 32, 3), num_classes=10)


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


def test_seed_cnn_is_the_notebooks_layers_on_the_middle_of_the_picture() -> None:
    """The notebook's network uses the first 26 pixels of a side; the same weights here use those from the fourth on."""
    notebook, model = build("notebook"), build("seed-cnn")
    notebook.set_weights(model.get_weights())
    kinds_and_sizes = [(kind, size) for kind, _, size in summary(model)]
    assert kinds_and_sizes == [
        ("Cropping2D", 0),
        ("Rescaling", 0),
        *((kind, size) for kind, _, size in NOTEBOOK_SUMMARY),
    ]
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    moved = np.roll((images - 128) / 64, (-3, -3), axis=(1, 2))
    np.testing.assert_allclose(
        np.asarray(model(images)), np.asarray(notebook(moved)), rtol=1e-3, atol=1e-6
    )


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
    assert recipe_from_json(to_document(recipe)) == recipe


def test_every_part_of_a_recipe_survives_json() -> None:
    recipe = replace(
        SEED_CNN,
        augmentation=Augmentation(flip="alternating", translate=4, cutout=8, mixup=0.2),
        distillation=Distillation(temperature=2.0, weight=0.5, source_sha256="ab"),
        fold=Fold(number=2, of=3),
    )
    assert recipe_from_json(json.loads(json.dumps(to_document(recipe)))) == recipe


def test_cards_of_the_first_version_still_load() -> None:
    stored = json.loads((ROOT / "models/notebook.json").read_text())["recipe"]
    assert "ema" not in stored
    recipe = recipe_from_json(stored)
    # The first runs, on a CPU, left the precision to the machine; the recipe now says float32 anywhere.
    assert recipe.precision == "auto"
    assert replace(recipe, epochs=NOTEBOOK.epochs, precision="float32") == NOTEBOOK


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs 0, batch size 32 and seed 0 make no run."),
        ({"ema": 1.0}, "label smoothing 0.0 and ema 1.0 make no run."),
        ({"label_smoothing": -0.1}, "label smoothing -0.1 and ema None make no run."),
        (
            {"distribute": "devices"},
            "--distribute devices does not run on the tensorflow backend. Use --backend jax.",
        ),
    ],
)
def test_a_recipe_that_makes_no_run_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        replace(NOTEBOOK, **changes)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fold(number=3, of=2), "there is no part 3 of 2."),
        (lambda: Fold(number=1, of=1), "there is no part 1 of 1."),
        (lambda: Distillation(temperature=0), "temperature 0 and weight 0.9 distil nothing."),
        (lambda: Distillation(weight=1.5), "temperature 4.0 and weight 1.5 distil nothing."),
        (
            lambda: Augmentation(flip="none", translate=0, cutout=-1),
            "translate 0, cutout -1 and mixup 0.0 augment nothing.",
        ),
    ],
)
def test_parts_that_make_no_sense_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_folds_part_the_images() -> None:
    ids = np.arange(10, 21)
    parts = [Fold(number=number, of=3).holds(ids) for number in (1, 2, 3)]
    assert np.sum(parts, axis=0).tolist() == [1] * 11
    assert ids[parts[0]].tolist() == [12, 15, 18]


def augment(
    images: np.ndarray,
    augmentation: Augmentation,
    generator: np.random.Generator,
    *,
    mirrored: np.ndarray | None = None,
) -> np.ndarray:
    views = draw_views(images.shape[:3], augmentation, generator, mirrored=mirrored)
    return view(images, views)


def test_augmented_images_are_shifts_and_mirrors_of_their_own_image() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, size=(40, 8, 9, 3), dtype=np.uint8)
    varied = augment(images, Augmentation(flip="random", translate=2), np.random.default_rng(1))
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
    same = augment(images, Augmentation(flip="none", translate=0), np.random.default_rng(1))
    assert np.array_equal(images, same)


def test_alternating_flips_show_every_image_both_ways_in_two_epochs() -> None:
    first, second, third = (alternating_flips(200, number, seed=3) for number in (1, 2, 3))
    assert np.array_equal(first, ~second)
    assert np.array_equal(first, third)
    assert 60 < np.count_nonzero(first) < 140


def test_alternating_flips_are_applied_as_told() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(4, 8, 8, 3), dtype=np.uint8)
    mirrored = np.array([True, False, False, True])
    varied = augment(
        images,
        Augmentation(flip="alternating", translate=0),
        np.random.default_rng(1),
        mirrored=mirrored,
    )
    assert np.array_equal(varied[mirrored], images[mirrored][:, :, ::-1])
    assert np.array_equal(varied[~mirrored], images[~mirrored])


def test_cutout_greys_one_square_of_each_image() -> None:
    images = np.zeros((300, 12, 10, 3), np.uint8)
    augmentation = Augmentation(flip="none", translate=0, cutout=4)
    varied = augment(images, augmentation, np.random.default_rng(1))
    assert not images.any()
    assert set(np.unique(varied)) == {0, 128}
    areas = np.count_nonzero(varied[..., 0], axis=(1, 2))
    assert areas.max() == 16
    assert areas.min() >= 4
    for image in varied[..., 0]:
        rows, columns = np.nonzero(image)
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_mixed_pairs_share_pixels_and_labels_alike() -> None:
    labels = np.eye(6, dtype=np.float32)
    pixels = np.arange(6, dtype=np.float32)[:, None, None, None] * np.ones((6, 2, 2, 3), np.float32)
    mix = draw_mix(6, 0.5, np.random.default_rng(4))
    mixed, targets = blend(pixels, mix), blend(labels, mix)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    expected = targets @ np.arange(6, dtype=np.float32)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], expected, rtol=1e-5, atol=1e-6)
    assert np.count_nonzero(targets) > 6


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


@pytest.mark.parametrize(
    ("accuracies", "finished"),
    [([0.5, 0.4, 0.6], False), ([0.5, 0.4, 0.5], True), ([0.5, 0.4], False)],
)
def test_a_run_can_end_when_validation_stalls(accuracies: list[float], finished: bool) -> None:
    recipe = replace(NOTEBOOK, epochs=9, patience=2, monitor="validation accuracy")
    epochs = tuple(epoch(n, loss=9 - n, held_out=held) for n, held in enumerate(accuracies, 1))
    assert RunState(recipe=recipe, epochs=epochs).is_finished is finished


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
    ("arguments", "changes"),
    [
        ([], {}),
        (["--architecture", "edge-mb-s"], {"architecture": "edge-mb-s"}),
        (["--patience", "5"], {"patience": 5, "monitor": "validation accuracy"}),
        (["--fold", "1/2"], {"fold": Fold(number=1, of=2)}),
        (["--compile", "--deterministic"], {"compile": True, "deterministic": True}),
        (["--distribute", "workers"], {"distribute": "workers"}),
        (
            ["--distribute", "devices", "--backend", "jax"],
            {"distribute": "devices", "backend": "jax"},
        ),
        (["--precision", "float32"], {"precision": "float32"}),
    ],
)
def test_options_change_one_thing_each(arguments: list[str], changes: dict[str, Any]) -> None:
    asked = parse(["--recipe", "edge-s", *arguments])
    assert asked.recipe == replace(RECIPES["edge-s"], **changes)


def test_the_teacher_and_the_event_file_are_options_of_the_run() -> None:
    asked = parse(["--teacher", "labels.npy", "--tensorboard"])
    assert (asked.options.teacher, asked.options.tensorboard) == (Path("labels.npy"), True)
    assert asked.recipe == RECIPES["edge-s"]
    alone = parse(["--teacher", "none"])
    assert alone.options.teacher is None
    assert alone.recipe == replace(RECIPES["edge-s"], distillation=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--recipe", "notbook"],
            "'notbook' is not one of notebook, seed-cnn, resnet8, edge-xs, edge-s, edge-m, teacher, quick "
            "(did you mean notebook?)",
        ),
        (["--epochs", "0"], "'0' is not a whole number above zero"),
        (["--precision", "fp16"], "'fp16' is not one of float32, mixed_bfloat16, auto"),
        (["--resume", "-o", "absent"], "absent holds no run to resume"),
        (["--fold", "3/2"], "there is no part 3 of 2. Give NUMBER/OF"),
        (["--fold", "half"], "'half' is not a part such as 1/2"),
        (["--teacher", "absent.npy"], "absent.npy: cannot be read: No such file or directory"),
        (["--distribute", "workers"], "TF_CONFIG is '', expected a cluster of workers"),
    ],
)
def test_bad_use_exits_with_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    finished = subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert finished.returncode == (3 if "cannot be read" in message else 2)
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
