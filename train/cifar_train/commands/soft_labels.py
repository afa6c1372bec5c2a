"""The command ``cifar-soft-labels``: what teachers say of the training images, as a file to distil from."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from cifar_runtime.commands.options import add_verbose_option
from cifar_runtime.commands.parser import Parser, choice, positive_int, run_command
from cifar_runtime.commands.progress import ProgressLine
from cifar_runtime.commands.result_file import check_writable
from cifar_runtime.errors import UsageError
from cifar_runtime.plain_text import printable_lines
from cifar_train.recipe import Backend, LabelledViewsRecipe
from cifar_train.recipes import RECIPES

EXAMPLES = """\
  cifar-soft-labels runs/teacher/model.keras -o runs/soft-labels.npy
  cifar-soft-labels runs/teacher-1/model.keras runs/teacher-2/model.keras -o runs/soft-labels.npy
  cifar-train --recipe edge-s --teacher runs/soft-labels.npy
  cifar-soft-labels models/edge-m.keras --views 16 --recipe resnet8 -o runs/views.npy
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """What the user asked for."""

    teachers: tuple[Path, ...]
    output: Path
    backend: Backend
    views: LabelledViewsRecipe | None
    recipe: str


def parse(argv: Sequence[str]) -> CommandLine:
    """The command line as data."""
    parser = Parser(
        prog="cifar-soft-labels",
        description="Label the 45,000 training images with teachers' probabilities.",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "teachers",
        nargs="+",
        type=Path,
        metavar="TEACHER.keras",
        help="a checkpoint of cifar-train, or one for each part that --fold left out",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=_npy_path,
        required=True,
        metavar="FILE.npy",
        help="where the labels go; the card goes beside it as FILE.json",
    )
    parser.add_argument(
        "--backend",
        type=choice(get_args(Backend)),
        default="tensorflow",
        metavar="|".join(get_args(Backend)),
        help="Keras backend (default: tensorflow)",
    )
    parser.add_argument(
        "--views",
        type=positive_int,
        metavar="N",
        help="label N views of each image, which epochs then show in turns (default: one answer to "
        "each image, the mean with its mirror image)",
    )
    parser.add_argument(
        "--recipe",
        type=choice(list(RECIPES)),
        default="edge-s",
        metavar="NAME",
        help="whose augmentation the views have (default: edge-s)",
    )
    add_verbose_option(parser)
    given = parser.parse_args(argv)
    views = None
    if given.views is not None:
        augmentation = RECIPES[given.recipe].augmentation
        if augmentation is None:
            raise UsageError(
                f"the recipe {given.recipe} varies no images, so it has one view of each.",
                hint="Leave --views out.",
            )
        views = LabelledViewsRecipe(number=given.views, augmentation=augmentation)
    return CommandLine(
        teachers=tuple(given.teachers),
        output=given.output,
        backend=given.backend,
        views=views,
        recipe=given.recipe,
    )


def _npy_path(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".npy":
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .npy")
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command("cifar-soft-labels", _run, argv)


def _run(argv: Sequence[str]) -> int:
    asked = parse(argv)
    check_writable(str(asked.output))
    from cifar_data.load import load_split
    from cifar_train.engine.backend import select_backend
    from cifar_train.labelling import label_images
    from cifar_train.teacher.soft_labels import read_teacher_file, write_soft_labels

    teachers = [read_teacher_file(path) for path in asked.teachers]
    split = load_split("train")
    select_backend(asked.backend, "auto")
    line = ProgressLine("labelling", quiet=False)
    log_probabilities, card = label_images(teachers, split, views=asked.views, count=line.update)
    write_soft_labels(asked.output, log_probabilities, card)
    lines = (
        f"{asked.output}  {card['images']} images of {card['split']}, "
        f"{card['agree_with_labels']} labelled like CIFAR-10",
        f"Next: cifar-train --recipe {asked.recipe} --teacher {asked.output}",
    )
    sys.stdout.write(printable_lines(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
