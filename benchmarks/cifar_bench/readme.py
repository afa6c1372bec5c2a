"""Regenerates the tables in README.md from committed reports: ``python -m cifar_bench.readme [--check]``.

Between ``<!-- table: NAME -->`` and ``<!-- /table -->`` stands the Markdown table of
``benchmarks/reports/NAME.json``. Nothing is measured here, and nothing in a table is typed.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cifar_runtime.command import Parser, execute
from cifar_runtime.errors import GateError, InputError

_PROGRAM = "python -m cifar_bench.readme"
_OPENING = re.compile(r"^<!-- table: .*-->$", re.MULTILINE)
_TABLE = re.compile(
    r"^<!-- table: (?P<name>[a-z0-9][a-z0-9-]*) -->\n(?P<body>.*?)^<!-- /table -->$",
    re.MULTILINE | re.DOTALL,
)


def with_tables(text: str, table: Callable[[str], str]) -> str:
    """The README's text with every marked table replaced.

    Args:
        text: the README.
        table: gives the Markdown of a table's name, with a last newline.

    Raises:
        InputError: a marker has no end, or a name that is none.
    """
    marked = list(_TABLE.finditer(text))
    nested = any(_OPENING.search(found["body"]) for found in marked)
    if nested or len(marked) != len(_OPENING.findall(text)):
        raise InputError(
            "a table marker is not closed, or its name is not of a-z, 0-9 and -.",
            hint="Write <!-- table: NAME -->, and <!-- /table --> on a line of its own.",
        )
    return _TABLE.sub(
        lambda found: f"<!-- table: {found['name']} -->\n{table(found['name'])}<!-- /table -->",
        text,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    return execute(_PROGRAM, lambda: _run(_parse(arguments)), argv=arguments)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog=_PROGRAM, description="Regenerate the tables in README.md from reports.")
    parser.add_argument("--readme", type=Path, default=Path("README.md"), metavar="FILE")
    parser.add_argument(
        "--reports", type=Path, default=Path("benchmarks/reports"), metavar="FOLDER"
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 5 when stale")
    return parser.parse_args(argv)


def _run(arguments: argparse.Namespace) -> int:
    from cifar_runtime.files import write_atomically

    old = _read(arguments.readme)
    new = with_tables(old, lambda name: _table_of(arguments.reports / f"{name}.json"))
    if old == new:
        sys.stdout.write(f"{arguments.readme}: tables are up to date\n")
    elif arguments.check:
        raise GateError(
            f"{arguments.readme}: its tables are not those of the reports in {arguments.reports}.",
            hint=f"Run {_PROGRAM}.",
        )
    else:
        write_atomically(arguments.readme, new.encode())
        sys.stdout.write(f"{arguments.readme}: tables were regenerated\n")
    return 0


def _table_of(path: Path) -> str:
    from cifar_bench.report import report_from_text
    from cifar_bench.table import markdown_table

    return markdown_table(report_from_text(_read(path), origin=str(path)))


def _read(path: Path) -> str:
    from cifar_runtime.files import read_once

    data = read_once(path, max_bytes=64 * 1024 * 1024, error=InputError)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 text: {error}.", hint="Restore the file."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
