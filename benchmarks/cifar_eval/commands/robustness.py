"""Measures models under corruptions beside their checkpoint: ``python -m cifar_eval.commands.robustness``.

It parses, runs and prints; the damage is in ``corruptions``, the counting in ``counts``.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from cifar_data.split_names import BenchSplit
from cifar_eval.robustness.measure import measure_robustness
from cifar_runtime.commands.options import (
    add_document_option,
    add_eval_data_option,
    add_limit_option,
    add_quiet_option,
    add_seed_option,
    add_split_option,
    add_threads_option,
    add_verbose_option,
)
from cifar_runtime.commands.parser import Parser, run_command
from cifar_runtime.commands.progress import progress_line
from cifar_runtime.commands.result_file import (
    STDOUT,
    check_result_file,
    write_document,
)

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
    return run_command(_PROGRAM, _run, argv)


def _run(argv: Sequence[str]) -> int:
    options = parse(argv)
    report = measure_robustness(
        options.against,
        *options.models,
        images=options.eval_data or options.split or "test-sample",
        limit=options.limit,
        threads=options.threads,
        seed=options.seed,
        progress=progress_line(_PROGRAM, quiet=options.quiet),
    )
    from cifar_eval.robustness.report import plain_robustness

    if options.json is not None:
        write_document(options.json, report.to_text())
    if options.json != STDOUT:
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
    add_split_option(images, get_args(BenchSplit))
    add_eval_data_option(images)
    add_limit_option(parser)
    add_seed_option(parser, "the damage")
    add_threads_option(parser)
    add_document_option(parser, "--json", "the report as JSON")
    add_quiet_option(parser)
    add_verbose_option(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
