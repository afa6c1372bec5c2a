"""The command ``cifar-board``: parses, writes what a board without a network installs, prints."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from cifar_bench.remote.wheels import Machine, write_offline_bundle
from cifar_eval.formatting import counted
from cifar_runtime.commands.parser import Parser, Subcommand, choice, run_command
from cifar_runtime.commands.result_file import check_result_file
from cifar_runtime.plain_text import printable_lines

_PROGRAM = "cifar-board"
_PYTHON = "3.11"
_EXAMPLES = """\
  cifar-board bundle -o pi.zip                             for a 64-bit Raspberry Pi OS with Python 3.11
  cifar-board bundle exported/mine-int8.tflite -o pi.zip --python 3.13
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace.

    Raises:
        UsageError: it makes no sense.
    """
    parser = Parser(
        prog=_PROGRAM,
        description="Bring the runtime to a board: bundle writes one ZIP archive with the wheels of the runtime and "
        "all that it needs, install.sh, and models.",
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add("action", type=Subcommand(("bundle",)), metavar="bundle", help="write the archive")
    add("models", nargs="*", type=Path, metavar="MODEL", help="to bring along, with their cards")
    add("-o", "--output", required=True, metavar="FILE.zip", help="the archive")
    add(
        "--machine",
        type=choice(get_args(Machine)),
        default="aarch64",
        metavar="|".join(get_args(Machine)),
        help="the board's, as uname -m says; others have no wheels (default: aarch64)",
    )
    add(
        "--python",
        type=_python_version,
        default=_PYTHON,
        metavar="3.N",
        help=f"the board's Python (default: {_PYTHON})",
    )
    options = parser.parse_args(argv)
    check_result_file("--output", options.output, suffix=".zip", program=_PROGRAM, operands="MODEL")
    return options


def _python_version(text: str) -> str:
    if not re.fullmatch(r"3\.\d{1,2}", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no version such as {_PYTHON}")
    return text


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def _run(argv: Sequence[str]) -> int:
    options = parse(argv)
    bundle = write_offline_bundle(
        Path(options.output), machine=options.machine, python=options.python, models=options.models
    )
    models = f", {counted(len(bundle.models), 'model')}" if bundle.models else ""
    lines = (
        f"{bundle.path}: {len(bundle.wheels)} wheels for Python {options.python} on {options.machine}{models}, "
        f"{bundle.size_bytes:,} bytes",
        f"next: unzip {bundle.path.name} there, and sh install.sh",
    )
    sys.stdout.write(printable_lines(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
