"""The command ``cifar-bench``: parses, calls :func:`cifar_bench.bench.bench`, prints. Imports numpy only to measure."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cifar_bench import mlperf_cli
from cifar_bench.recipe import BenchRecipe, BenchSplit
from cifar_bench.target import Target, add_target_options, target_from_arguments
from cifar_runtime.command import Parser, choice, execute, positive_int
from cifar_runtime.errors import UsageError

if TYPE_CHECKING:
    from cifar_bench.report import Report

_PROGRAM = "cifar-bench"
_STDOUT = "-"
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
        target: the board to measure on; None for this machine.
    """

    recipe: BenchRecipe
    json: str | None
    markdown: str | None
    quiet: bool
    target: Target | None = None


def parse(argv: Sequence[str]) -> Invocation:
    """The command line as data.

    Raises:
        UsageError: it makes no sense.
    """
    arguments = _parser().parse_args(argv)
    if arguments.json == _STDOUT == arguments.markdown:
        raise UsageError(
            f"{_PROGRAM}: --json and --markdown both claim stdout.", hint="Give one of them a FILE."
        )
    _check_suffix("--json", arguments.json, ".json")
    _check_suffix("--markdown", arguments.markdown, ".md")
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
        target=target_from_arguments(arguments),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if mlperf_cli.is_asked_for(arguments):
        return mlperf_cli.main(arguments)
    return execute(_PROGRAM, lambda: _run(parse(arguments)), argv=arguments)


def _run(invocation: Invocation) -> int:
    progress = None if invocation.quiet else _tell
    if invocation.target is not None:
        from cifar_bench.remote import bench_on

        report = bench_on(invocation.target, invocation.recipe, progress=progress)
    else:
        from cifar_bench.bench import bench

        report = bench(invocation.recipe, progress=progress)
    _publish(report, invocation)
    return 0


def _publish(report: "Report", invocation: Invocation) -> None:
    """Writes files, and one document to stdout: JSON or Markdown when asked, else the table."""
    from cifar_bench.table import markdown_table, plain_table

    on_stdout = plain_table(report)
    for target, text in (
        (invocation.json, report.to_text()),
        (invocation.markdown, markdown_table(report)),
    ):
        if target == _STDOUT:
            on_stdout = text
        elif target is not None:
            _write(Path(target), text)
    sys.stdout.write(on_stdout)


def _write(path: Path, text: str) -> None:
    from cifar_runtime.files import write_atomically

    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}.",
            hint="Give a file in a writable folder.",
        ) from error


def _tell(sentence: str) -> None:
    sys.stderr.write(f"{_PROGRAM}: {sentence}\n")


def _check_suffix(option: str, target: str | None, suffix: str) -> None:
    """Refuses a FILE of another kind: ``--json model.tflite`` means a model, and must not overwrite it."""
    if target not in (None, _STDOUT) and not str(target).endswith(suffix):
        raise UsageError(
            f"{_PROGRAM}: {option} would write to {target}, expected a name that ends in {suffix}.",
            hint=f"Give MODEL before {option}, or {option} FILE{suffix}.",
        )


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        description="Measure accuracy, single-image latency and size of exported models.",
        examples=_EXAMPLES,
    )
    mlperf_cli.add_modes(parser)
    add_target_options(parser)
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
        const=_STDOUT,
        metavar="FILE",
        help="write the report as JSON, to stdout without FILE",
    )
    add(
        "--markdown",
        nargs="?",
        const=_STDOUT,
        metavar="FILE",
        help="write the table as Markdown, to stdout without FILE",
    )
    noise = parser.add_mutually_exclusive_group()
    noise.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    noise.add_argument(
        "-v", "--verbose", action="store_true", help="show the traceback of an unexpected error"
    )
    return parser
