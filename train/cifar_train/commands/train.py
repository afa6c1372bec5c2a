"""The command ``cifar-train``: one recipe, one run folder."""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cifar_runtime.commands.config_file import add_config_option, parse_with_config
from cifar_runtime.commands.options import (
    DEFAULT_SIZE,
    add_quiet_option,
    add_seed_option,
    add_verbose_option,
)
from cifar_runtime.commands.parser import Parser, choice, positive_int, run_command
from cifar_runtime.commands.progress import ProgressLine
from cifar_runtime.commands.result_file import check_writable
from cifar_runtime.contract import ResizeFilter
from cifar_runtime.errors import UsageError
from cifar_runtime.plain_text import printable_lines
from cifar_train.commands.picture_options import (
    DEFAULT_AUGMENT,
    DEFAULT_NETWORK,
    DEFAULT_RESIZE,
    NONE,
    add_network_options,
    check_weights,
    initial_weights,
)
from cifar_train.commands.printing_watcher import PrintingWatcher
from cifar_train.networks import Architecture
from cifar_train.recipe import (
    AugmentationPreset,
    Backend,
    Device,
    Distribute,
    Fold,
    Network,
    Precision,
    RunOptions,
    TrainRecipe,
)
from cifar_train.recipes import RECIPES

if TYPE_CHECKING:
    from cifar_train.training import TrainResult

EXAMPLES = """\
  cifar-train --recipe edge-s -o runs/edge-s
  cifar-train --recipe notebook -o runs/notebook --seed 1 --final
  cifar-train --recipe edge-s -o runs/edge-s --resume
  cifar-train --data photos -o runs/mine             # your own pictures, one folder a class
"""

_READABLE = (".csv", ".json", ".png", ".svg")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOptions:
    """The user's own pictures, and what is trained on them.

    Attributes:
        source: a folder or a CSV file.
        size: height and width that the model sees.
        resize: how pictures are scaled to that.
        network: how large a model.
        augment: how pictures vary.
        weights: what a backbone begins with, ``imagenet`` or a file's path; None for fresh weights.
        changed: takes the recipe for the pictures and gives it with what other options say instead.
    """

    source: Path
    size: tuple[int, int]
    resize: ResizeFilter
    network: Network
    augment: AugmentationPreset
    weights: str | None
    changed: Callable[[TrainRecipe], TrainRecipe]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """What the user asked for.

    Attributes:
        recipe: for CIFAR-10; not used with pictures.
        options: where the run goes.
        pictures: None for CIFAR-10.
        quiet: no progress on stderr.
        json: the card on stdout.
    """

    recipe: TrainRecipe
    options: RunOptions
    pictures: PictureOptions | None
    quiet: bool
    json: bool


