"""``cifar-bench --mlperf-tiny`` and ``--mlperf-tiny-dut``: parses, calls one function, prints.

They are modes of ``cifar-bench`` with options of their own (``cifar-bench --mlperf-tiny --help``). It imports
numpy only to measure.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_bench.mlperf_recipe import (
    OFFICIAL_WARMUP,
    OFFICIAL_WINDOW_SECONDS,
    DutRecipe,
    MlperfRecipe,
)
from cifar_bench.target import Target, add_target_options, target_from_arguments
from cifar_runtime.command import Parser, execute, positive_int, sentences_to_stderr
from cifar_runtime.result_file import STDOUT, check_result_file, write_result_file

if TYPE_CHECKING:
    from cifar_bench.mlperf_report import MlperfReport

SCORE_OPTION = "--mlperf-tiny"
DUT_OPTION = "--mlperf-tiny-dut"

_PROGRAM = "cifar-bench"
_SCORE_EXAMPLES = """\
  cifar-bench --mlperf-tiny edge-s-int8.tflite --json score.json
  cifar-bench --mlperf-tiny pretrainedResnet_quant.tflite --contract cifar10-raw255
  cifar-bench --mlperf-tiny --window-seconds 0.5
"""
_DUT_EXAMPLES = """\
  cifar-bench --mlperf-tiny-dut edge-s-int8.tflite
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreInvocation:
    """One command line of ``--mlperf-tiny``.

    Attributes:
        recipe: what to measure.
        target: the board to measure on; None for this machine.
        json: where the JSON report goes: None, ``-`` for stdout, or a file.
        quiet: no progress on stderr.
    """

    recipe: MlperfRecipe
    target: Target | None
    json: str | None
    quiet: bool


def is_asked_for(argv: Sequence[str]) -> bool:
    """Whether a command line of ``cifar-bench`` is for this module."""
    return SCORE_OPTION in argv or DUT_OPTION in argv


def add_modes(parser: Parser) -> None:
    """Names the two modes in the help of ``cifar-bench``; each has a help of its own."""
    add = parser.add_argument_group("MLPerf Tiny").add_argument
    add(
        SCORE_OPTION,
        action="store_true",
        help="score as MLPerf Tiny does (see cifar-bench --mlperf-tiny --help)",
    )
    add(
        DUT_OPTION,
        action="store_true",
        help="serve one MODEL to MLCommons' runner on a pseudo-terminal",
    )


def parse_score(argv: Sequence[str]) -> ScoreInvocation:
    """The command line of ``--mlperf-tiny`` as data.

    Raises:
        UsageError: it makes no sense.
    """
    arguments = _score_parser().parse_args(argv)
    target = arguments.json
    check_result_file("--json", target, suffix=".json", program=_PROGRAM, operands="MODEL")
    return ScoreInvocation(
        recipe=MlperfRecipe(
            models=tuple(arguments.models),
            contract=arguments.contract,
            threads=arguments.threads,
            warmup=arguments.warmup,
            window_seconds=arguments.window_seconds,
        ),
        target=target_from_arguments(arguments),
        json=target,
        quiet=arguments.quiet,
    )


def parse_dut(argv: Sequence[str]) -> DutRecipe:
    """The command line of ``--mlperf-tiny-dut`` as data.

    Raises:
        UsageError: it makes no sense.
    """
    arguments = _dut_parser().parse_args(argv)
    return DutRecipe(model=arguments.model, contract=arguments.contract, threads=arguments.threads)


def main(argv: Sequence[str]) -> int:
    """Runs the mode that the command line asks for, and returns its exit code."""
    run = _serve if DUT_OPTION in argv else _score
    return execute(_PROGRAM, lambda: run(argv), argv=argv)


def _score(argv: Sequence[str]) -> int:
    invocation = parse_score(argv)
    progress = None if invocation.quiet else sentences_to_stderr(_PROGRAM)
    if invocation.target is None:
        from cifar_bench.mlperf_tiny import mlperf_tiny

        report = mlperf_tiny(invocation.recipe, progress=progress)
    else:
        from cifar_bench.remote import mlperf_tiny_on

        report = mlperf_tiny_on(invocation.target, invocation.recipe, progress=progress)
    _publish(report, invocation)
    return 0


def _publish(report: "MlperfReport", invocation: ScoreInvocation) -> None:
    from cifar_bench.mlperf_table import mlperf_table

    on_stdout = mlperf_table(report, invocation.recipe)
    if invocation.json == STDOUT:
        on_stdout = report.to_text()
    elif invocation.json is not None:
        write_result_file(invocation.json, report.to_text())
    sys.stdout.write(on_stdout)


def _serve(argv: Sequence[str]) -> int:
    recipe = parse_dut(argv)
    from cifar_bench.mlperf_dut import serve

    serve(recipe, announce=_announce)
    return 0


def _announce(path: str) -> None:
    sys.stdout.write(f"{path}\n")
    sys.stdout.flush()


def _score_parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        description="Score models as MLPerf Tiny does: five inputs, the median of five throughputs, "
        "accuracy on its 200 images of CIFAR-10.",
        examples=_SCORE_EXAMPLES,
    )
    add = parser.add_argument
    add(SCORE_OPTION, action="store_true", required=True, help="this mode")
    add(
        "models",
        metavar="MODEL",
        nargs="*",
        type=Path,
        help="exported .tflite or .onnx file with its card (default: the models in the package)",
    )
    _add_model_options(parser)
    add(
        "--warmup",
        type=positive_int,
        default=OFFICIAL_WARMUP,
        metavar="N",
        help=f"unmeasured inferences before each window (default: {OFFICIAL_WARMUP})",
    )
    add(
        "--window-seconds",
        type=_seconds,
        default=OFFICIAL_WINDOW_SECONDS,
        metavar="S",
        help=f"length of each of a model's five windows (default: {OFFICIAL_WINDOW_SECONDS:g}; "
        "less is a trial)",
    )
    add_target_options(parser)
    add(
        "--json",
        nargs="?",
        const=STDOUT,
        metavar="FILE",
        help="write the report as JSON, to stdout without FILE",
    )
    _add_noise_options(parser)
    return parser


def _dut_parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        description="Serve a model to MLCommons' runner as a device under test on a "
        "pseudo-terminal: prints its path and answers until exit% or Ctrl-C.",
        examples=_DUT_EXAMPLES,
    )
    add = parser.add_argument
    add(DUT_OPTION, action="store_true", required=True, help="this mode")
    add("model", metavar="MODEL", type=Path, help="exported .tflite or .onnx file with its card")
    _add_model_options(parser)
    _add_noise_options(parser)
    return parser


def _add_model_options(parser: Parser) -> None:
    parser.add_argument(
        "--contract",
        metavar="NAME|FILE",
        help="of models without a card: cifar10-raw255, cifar10-unit, or a .json file",
    )
    parser.add_argument(
        "--threads",
        type=positive_int,
        default=1,
        metavar="N",
        help="threads per inference (default: 1)",
    )


def _add_noise_options(parser: Parser) -> None:
    noise = parser.add_mutually_exclusive_group()
    noise.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    noise.add_argument(
        "-v", "--verbose", action="store_true", help="show the traceback of an unexpected error"
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds above zero")
    return value
