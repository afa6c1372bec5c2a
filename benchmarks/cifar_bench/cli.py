"""The command ``cifar-bench``: parses, calls :func:`cifar_bench.bench.bench`, prints. Imports numpy only to measure."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cifar_bench.recipe import BenchRecipe, BenchSplit
from cifar_runtime.command import Parser, choice, execute, positive_int
from cifar_runtime.errors import UsageError
from cifar_runtime.result_file import STDOUT, check_result_file, write_result_file

if TYPE_CHECKING:
    from cifar_bench.report import Report

_PROGRAM = "cifar-bench"
_EXAMPLES = """\
  cifar-bench
  cifar-bench seed-cnn-int8.tflite seed-cnn-int8.onnx --json report.json
  cifar-bench seed-cnn-int8.tflite --against seed-cnn.keras --split test
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One command line.

    Attributes:
        recipe: what to measure.
        json: where the JSON report goes: None, ``-`` for stdout, or a file.
        markdown: where the Markdown table goes, likewise.
        quiet: no progress on stderr.
    """

    recipe: BenchRecipe
    json: str | None
    markdown: str | None
    quiet: bool


def parse(argv: Sequence[str]) -> Invocation:
    """The command line as data.

    Raises:
        UsageError: it makes no sense.
    """
    arguments = _parser().parse_args(argv)
    if arguments.json == STDOUT == arguments.markdown:
        raise UsageError(
            f"{_PROGRAM}: --json and --markdown both claim stdout.", hint="Give one of them a FILE."
        )
    for option, target, suffix in (
        ("--json", arguments.json, ".json"),
        ("--markdown", arguments.markdown, ".md"),
    ):
        check_result_file(option, target, suffix=suffix, program=_PROGRAM, operands="MODEL")
    return Invocation(
        recipe=BenchRecipe(
            models=tuple(arguments.models),
            against=tuple(arguments.against),
            split=arguments.split,
            limit=arguments.limit,
            threads=arguments.threads,
            warmup=arguments.warmup,
            runs=arguments.runs,
            contract=arguments.contract,
        ),
        json=arguments.json,
        markdown=arguments.markdown,
        quiet=arguments.quiet,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    return execute(_PROGRAM, lambda: _run(parse(arguments)), argv=arguments)


def _run(invocation: Invocation) -> int:
    from cifar_bench.bench import bench

    _publish(bench(invocation.recipe, progress=None if invocation.quiet else _tell), invocation)
    return 0


def _publish(report: "Report", invocation: Invocation) -> None:
    """Writes files, and one document to stdout: JSON or Markdown when asked, else the table."""
    from cifar_bench.table import markdown_table, plain_table

    on_stdout = plain_table(report)
    for target, text in (
        (invocation.json, report.to_text()),
        (invocation.markdown, markdown_table(report)),
    ):
        if target == STDOUT:
            on_stdout = text
        elif target is not None:
            write_result_file(target, text)
    sys.stdout.write(on_stdout)


def _tell(sentence: str) -> None:
    sys.stderr.write(f"{_PROGRAM}: {sentence}\n")


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        description="Measure accuracy, single-image latency and size of exported models.",
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add(
        "models",
        metavar="MODEL",
        nargs="*",
        type=Path,
        help="exported .tflite or .onnx file with its card (default: the models in the package)",
    )
    add(
        "--contract",
        metavar="NAME|FILE",
        help="of models without a card: cifar10-raw255, cifar10-unit, or a .json file",
    )
    add(
        "--against",
        metavar="CHECKPOINT",
        action="append",
        type=Path,
        default=[],
        help="Keras checkpoint to measure as well (repeatable); the first is the reference of agreement and drop",
    )
    add(
        "--split",
        type=choice(get_args(BenchSplit)),
        default="test-sample",
        metavar="NAME",
        help=f"images to score: {', '.join(get_args(BenchSplit))} (default: test-sample)",
    )
    add(
        "--limit",
        type=positive_int,
        metavar="N",
        help="score N images only, evenly over the classes",
    )
    add(
        "--threads",
        type=positive_int,
        default=1,
        metavar="N",
        help="threads per inference (default: 1)",
    )
    add(
        "--warmup",
        type=positive_int,
        default=10,
        metavar="N",
        help="unmeasured inferences before each of the 10 rounds (default: 10)",
    )
    add(
        "--runs",
        type=positive_int,
        default=1000,
        metavar="N",
        help="measured inferences per model (default: 1000)",
    )
    add(
        "--json",
        nargs="?",
        const=STDOUT,
        metavar="FILE",
        help="write the report as JSON, to stdout without FILE",
    )
    add(
        "--markdown",
        nargs="?",
        const=STDOUT,
        metavar="FILE",
        help="write the table as Markdown, to stdout without FILE",
    )
    noise = parser.add_mutually_exclusive_group()
    noise.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    noise.add_argument(
        "-v", "--verbose", action="store_true", help="show the traceback of an unexpected error"
    )
    return parser