def parse(argv: Sequence[str]) -> CommandLine:
    """The command line as a recipe and options."""
    parser = Parser(
        prog="cifar-train",
        description="Train a Keras classifier on CIFAR-10, or on your own pictures.",
        examples=EXAMPLES,
    )
    add = parser.add_argument
    _add_picture_options(parser)
    add(
        "--recipe",
        type=choice(list(RECIPES)),
        metavar="|".join(RECIPES),
        help="what to train, and how (default: edge-s)",
    )
    add("-o", "--output", type=Path, metavar="DIR", help="run folder (default: runs/RECIPE)")
    add(
        "--architecture",
        type=choice(get_args(Architecture)),
        metavar="NAME",
        help=f"network, instead of the recipe's: {', '.join(get_args(Architecture))}",
    )
    add(
        "--epochs",
        type=_epochs,
        metavar="N|auto",
        help="instead of the recipe's; auto: the recipe's, of pictures as many as suit their number, stopped early "
        "(default: auto)",
    )
    add("-b", "--batch-size", type=positive_int, metavar="N", help="instead of the recipe's")
    add_seed_option(parser, "weights, order, augmentation and dropout")
    add(
        "--backend",
        type=choice(get_args(Backend)),
        default="tensorflow",
        metavar="|".join(get_args(Backend)),
        help="Keras backend (default: tensorflow)",
    )
    add(
        "--device",
        type=choice(get_args(Device)),
        default="auto",
        metavar="|".join(get_args(Device)),
        help="default: a GPU where there is one",
    )
    add(
        "--precision",
        type=choice(get_args(Precision)),
        metavar="|".join(get_args(Precision)),
        help="auto: bfloat16 on a GPU or a CPU that multiplies it, but for backbones, else float32 "
        "(default: the recipe's)",
    )
    add(
        "--patience",
        type=positive_int,
        metavar="N",
        help="stop after N epochs without a better validation accuracy",
    )
    add(
        "--teacher",
        metavar="FILE|none",
        help="distil from a .keras checkpoint or soft labels (.npy, see cifar-soft-labels) "
        "(default: the shipped soft labels where the recipe distils; none: from labels alone)",
    )
    add(
        "--fold",
        type=_fold,
        metavar="N/K",
        help="leave out part N of K of the training images, for a cross-fitted teacher",
    )
    add("--compile", action="store_true", help="compile each step with XLA (slower on a CPU)")
    add("--deterministic", action="store_true", help="the same bits every time on one machine")
    add(
        "--distribute",
        type=choice(get_args(Distribute)),
        default="none",
        metavar="|".join(get_args(Distribute)),
        help="over all devices (with --backend jax), or over the workers in TF_CONFIG (default: none)",
    )
    add("--tensorboard", action="store_true", help="write a TensorBoard event file")
    add(
        "--final",
        action="store_true",
        help="read the test split once, at the end, for the published figure",
    )
    add("--resume", action="store_true", help="continue from the last finished epoch")
    add("--force", action="store_true", help="start over in a folder that holds a run")
    add(
        "--licence", metavar="SPDX", help="of the trained weights, such as Apache-2.0, for the card"
    )
    add("--json", action="store_true", help="print the card as one JSON document")
    add_config_option(parser)
    add_quiet_option(parser)
    add_verbose_option(parser)
    given = parse_with_config(parser, argv)
    _check_options(parser, given)
    return _command_line(given)


def _add_picture_options(parser: Parser) -> None:
    group = parser.add_argument_group("your own pictures")
    group.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="one folder a class, train|val|test with these, or a CSV file of path,label",
    )
    add_network_options(group)


def _check_options(parser: Parser, given: argparse.Namespace) -> None:
    """Refuses options of CIFAR-10's recipes with pictures, and those of pictures without."""
    of_pictures = ("network", "weights", "size", "resize", "augment")
    of_recipes = ("recipe", "architecture", "teacher", "fold", "final")
    for name in of_recipes if given.data else of_pictures:
        if getattr(given, name):
            other = "belongs to the recipes for CIFAR-10" if given.data else "needs --data FOLDER"
            parser.error(f"--{name} {other}")
    check_weights(parser, given)
    if given.data and given.distribute == "workers":
        parser.error("--distribute workers belongs to the recipes for CIFAR-10")


def _command_line(given: argparse.Namespace) -> CommandLine:
    recipe = _changed(RECIPES[given.recipe or "edge-s"], given)
    if given.teacher == NONE:
        recipe = replace(recipe, distillation=None)
    name = "mine" if given.data else recipe.name
    options = RunOptions(
        folder=given.output or Path("runs") / name,
        final=given.final,
        resume=given.resume,
        force=given.force,
        licence=given.licence,
        teacher=None if given.teacher in (None, NONE) else Path(given.teacher),
        tensorboard=given.tensorboard,
    )
    return CommandLine(
        recipe=recipe,
        options=options,
        pictures=_picture_options(given) if given.data else None,
        quiet=given.quiet,
        json=given.json,
    )


def _picture_options(given: argparse.Namespace) -> PictureOptions:
    return PictureOptions(
        source=given.data,
        size=given.size or DEFAULT_SIZE,
        resize=given.resize or DEFAULT_RESIZE,
        network=given.network or DEFAULT_NETWORK,
        augment=given.augment or DEFAULT_AUGMENT,
        weights=initial_weights(given),
        changed=partial(_changed, given=given),
    )


def _changed(recipe: TrainRecipe, given: argparse.Namespace) -> TrainRecipe:
    """The recipe with what the options say instead."""
    recipe = replace(
        recipe,
        epochs=given.epochs or recipe.epochs,
        batch_size=given.batch_size or recipe.batch_size,
        seed=given.seed,
        backend=given.backend,
        device=given.device,
        architecture=given.architecture or recipe.architecture,
        precision=given.precision or recipe.precision,
        fold=given.fold,
        compile=given.compile,
        deterministic=given.deterministic,
        distribute=given.distribute,
    )
    if given.patience is not None:
        recipe = replace(recipe, patience=given.patience, monitor="validation accuracy")
    return recipe


