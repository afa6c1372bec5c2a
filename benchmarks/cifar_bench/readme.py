"""Regenerates what README.md shows of measurements and commands: ``python -m cifar_bench.readme [--check]``.

Between ``<!-- table: NAME -->`` and ``<!-- /table -->`` stands the Markdown table of
``benchmarks/reports/NAME.json``; between ``<!-- output: NAME -->`` and ``<!-- /output -->``, as a code block,
what a command printed, from ``docs/outputs/NAME.txt``. Nothing is measured here, and nothing is typed by hand.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cifar_runtime.command import Parser, execute
from cifar_runtime.errors import GateError, InputError

_PROGRAM = "python -m cifar_bench.readme"
_OPENING = re.compile(r"^<!-- (?:table|output): .*-->$", re.MULTILINE)
_BLOCK = re.compile(
    r"^<!-- (?P<kind>table|output): (?P<name>[a-z0-9][a-z0-9-]*) -->\n(?P<body>.*?)^<!-- /(?P=kind) -->$",
    re.MULTILINE | re.DOTALL,
)


def with_blocks(text: str, block: Callable[[str, str], str]) -> str:
    """The README's text with everything between markers replaced.

    Args:
        text: the README.
        block: gives the Markdown of a kind (``table`` or ``output``) and a name, with a last newline.

    Raises:
        InputError: a marker has no end, or a name that is none.
    """
    marked = list(_BLOCK.finditer(text))
    nested = any(_OPENING.search(found["body"]) for found in marked)
    if nested or len(marked) != len(_OPENING.findall(text)):
        raise InputError(
            "a marker is not closed, or its name is not of a-z, 0-9 and -.",
            hint="Write <!-- table: NAME -->, and <!-- /table --> on a line of its own.",
        )
    return _BLOCK.sub(lambda found: _filled(found, block), text)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    return execute(_PROGRAM, lambda: _run(_parse(arguments)), argv=arguments)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog=_PROGRAM, description="Regenerate the tables and command outputs in README.md."
    )
    parser.add_argument("--readme", type=Path, default=Path("README.md"), metavar="FILE")
    parser.add_argument(
        "--reports", type=Path, default=Path("benchmarks/reports"), metavar="FOLDER"
    )
    parser.add_argument("--outputs", type=Path, default=Path("docs/outputs"), metavar="FOLDER")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 5 when stale")
    return parser.parse_args(argv)


def _run(arguments: argparse.Namespace) -> int:
    from cifar_runtime.files import write_atomically

    old = _read(arguments.readme)
    folders = {"table": arguments.reports, "output": arguments.outputs}
    new = with_blocks(old, lambda kind, name: _BLOCKS[kind](folders[kind], name))
    if old == new:
        sys.stdout.write(f"{arguments.readme}: is up to date\n")
    elif arguments.check:
        raise GateError(
            f"{arguments.readme}: is not what the reports and outputs give.",
            hint=f"Run {_PROGRAM}.",
        )
    else:
        write_atomically(arguments.readme, new.encode())
        sys.stdout.write(f"{arguments.readme}: was regenerated\n")
    return 0


def _filled(found: re.Match[str], block: Callable[[str, str], str]) -> str:
    kind, name = found["kind"], found["name"]
    return f"<!-- {kind}: {name} -->\n{block(kind, name)}<!-- /{kind} -->"


def _table(folder: Path, name: str) -> str:
    from cifar_bench.matrix import MATRIX_SCHEMA, markdown_matrix, matrix_from_text
    from cifar_bench.report import report_from_text
    from cifar_bench.table import markdown_table

    path = folder / f"{name}.json"
    text = _read(path)
    if f'"{MATRIX_SCHEMA}"' in text:
        return markdown_matrix(matrix_from_text(text, origin=str(path)))
    return markdown_table(report_from_text(text, origin=str(path)))


def _output(folder: Path, name: str) -> str:
    return f"```console\n{_read(folder / f'{name}.txt').rstrip()}\n```\n"


_BLOCKS = {"table": _table, "output": _output}


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
