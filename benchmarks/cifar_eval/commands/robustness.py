"""Measures models under corruptions beside their checkpoint: ``python -m cifar_eval.commands.robustness``.

It parses, runs and prints; the damage is in ``corruptions``, the counting in ``counts``.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from cifar_data.split_names import BenchSplit
from cifar_eval.robustness.measure import measure_robustness
from cifar_runtime.commands.parser import (
    Parser,
    choice,
    execute,
    positive_int,
    sentences_to_stderr,
    whole_number,
)
from cifar_runtime.commands.result_file import STDOUT, check_result_file, write_result_file

_PROGRAM = "python -m cifar_eval.commands.robustness"
_EXAMPLES = """\
  python -m cifar_eval.commands.robustness edge-s-int8.tflite --against edge-s.keras
  python -m cifar_eval.commands.robustness edge-s-int8.tflite --against edge-s.keras --split validation \\
      --limit 1000 --json robustness.json
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace.

    Raises:
        UsageError: it makes no sense.
    """
    options = _parser().parse_args(argv)
    check_result_file(
        "--json", options.json, suffix=".json", program=_PROGRAM, operands="the models"
    )
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    return execute(_PROGRAM, partial(_run, arguments), argv=arguments)


def _run(argv: Sequence[str]) -> int:
    options = parse(argv)
    report = measure_robustness(
        options.against,
        *options.models,
        images=options.eval_data or options.split or "test-sample",
        limit=options.limit,
        threads=options.threads,
        seed=options.seed,
        progress=None if options.quiet else sentences_to_stderr(_PROGRAM),
    )
    from cifar_eval.robustness.report import plain_robustness

    if options.json == STDOUT:
        sys.stdout.write(report.to_text())
        return 0
    if options.json is not None:
        write_result_file(options.json, report.to_text())
    sys.stdout.write(plain_robustness(report))
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        description="Measure accuracy on corrupted images (noise, blur, contrast, brightness, JPEG, shift; five "
        "severities) of exported models and of the checkpoint they come from, side by side.",
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add(
        "models",
        metavar="MODEL",
        nargs="+",
        type=Path,
        help="one or more of .tflite or .onnx with their cards, or .keras",
    )
    add(
        "--against",
        metavar="CHECKPOINT",
        type=Path,
        required=True,
        help="the model they are compared with: a .keras file, or any exported one",
    )
    images = parser.add_mutually_exclusive_group()
    images.add_argument(
        "--split",
        type=choice(get_args(BenchSplit)),
        metavar="NAME",
        help=f"images to damage: {', '.join(get_args(BenchSplit))} (default: test-sample)",
    )
    images.add_argument(
        "--eval-data",
        type=Path,
        metavar="DIR",
        help="your own images instead: one folder a class, named like the model's labels",
    )
    add(
        "--limit", type=positive_int, metavar="N", help="use N images only, evenly over the classes"
    )
    add("--seed", type=whole_number, default=0, metavar="N", help="of the damage (default: 0)")
    add(
        "--threads",
        type=positive_int,
        default=1,
        metavar="N",
        help="threads per inference (default: 1)",
    )
    add(
        "--json",
        nargs="?",
        const=STDOUT,
        metavar="FILE.json",
        help="write the report as JSON, to stdout without FILE",
    )
    add("-q", "--quiet", action="store_true", help="no progress on stderr")
    add("-v", "--verbose", action="store_true", help="the traceback of an unexpected error")
    return parser


if __name__ == "__main__":
    sys.exit(main())