def _epochs(text: str) -> int | None:
    """A parser type for a number of epochs; None for ``auto``."""
    return None if text == "auto" else positive_int(text)


def _fold(text: str) -> Fold:
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a part such as 1/2")
    try:
        return Fold(number=int(number), of=int(of))
    except UsageError as cause:
        raise argparse.ArgumentTypeError(str(cause)) from cause


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command("cifar-train", _run, argv)


def _run(argv: Sequence[str]) -> int:
    asked = parse(argv)
    check_writable(f"{asked.options.folder}/card.json")
    if asked.pictures is not None:
        result, notes = _train_on_pictures(asked, asked.pictures)
    else:
        from cifar_train.training import train

        watcher = PrintingWatcher(asked.recipe.epochs, quiet=asked.quiet)
        with _advice_on_interrupt(watcher, asked.options):
            result, notes = train(asked.recipe, asked.options, watcher), ""
    sys.stdout.write(
        json.dumps(result.card, indent=1) + "\n" if asked.json else summary(result, notes)
    )
    return 0


def _train_on_pictures(asked: CommandLine, given: PictureOptions) -> "tuple[TrainResult, str]":
    """The trained run, and what it means in a sentence; what the folder holds is said before."""
    import os

    from cifar_data.pictures.load import load_pictures, picture_contract
    from cifar_data.pictures.report import check_trainable, report_document, report_lines
    from cifar_train.engine.backend import check_backend, select_backend
    from cifar_train.pictures import (
        fine_tuning_recipe,
        network_line,
        picture_recipe,
        train_on_pictures,
    )
    from cifar_train.run.class_report import plain_sentence

    check_backend(asked.recipe.backend)
    line = ProgressLine("decoding", quiet=asked.quiet)
    try:
        pictures = load_pictures(
            given.source,
            picture_contract(given.size, given.resize),
            processes=os.cpu_count() or 1,
            on_done=line.update,
        )
    finally:
        line.clear()
    for sentence in report_lines(report_document(pictures)):
        line.say(sentence)
    check_trainable(pictures)
    recipe = picture_recipe(pictures, given.network, given.augment)
    recipe = given.changed(recipe if given.weights is None else fine_tuning_recipe(recipe))
    line.say(f"starting Keras on {recipe.backend}")
    select_backend(recipe.backend, recipe.device)
    line.say(network_line(recipe, pictures))
    watcher = PrintingWatcher(recipe.epochs, quiet=asked.quiet)
    with _advice_on_interrupt(watcher, asked.options):
        result = train_on_pictures(
            recipe, asked.options, pictures, given.source, watcher, weights=given.weights
        )
    return result, plain_sentence(result.card, "test")


@contextlib.contextmanager
def _advice_on_interrupt(watcher: "PrintingWatcher", options: RunOptions) -> Iterator[None]:
    """Says how to go on where the user interrupts a run that has finished an epoch."""
    try:
        yield
    except KeyboardInterrupt:
        if options.resume or watcher.has_finished_epoch:
            watcher.line.say(
                "Finished epochs are safe; continue with the same command and --resume."
            )
        raise


def summary(result: "TrainResult", notes: str = "") -> str:
    """The result for a person: accuracy on every split that was read, notes, files, and the next command."""
    lines = [f"{result.model_path}  (epoch {result.card['kept_epoch']} kept)"]
    for evaluation in result.evaluations:
        lines.append(
            f"  {evaluation.split}: {evaluation.correct} of {evaluation.seen} right, {evaluation.accuracy:.2%}"
        )
    if notes:
        lines.append(notes)
    lines.append(f"Beside it: {', '.join(files_beside(result.model_path))}")
    lines.append(
        f"Next: cifar-export {result.model_path} --format tflite --quantize int8 -o {result.model_path.parent}"
    )
    return printable_lines(lines)


def files_beside(model_path: Path) -> list[str]:
    """What a run left in its folder for a reader: no stored weights and no state of training."""
    names = (path.name for path in model_path.parent.iterdir() if path.suffix in _READABLE)
    return sorted(name for name in names if name != "state.json")
