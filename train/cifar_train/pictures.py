"""Training on a folder of the user's own pictures: the recipe that suits them, the run, and what is kept about both.

``card.json`` names the pictures by digest and is fit to be published. ``data.json`` beside it says where they lie on
this machine, for cifar-export, and is not.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from cifar_data.pictures.load import Pictures
from cifar_data.pictures.report import UNEQUAL, check_trainable
from cifar_data.pictures.source_file import PictureSource, read_source, write_source
from cifar_runtime.errors import UsageError
from cifar_train.engine.backend import select_backend
from cifar_train.fit import Watcher
from cifar_train.networks import build
from cifar_train.networks.count import multiply_accumulates
from cifar_train.recipe import Augmentation, AugmentationPreset, Network, RunOptions, TrainRecipe
from cifar_train.recipes import NETWORKS
from cifar_train.training import TrainResult, train
from cifar_train.transfer import begin_transfer

_STEPS, _TUNING_STEPS = 2_000, 300
_FEWEST_EPOCHS, _MOST_EPOCHS = 20, 100
_FEWEST_TUNING_EPOCHS, _MOST_TUNING_EPOCHS = 5, 30
_SMALL_BATCH, _BATCH = 32, 64
# Of the same optimizer as the shipped recipes, whose rate is 0.2 for batches of 128.
_RATE_AN_IMAGE = 0.2 / 128


def picture_recipe(
    pictures: Pictures, network: Network, augment: AugmentationPreset
) -> TrainRecipe:
    """The recipe for these pictures: about 2,000 steps in 20 to 100 epochs, stopped early by validation.

    Batches are of 64, of 32 where they would be fewer than 20 an epoch. Each class is drawn equally often where the
    largest has 1.5 times the pictures of the smallest, or more.

    Args:
        pictures: what will be trained on.
        network: how large a model.
        augment: photographs: mirrored, shifted by up to an eighth of the shorter side, enlarged by up to a fifth;
            no-flip: without the mirror, for signs and letters; none: as they are.
    """
    split = pictures.splits["train"]
    count = len(split.labels)
    batch_size = _BATCH if count >= 20 * _BATCH else _SMALL_BATCH
    epochs = min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, round(_STEPS * batch_size / count)))
    of_class = [int((split.labels == label).sum()) for label in range(split.num_classes)]
    return TrainRecipe(
        name="pictures",
        architecture=NETWORKS[network],
        epochs=epochs,
        batch_size=batch_size,
        optimizer="muon",
        learning_rate=batch_size * _RATE_AN_IMAGE,
        schedule="cosine",
        warmup_fraction=0.1,
        weight_decay=2e-3,
        augmentation=_augmentation(augment, min(split.image_shape[:2])),
        validation="validation split",
        keep="best",
        patience=max(10, epochs // 3),
        monitor="validation accuracy",
        sampling="class-balanced"
        if max(of_class) >= UNEQUAL * min(of_class)
        else "every image once",
        label_smoothing=0.1,
    )


def fine_tuning_recipe(recipe: TrainRecipe) -> TrainRecipe:
    """The recipe for a network that begins with a backbone's weights: low rates, about 300 steps in 5 to 30 epochs."""
    epochs = min(
        _MOST_TUNING_EPOCHS, max(_FEWEST_TUNING_EPOCHS, recipe.epochs * _TUNING_STEPS // _STEPS)
    )
    return replace(
        recipe,
        epochs=epochs,
        optimizer="adamw",
        learning_rate=1e-4,
        weight_decay=0.05,
        patience=max(3, epochs // 3),
    )


def train_on_pictures(
    recipe: TrainRecipe,
    options: RunOptions,
    pictures: Pictures,
    source: Path,
    watcher: Watcher | None = None,
    *,
    weights: str | None = None,
) -> TrainResult:
    """Trains on the train split, validates on the validation split, and reads the test split once, at the end.

    Args:
        recipe: what to do; see :func:`picture_recipe`.
        options: where the run goes and how it starts.
        pictures: the splits.
        source: the folder or CSV file that they are of, for cifar-export on this machine.
        watcher: sees batches and epochs; None for nobody.
        weights: what a backbone begins with, ``imagenet`` or the path of a weights file; None for fresh weights.

    Raises:
        InputError: a class has no picture to train on, or the weights cannot be had.
        UsageError: the run to resume was started on other pictures.
        CifarEdgeError: see :func:`cifar_train.training.train`.
    """
    check_trainable(pictures)
    folder = Path(options.folder)
    now = PictureSource(
        path=source.resolve(), contract=pictures.contract, splits=pictures.splits_document()
    )
    if options.resume:
        _check_same(folder, now)
    splits = pictures.splits
    # train refuses a folder that holds another run, whose files must stay.
    if options.resume or options.force or not (folder / "state.json").exists():
        if weights is not None:
            select_backend(recipe.backend, recipe.device)
            resume = options.resume
            recipe = begin_transfer(recipe, weights, splits["train"], folder, resume=resume)
        write_source(folder, now)
    return train(
        recipe,
        replace(options, final=True),
        watcher,
        data=(splits["train"], splits["validation"]),
        test=splits["test"],
        facts=picture_facts(pictures),
    )


def picture_facts(pictures: Pictures) -> dict[str, Any]:
    """What a card says of the pictures: how they become a model's input, and digests; no names, no folders."""
    contract = pictures.contract
    return {
        "contract": {
            "shape": list(contract.shape),
            "resize_filter": contract.resize_filter,
            "resize": contract.resize,
            "jpeg_decoding": contract.jpeg_decoding,
        },
        "pictures": {"splits": pictures.splits_document()},
    }


def network_line(recipe: TrainRecipe, pictures: Pictures) -> str:
    """The network, what it costs and what it will be trained on, in one line, before training begins."""
    split = pictures.splits["train"]
    model = build(recipe.architecture, input_shape=split.image_shape, num_classes=split.num_classes)
    height, width, _ = split.image_shape
    return (
        f"{recipe.architecture} at {width}x{height}: {multiply_accumulates(model) / 1e6:.1f} million MACs, "
        f"{model.count_params():,} parameters; up to {recipe.epochs} epochs of {len(split.labels):,} pictures"
    )


def _augmentation(preset: AugmentationPreset, side: int) -> Augmentation | None:
    if preset == "none":
        return None
    flip: Literal["random", "none"] = "random" if preset == "photographs" else "none"
    return Augmentation(flip=flip, translate=side // 8, zoom=0.2)


def _check_same(folder: Path, now: PictureSource) -> None:
    """Checks that a run goes on with the pictures it began with."""
    before = read_source(folder)
    if before is not None and json.dumps(before.splits) != json.dumps(now.splits):
        raise UsageError(
            f"{folder}: was started on other pictures than {now.path} holds now.",
            hint="Start over with --force, or restore the pictures.",
        )
