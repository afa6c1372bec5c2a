"""The command ``cifar-batch``: classifies folders, buckets and Parquet files of pictures with Ray Data."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_batch.recipe import BatchRecipe
from cifar_runtime.commands.options import (
    add_contract_option,
    add_quiet_option,
    add_verbose_option,
)
from cifar_runtime.commands.parser import Parser, run_command, thread_count
from cifar_runtime.commands.progress import progress_line
from cifar_runtime.errors import InputError, UsageError
from cifar_runtime.plain_text import printable_lines

if TYPE_CHECKING:
    from cifar_batch.pipeline import BatchOutcome

PROGRAM = "cifar-batch"
EXAMPLES = """\
  cifar-batch photos -o results.parquet                          # every core of this machine
  cifar-batch s3://bucket/photos -o results.parquet -m int8.tflite
  cifar-batch photos.parquet -o results.parquet --address auto   # the Ray cluster that runs here
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace; see :func:`recipe_from` for what the library takes.

    Raises:
        UsageError: the command line makes no sense.
    """
    parser = Parser(
        prog=PROGRAM,
        description="Classify more pictures than one process has hours for, with Ray Data.\n"
        "Interrupted, the same command goes on; a picture that cannot be read never ends the job.",
        examples=EXAMPLES,
    )
    add = parser.add_argument
    help_ = "a folder of pictures, or Parquet with a column image; a path or a URI such as s3://"
    add("source", metavar="SOURCE", help=help_)
    help_ = "the folder of Parquet files for the results, with what is there already skipped"
    add("-o", "--output", required=True, metavar="DIR.parquet", help=help_)
    add("-m", "--model", type=Path, help=".tflite or .onnx file (default: the packaged model)")
    add_contract_option(parser)
    help_ = "join this Ray cluster, such as auto or 10.0.0.1:6379 (default: start Ray here)"
    add("--address", metavar="ADDRESS", help=help_)
    help_ = "processes that classify, each on a core (default: one a core)"
    add("-j", "--jobs", type=thread_count, metavar="N", help=help_)
    add_quiet_option(parser)
    add_verbose_option(parser)
    given = parser.parse_args(argv)
    if not given.output.partition("?")[0].rstrip("/").endswith(".parquet"):
        raise UsageError(
            f"{PROGRAM}: --output is {given.output}, expected a name that ends in .parquet.",
            hint=f"Give {given.output.rstrip('/')}.parquet.",
        )
    return given


def recipe_from(given: argparse.Namespace) -> BatchRecipe:
    """The recipe that the options describe."""
    return BatchRecipe(
        source=given.source,
        output=given.output,
        model=given.model,
        contract=given.contract,
        address=given.address,
        workers=given.jobs,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(PROGRAM, _run, argv)


def _run(argv: Sequence[str]) -> int:
    given = parse(argv)
    from cifar_batch.pipeline import classify_all

    outcome = classify_all(recipe_from(given), progress=progress_line(PROGRAM, quiet=given.quiet))
    sys.stdout.write(printable_lines(outcome_lines(outcome, given.output)))
    return InputError.exit_code if outcome.failed else 0


def outcome_lines(outcome: "BatchOutcome", output: str) -> list[str]:
    """What was done, for a person."""
    parts = [f"{outcome.classified:,} pictures classified"]
    if outcome.unsure:
        parts.append(f"{outcome.unsure:,} of them unsure")
    if outcome.failed:
        parts.append(f"{outcome.failed:,} not, see the column error")
    if outcome.done_before:
        parts.append(f"{outcome.done_before:,} were there already")
    lines = [f"{output}: {', '.join(parts)}"]
    seen = outcome.classified + outcome.failed
    if seen:
        speed = seen / outcome.seconds
        lines.append(
            f"{outcome.seconds:.1f} s after Ray's start, {speed:,.0f} pictures/s, "
            f"{speed / outcome.workers:,.0f} a core"
        )
    return lines
