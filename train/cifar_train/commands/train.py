"""The command ``cifar-train``: one recipe, one run folder."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cifar_runtime.commands.options import add_quiet_option, add_seed_option, add_verbose_option
from cifar_runtime.commands.parser import Parser, choice, execute, positive_int
from cifar_runtime.commands.progress import ProgressLine
from cifar_runtime.errors import UsageError
from cifar_train.networks import Architecture
from cifar_train.recipe import (
    Backend,
    Device,
    Distribute,
    Fold,
    Precision,
    RunOptions,
    TrainRecipe,
)
from cifar_train.recipes import RECIPES

if TYPE_CHECKING:
    from cifar_train.run.state import Epoch, RunState
    from cifar_train.training import TrainResult

EXAMPLES = """\
  cifar-train --recipe edge-s -o runs/edge-s
  cifar-train --recipe notebook -o runs/notebook --seed 1 --final
  cifar-train --recipe edge-s -o runs/edge-s --resume
"""

_NO_TEACHER = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """What the user asked for."""

    recipe: TrainRecipe
    options: RunOptions
    quiet: bool
    json: bool


def parse(argv: Sequence[str]) -> CommandLine:
    """The command line as a recipe and options."""
    parser = Parser(
        prog="cifar-train", description="Train a Keras classifier on CIFAR-10.", examples=EXAMPLES
    )
    add = parser.add_argument
    add(
        "--recipe",
        type=choice(list(RECIPES)),
        default="edge-s",
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
    add("--epochs", type=positive_int, metavar="N", help="instead of the recipe's")
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
        help="auto: bfloat16 on a GPU or a CPU that multiplies it, else float32 (default: the recipe's)",
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
    add_quiet_option(parser)
    add_verbose_option(parser)
    return _command_line(parser.parse_args(argv))


def _command_line(given: argparse.Namespace) -> CommandLine:
    recipe = RECIPES[given.recipe]
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
    if given.teacher == _NO_TEACHER:
        recipe = replace(recipe, distillation=None)
    folder = given.output or Path("runs") / given.recipe
    options = RunOptions(
        folder=folder,
        final=given.final,
        resume=given.resume,
        force=given.force,
        licence=given.licence,
        teacher=None if given.teacher in (None, _NO_TEACHER) else Path(given.teacher),
        tensorboard=given.tensorboard,
    )
    return CommandLine(recipe=recipe, options=options, quiet=given.quiet, json=given.json)


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
    arguments = sys.argv[1:] if argv is None else argv
    return execute("cifar-train", partial(_run, arguments), argv=arguments)


def _run(argv: Sequence[str]) -> int:
    asked = parse(argv)
    from cifar_train.training import train

    watcher = PrintingWatcher(asked.recipe.epochs, quiet=asked.quiet)
    try:
        result = train(asked.recipe, asked.options, watcher)
    except KeyboardInterrupt:
        if asked.options.resume or watcher.has_finished_epoch:
            watcher.line.say(
                "Finished epochs are safe; continue with the same command and --resume."
            )
        raise
    sys.stdout.write(json.dumps(result.card, indent=1) + "\n" if asked.json else summary(result))
    return 0


class PrintingWatcher:
    """Prints a run's progress to stderr."""

    def __init__(self, epochs: int, *, quiet: bool) -> None:
        self.line = ProgressLine("epoch", quiet=quiet)
        self.has_finished_epoch = False
        self._epochs = epochs

    def on_batch(self, epoch: int, seen: int, total: int) -> None:
        """Moves the bar."""
        self.line.update(seen, total, f"of epoch {epoch}/{self._epochs}")

    def on_epoch(self, epoch: "Epoch", state: "RunState") -> None:
        """Prints one line an epoch, with the time that is left at this pace."""
        self.has_finished_epoch = True
        pace = sum(done.seconds for done in state.epochs) / len(state.epochs)
        minutes_left = pace * (self._epochs - epoch.number) / 60
        self.line.say(
            f"epoch {epoch.number}/{self._epochs}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.2%}  "
            f"validation loss {epoch.validation_loss:.4f}  accuracy {epoch.validation_accuracy:.2%}  "
            f"{epoch.images_per_second:,.0f} images/s  {minutes_left:.0f} min left"
        )


def summary(result: "TrainResult") -> str:
    """The result for a person: accuracy on every split that was read, files, and the next command."""
    lines = [f"{result.model_path}  (epoch {result.card['kept_epoch']} kept)"]
    for evaluation in result.evaluations:
        lines.append(
            f"  {evaluation.split}: {evaluation.correct} of {evaluation.seen} right, {evaluation.accuracy:.2%}"
        )
    lines.append(
        f"Next: cifar-export {result.model_path} --format tflite --quantize int8 -o {result.model_path.parent}"
    )
    return "\n".join(lines) + "\n"
