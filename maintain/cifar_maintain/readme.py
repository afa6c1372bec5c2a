"""Regenerates what README and docs show of measurements and commands: ``python -m cifar_maintain.readme [--check]``.

The pages are listed in ``PAGES``. Between ``<!-- table: NAME -->`` and ``<!-- /table -->`` stands the Markdown table of
``benchmarks/reports/NAME.json``; between ``<!-- output: NAME -->`` and ``<!-- /output -->``, as a code block,
what a command printed, from ``docs/outputs/NAME.txt``, of which ``<!-- excerpt: NAME -->`` shows the lines that
``EXCERPTS`` picks. ``<!-- runs: NAME -->`` holds a table of the training runs
whose cards are ``docs/runs/NAME-seed-*/card.json``, with the ``parity-int8.json`` beside them,
``<!-- recipes: all -->`` one of what each recipe's runs cost and reached, ``<!-- family: NAME -->`` the report's int8
.tflite files beside MLPerf Tiny's references, ``<!-- boards: networks -->`` (or ``tflm``) a table of
``boards.json``, ``<!-- why: NAME -->`` the report's sentence on int8,
``<!-- picture: NAME-latency -->`` (or ``-size``, ``-macs``, ``-roofline``, ``-spread``) a link to that figure, which is
drawn to ``docs/pictures``, and ``NAME-family`` the picture of the models of ``family``. ``docs/models`` holds a page a
shipped model (see ``model_pages``). Nothing is measured here, and nothing is typed by hand.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_runtime.commands.parser import Parser, run_command
from cifar_runtime.errors import GateError, InputError

if TYPE_CHECKING:
    from cifar_bench.results.report import Report
    from cifar_maintain.tables.training_table import TrainingRun

_PROGRAM = "python -m cifar_maintain.readme"
PAGES = (
    "README.md",
    "docs/own-pictures.md",
    "docs/own-model.md",
    "docs/int8-accuracy.md",
    "docs/board.md",
    "docs/boards.md",
    "docs/microcontroller.md",
    "docs/benchmarks.md",
    "docs/training.md",
    "docs/ci.md",
    "docs/reliability.md",
)
"""Every page with markers but ``docs/phones.md``, which its own measurement draws."""
EXCERPTS: Mapping[str, tuple[str, str]] = {
    "demo": (
        "make demo",
        # Not its times, which are the machine's on which it was recorded: the tables have those of a quiet one.
        r"\+ cifar-(export|classify|bench) |\.demo/|.*/(cat|dog)\.png|edge-s-int8: drop",
    )
}
"""Which command an excerpt shows, and which lines of its output: those that begin so."""
_KINDS = "table|output|excerpt|runs|recipes|family|why|picture|boards"
_OPENING = re.compile(rf"^<!-- (?:{_KINDS}): .*-->$", re.MULTILINE)
_BLOCK = re.compile(
    rf"^<!-- (?P<kind>{_KINDS}): (?P<name>[a-z0-9][a-z0-9-]*) -->\n(?P<body>.*?)^<!-- /(?P=kind) -->$",
    re.MULTILINE | re.DOTALL,
)


def with_blocks(text: str, block: Callable[[str, str], str]) -> str:
    """A page's text with everything between markers replaced.

    Args:
        text: the page.
        block: gives the Markdown of a kind (such as ``table``) and a name, with a last newline.

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
    return run_command(_PROGRAM, lambda arguments: _run(_parse(arguments)), argv)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog=_PROGRAM,
        description="Regenerate the tables, command outputs and pictures in README.md and docs.",
    )
    parser.add_argument(
        "pages",
        nargs="*",
        type=Path,
        metavar="PAGE",
        help="pages with markers (default: README, docs and the models' pages)",
    )
    parser.add_argument(
        "--reports", type=Path, default=Path("benchmarks/reports"), metavar="FOLDER"
    )
    parser.add_argument("--outputs", type=Path, default=Path("docs/outputs"), metavar="FOLDER")
    parser.add_argument("--runs", type=Path, default=Path("docs/runs"), metavar="FOLDER")
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"), metavar="FOLDER")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 5 when stale")
    return parser.parse_args(argv)


def _run(arguments: argparse.Namespace) -> int:
    from cifar_runtime.system.files import write_atomically

    files = _generated(arguments)
    stale = [path for path, text in files.items() if not path.exists() or _read(path) != text]
    if not stale:
        sys.stdout.write(f"{len(files)} files are up to date\n")
    elif arguments.check:
        raise GateError(
            f"{', '.join(map(str, stale))}: is not what the reports and outputs give.",
            hint=f"Run {_PROGRAM}.",
        )
    for path in stale:
        write_atomically(path, files[path].encode())
        sys.stdout.write(f"{path}: was regenerated\n")
    return 0


def _generated(arguments: argparse.Namespace) -> dict[Path, str]:
    """Every page and picture as it should be, by path."""
    files: dict[Path, str] = {}
    for page in arguments.pages or map(Path, PAGES):
        files |= _page(page, arguments)
    if not arguments.pages:
        from cifar_maintain.tables.model_pages import model_pages

        files |= model_pages(Path("models"), Path("docs/models"))
    return files


def _page(page: Path, arguments: argparse.Namespace) -> dict[Path, str]:
    """One page and the pictures that it shows."""
    pictures: dict[Path, str] = {}

    def picture(name: str) -> str:
        path = arguments.pictures / f"{name}.svg"
        pictures[path], title = _picture(arguments.reports, name)
        return f"![{title}]({_link(path, page)})\n"

    drawn: dict[str, Callable[[str], str]] = {
        "output": lambda name: _output(arguments.outputs / f"{name}.txt"),
        "excerpt": lambda name: _excerpt(arguments.outputs / f"{name}.txt", name),
        "runs": lambda name: _runs(arguments.runs, name),
        "recipes": lambda _: _recipes(arguments.runs),
        "picture": picture,
        "table": lambda name: _table(arguments.reports, name),
        "family": lambda name: _family(_report(arguments.reports, name)),
        "boards": lambda name: _boards(arguments.reports, name),
        "why": lambda name: _why(_report(arguments.reports, name)),
    }
    text = with_blocks(_read(page), lambda kind, name: drawn[kind](name))
    return {page: text, **pictures}


