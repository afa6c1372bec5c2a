"""The command ``cifar-make``: a folder of pictures in, a certified int8 model, its card and its page out."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cifar_export.recipe import GateRecipe
from cifar_make.recipe import MakeRecipe
from cifar_runtime.commands.config_file import (
    add_config_option,
    choices_as_toml,
    parse_with_config,
)
from cifar_runtime.commands.options import (
    DEFAULT_SIZE,
    add_quiet_option,
    add_seed_option,
    add_verbose_option,
)
from cifar_runtime.commands.parser import (
    Parser,
    choice,
    positive_int,
    run_command,
    share,
)
from cifar_runtime.commands.progress import ProgressLine, progress_line
from cifar_runtime.formats.known_formats import ModelFormat
from cifar_runtime.plain_text import printable_lines
from cifar_train.commands.picture_options import (
    DEFAULT_AUGMENT,
    DEFAULT_NETWORK,
    DEFAULT_RESIZE,
    add_network_options,
    check_weights,
    initial_weights,
)

if TYPE_CHECKING:
    from cifar_make.pipeline import Made
    from cifar_make.planning import Plan

PROGRAM = "cifar-make"
BOTH = ",".join(get_args(ModelFormat))
EXAMPLES = """\
  cifar-make photos                        # one folder a class; out/photos-int8.tflite comes out
  cifar-make photos -o out --dry-run       # the plan alone
  cifar-make photos --network mobilenet-v2 --weights mobilenet.weights.h5 --format tflite,onnx
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace; see :func:`recipe_from` for what the library takes."""
    parser = _parser()
    given = parse_with_config(parser, argv)
    check_weights(parser, given)
    return given


def _parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        description="Make a certified int8 model of a folder of your own pictures: check, train, export, measure. "
        "Interrupted anywhere, the same command goes on.",
        examples=EXAMPLES,
    )
    add = parser.add_argument
    add(
        "source",
        type=Path,
        metavar="FOLDER",
        help="one folder a class, train|val|test with these, or a CSV file of path,label",
    )
    add("-o", "--output", type=Path, default=Path("out"), metavar="DIR", help="(default: out)")
    add_network_options(parser)
    add(
        "--epochs",
        type=positive_int,
        metavar="N",
        help="at most N (default: by the number of pictures)",
    )
    add_seed_option(parser, "weights, order and augmentation")
    add(
        "-f",
        "--format",
        type=choice([*get_args(ModelFormat), BOTH]),
        default="tflite",
        metavar=BOTH,
        help="one of them, or both (default: tflite)",
    )
    add("--max-accuracy-drop", type=share, metavar="SHARE", help="of the gate (default: 0.5pp)")
    add("--min-agreement", type=share, metavar="SHARE", help="of the gate (default: 97%%)")
    add("--dry-run", action="store_true", help="print the plan and make nothing")
    add("--force", action="store_true", help="start over in a folder that was begun differently")
    add_config_option(parser)
    add_quiet_option(parser)
    add_verbose_option(parser)
    return parser


def recipe_from(given: argparse.Namespace) -> MakeRecipe:
    """The recipe that the options describe."""
    limits = {"max_accuracy_drop": given.max_accuracy_drop, "min_agreement": given.min_agreement}
    return MakeRecipe(
        source=given.source,
        output=given.output,
        size=given.size or DEFAULT_SIZE,
        resize_filter=given.resize or DEFAULT_RESIZE,
        network=given.network or DEFAULT_NETWORK,
        weights=initial_weights(given),
        augment=given.augment or DEFAULT_AUGMENT,
        epochs=given.epochs,
        seed=given.seed,
        formats=tuple(given.format.split(",")),
        gate=GateRecipe(**{name: one for name, one in limits.items() if one is not None}),
        force=given.force,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(PROGRAM, _run, argv)


def _run(argv: Sequence[str]) -> int:
    given = parse(argv)
    planned = _planned(recipe_from(given), quiet=given.quiet)
    if given.dry_run:
        sys.stdout.write(printable_lines(plan_lines(planned)))
        sys.stdout.write(f"\nthe same as a file for --config:\n{choices_as_toml(_parser(), argv)}")
        return 0
    line = ProgressLine("", quiet=given.quiet)
    for sentence in plan_lines(planned):
        line.say(sentence)
    sys.stdout.write(_made(planned, quiet=given.quiet))
    return 0


def _planned(recipe: MakeRecipe, *, quiet: bool) -> "Plan":
    """The plan; what the folder holds is said before."""
    from cifar_data.pictures.report import report_document, report_lines
    from cifar_make.planning import plan

    line = ProgressLine("decoding", quiet=quiet)
    try:
        planned = plan(recipe, processes=os.cpu_count() or 1, on_done=line.update)
    finally:
        line.clear()
    for sentence in report_lines(report_document(planned.pictures)):
        line.say(sentence)
    return planned


def plan_lines(planned: "Plan") -> list[str]:
    """The plan for a person: each step, what it leaves, and what of it is there already."""
    notes = {"to do": "", "begun": "  (begun, goes on)", "done": "  (done)"}
    lines = [f"The plan, in {planned.recipe.output}:"]
    for number, step in enumerate(planned.steps, start=1):
        lines.append(f"  {number}. {step.name:<8} {step.what}{notes[step.state]}")
        lines.append(f"     {'':<8} -> {', '.join(map(str, step.results))}")
    return lines


def _made(planned: "Plan", *, quiet: bool) -> str:
    """Makes what the plan says, and gives the lines for the user."""
    from cifar_make.pipeline import make
    from cifar_train.commands.printing_watcher import PrintingWatcher

    progress = progress_line(PROGRAM, quiet=quiet)
    watcher = PrintingWatcher(planned.training.epochs, quiet=quiet)
    try:
        made = make(planned, watcher=watcher, progress=progress)
    except KeyboardInterrupt:
        watcher.line.say("What is done is safe; the same command goes on.")
        raise
    return printable_lines(made_lines(made))


def made_lines(made: "Made") -> list[str]:
    """What was made for a person, and the three lines to use it."""
    first = made.artefacts[0]
    return [
        *map(_artefact_line, made.artefacts),
        made.meaning,
        f"The page of it all: {made.page}",
        "On the device, with cifar-edge-runtime installed:",
        f"  cifar-info {first} --self-test",
        f"  cifar-classify PICTURE -m {first}",
        f"  python -c \"from cifar_runtime import Classifier; print(Classifier('{first}').classify('PICTURE'))\"",
    ]


def _artefact_line(path: Path) -> str:
    from cifar_runtime import open_artefact

    card = open_artefact(path).card
    parity = card["provenance"]["parity"]
    return (
        f"{path}  {card['model']['size_bytes']:,} bytes  {parity['candidate_correct']:,} of {parity['seen']:,} "
        f"{parity['split']} pictures right (Keras: {parity['reference_correct']:,}), the same answer for "
        f"{parity['agreeing']:,}"
    )