def _filled(found: re.Match[str], block: Callable[[str, str], str]) -> str:
    kind, name = found["kind"], found["name"]
    return f"<!-- {kind}: {name} -->\n{block(kind, name)}<!-- /{kind} -->"


def _report(folder: Path, name: str) -> "Report":
    from cifar_bench.regression.baseline import read_report

    return read_report(folder / f"{name}.json")


def _table(folder: Path, name: str) -> str:
    from cifar_bench.measure.end_to_end import SCHEMA
    from cifar_bench.results.report import report_from_text
    from cifar_bench.tables.end_to_end import end_to_end_markdown
    from cifar_bench.tables.plain import markdown_table
    from cifar_maintain.tables.battery_table import BATTERY_SCHEMA, battery_table
    from cifar_maintain.tables.hardening_table import HARDENING_SCHEMA, hardening_table
    from cifar_maintain.tables.matrix_report import MATRIX_SCHEMA, markdown_matrix, matrix_from_text
    from cifar_maintain.textbook import TEXTBOOK_SCHEMA, textbook_table

    path = folder / f"{name}.json"
    text = _read(path)
    if f'"{MATRIX_SCHEMA}"' in text:
        return markdown_matrix(matrix_from_text(text, origin=str(path)))
    if f'"{HARDENING_SCHEMA}"' in text:
        return hardening_table(text, origin=str(path))
    if f'"{BATTERY_SCHEMA}"' in text:
        return battery_table(text)
    if f'"{TEXTBOOK_SCHEMA}"' in text:
        return textbook_table(text, origin=str(path))
    if f'"{SCHEMA}"' in text:
        return end_to_end_markdown(text, origin=str(path))
    return markdown_table(report_from_text(text, origin=str(path)))


def _output(path: Path) -> str:
    return f"```console\n{_read(path).rstrip()}\n```\n"


def _excerpt(path: Path, name: str) -> str:
    """The lines of an output that tell what it is about.

    Raises:
        InputError: nothing says which lines those are.
    """
    if name not in EXCERPTS:
        raise InputError(
            f"excerpt {name!r} has no lines to pick.", hint=f"One of: {', '.join(EXCERPTS)}."
        )
    command, shown = EXCERPTS[name]
    lines = [line for line in _read(path).splitlines() if re.match(shown, line)]
    return "\n".join(["```console", f"$ {command}", *lines, "```", ""])


def _family(report: "Report") -> str:
    from cifar_maintain.tables.family_table import family_table

    return family_table(report)


def _boards(folder: Path, name: str) -> str:
    from cifar_maintain.boards import boards_table

    path = folder / "boards.json"
    return boards_table(_read(path), name, origin=str(path))


def _runs(folder: Path, name: str) -> str:
    from cifar_maintain.tables.training_table import training_table

    return training_table(_kept_runs(folder, name), origin=str(folder))


def _recipes(folder: Path) -> str:
    from cifar_maintain.tables.training_table import recipes_table

    return recipes_table(_kept_runs(folder, "*"), origin=str(folder))


def _kept_runs(folder: Path, name: str) -> list["TrainingRun"]:
    from cifar_maintain.tables.training_table import TrainingRun

    runs = []
    for card in sorted(folder.glob(f"{name}-seed-*/card.json")):
        int8 = card.with_name("parity-int8.json")
        runs.append(
            TrainingRun(
                card=json.loads(_read(card)),
                int8=json.loads(_read(int8)) if int8.exists() else None,
            )
        )
    return runs


def _why(report: "Report") -> str:
    return f"{report.why_int8 or 'No int8 and float32 model of one network were measured.'}\n"


def _picture(folder: Path, name: str) -> tuple[str, str]:
    """The SVG file of a figure, and what it shows in words.

    Raises:
        InputError: the name ends in no figure's name, or the report has nothing to draw in it.
    """
    from cifar_bench.figures.svg import standalone
    from cifar_maintain.tables.family_figure import TITLE, family_figure

    report_name, _, figure = name.rpartition("-")
    family = figure == "family"
    title, draw = (TITLE, family_figure) if family else _figure(name, figure)
    markup = draw(_report(folder, report_name))
    if markup is None:
        raise InputError(
            f"{report_name}.json: holds nothing to draw as {figure}.",
            hint="Measure again with cifar-bench --json FILE.",
        )
    return standalone(markup), title


def _figure(name: str, figure: str) -> "tuple[str, Callable[[Report], str | None]]":
    """The title of a figure, and what draws it of a report."""
    from cifar_bench.figures.catalogue import FIGURES
    from cifar_bench.figures.figure import README_WIDTH

    if figure not in FIGURES:
        raise InputError(
            f"picture {name!r} ends in no figure's name.",
            hint=f"Write NAME- and one of {', '.join(FIGURES)} or family.",
        )
    return FIGURES[figure].title, partial(FIGURES[figure].draw, width=README_WIDTH)


def _link(path: Path, page: Path) -> str:
    """The path as seen from a page."""
    return Path(os.path.relpath(path, page.parent)).as_posix()


def _read(path: Path) -> str:
    from cifar_runtime.system.files import read_once

    data = read_once(path, max_bytes=64 * 1024 * 1024, error=InputError)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 text: {error}.", hint="Restore the file."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
