"""The pages tell the truth: commands parse, links lead somewhere, tables are the recorded ones."""

import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cifar_batch.commands import batch as batch_cli
from cifar_bench.commands import bench as bench_cli
from cifar_bench.commands import board
from cifar_data.commands import data
from cifar_eval.commands import parity
from cifar_export.commands import export as export_cli
from cifar_maintain import readme
from cifar_make.commands import make as make_cli
from cifar_runtime.commands import classify as classify_cli
from cifar_runtime.commands import info
from cifar_runtime.commands.parser import EXIT_CODES
from cifar_runtime.errors import INTERRUPTED_EXIT_CODE, TERMINATED_EXIT_CODE, CifarEdgeError
from cifar_train.commands import soft_labels
from cifar_train.commands import train as train_cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DRAWN_PAGES = [ROOT / name for name in readme.PAGES]
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "log.md"),  # history
    *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs" / "models").glob("*.md")),
]
PARSERS = {
    "cifar-batch": batch_cli.parse,
    "cifar-bench": bench_cli.parse,
    "cifar-classify": classify_cli.parse,
    "cifar-data": data.parse,
    "cifar-export": export_cli.parse,
    "cifar-info": info.parse,
    "cifar-make": make_cli.parse,
    "cifar-parity": parity.parse,
    "cifar-soft-labels": soft_labels.parse,
    "cifar-board": board.parse,
    "cifar-train": train_cli.parse,
}
PROJECTS = [ROOT / "pyproject.toml", ROOT / "runtime" / "pyproject.toml"]


def shown_commands(text: str) -> Iterator[str]:
    """What stands after a prompt, and what stands in backticks, each part of a pipe by itself."""
    lines = re.findall(r"^[$+] (.*)$", text, flags=re.MULTILINE)
    lines += re.findall(r"`((?:cifar-[a-z-]+|python -m|make|pip) [^`]+)`", text)
    for line in lines:
        yield from (piece.strip() for piece in re.split(r"\s\|\s", line))


def commands() -> list[str]:
    found = {command for page in PAGES for command in shown_commands(page.read_text("utf-8"))}
    return sorted(found)


@pytest.mark.parametrize("command", [one for one in commands() if one.split()[0] in PARSERS])
def test_every_shown_command_is_one_that_the_parser_takes(command: str) -> None:
    name, *arguments = shlex.split(command, comments=True)
    if arguments == ["--version"]:
        return
    PARSERS[name](arguments)


@pytest.mark.parametrize(
    "command", [one for one in commands() if one.startswith(("python -m cifar", "python examples"))]
)
def test_every_shown_python_command_exists(command: str) -> None:
    _, second, *rest = shlex.split(command, comments=True)
    if second == "-m":
        module = importlib.import_module(rest[0])
        parse = getattr(module, "parse", None) or getattr(module, "_parse", None)
        if parse is not None:
            parse(rest[1:])
        return
    assert (ROOT / second).is_file()


@pytest.mark.parametrize("command", [one for one in commands() if one.startswith("pip install")])
def test_every_shown_extra_exists(command: str) -> None:
    projects = [tomllib.loads(path.read_text("utf-8"))["project"] for path in PROJECTS]
    extras = {extra for project in projects for extra in project["optional-dependencies"]}
    shown = re.findall(r"(?:\.|runtime)\[([\w,-]+)\]", command)
    assert {extra for group in shown for extra in group.split(",")} <= extras


def test_every_shown_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    shown = {one.split()[1] for one in commands() if one.startswith("make ")}
    assert shown
    assert shown <= targets


def test_the_pages_show_every_command() -> None:
    assert {command.split()[0] for command in commands()} >= set(PARSERS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        target = (page.parent / link).resolve()
        assert link.startswith("http") or target.exists(), link
    folders = "docs|train|runtime|models|benchmarks|examples"
    for name in re.findall(rf"`((?:{folders})/[\w./-]+)`", text):
        assert (ROOT / name).exists() or "NEW" in name, name


def test_the_readme_is_short() -> None:
    assert len(README.encode()) < 12_000
    assert README.count("\n") <= 170


def test_no_paragraph_is_longer_than_five_lines_and_no_table_wider_than_nine_columns() -> None:
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    for paragraph in re.split(r"\n\s*\n", prose):
        lines = [
            line
            for line in paragraph.splitlines()
            if not line.startswith(("|", "- ", "  ", "<!--"))
        ]
        assert len(lines) <= 5, paragraph
    rows = re.findall(r"^\|.*\|$", README, flags=re.MULTILINE)
    assert max(row.count("|") for row in rows) - 1 <= 9


def test_no_caption_is_longer_than_300_characters() -> None:
    captions = re.findall(r"\|\n\n([^\n]+)\n<!-- /", README)
    assert len(captions) == 2
    assert max(map(len, captions)) <= 300


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent.name == "docs"],
    ids=lambda page: page.stem,
)
def test_every_page_opens_with_the_question_that_it_answers(page: Path) -> None:
    _, first, *_ = page.read_text("utf-8").split("\n\n")
    assert "? " in f"{first} ".replace("\n", " ")


def test_tables_and_outputs_are_the_recorded_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert readme.main(["--check"]) == 0


def test_every_recorded_block_is_filled() -> None:
    blocks = [
        block
        for page in DRAWN_PAGES
        for block in re.findall(
            r"<!-- (?:output|excerpt|table|runs|recipes|family|why|picture|boards): [a-z0-9-]+ -->\n(.*?)<!-- /",
            page.read_text("utf-8"),
            flags=re.DOTALL,
        )
    ]
    assert len(blocks) >= 20
    assert all(len(block) > 20 for block in blocks)


def test_exit_codes_are_the_same_everywhere() -> None:
    errors = [CifarEdgeError, *CifarEdgeError.__subclasses__()]
    signals = {INTERRUPTED_EXIT_CODE, TERMINATED_EXIT_CODE}
    codes = sorted({0, *signals, *(error.exit_code for error in errors)})
    page = (ROOT / "docs" / "ci.md").read_text("utf-8")
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)] == codes
    assert [int(code) for code in re.findall(r"^  (\d+) ", EXIT_CODES, flags=re.MULTILINE)] == codes


def test_every_schema_on_the_page_is_in_its_file() -> None:
    page = (ROOT / "docs" / "ci.md").read_text("utf-8")
    rows = re.findall(
        r"^\| `(cifar-edge/[\w/-]+)` \|.*\| `([\w./-]+)` \|$", page, flags=re.MULTILINE
    )
    assert len(rows) == 14
    for schema, file in rows:
        assert f'"{schema}"' in (ROOT / file).read_text("utf-8")


def test_the_model_pages_begin_as_the_hub_wants_it() -> None:
    pages = sorted((ROOT / "docs" / "models").glob("*.md"))
    shipped = {"edge-s", *(path.stem for path in (ROOT / "models").glob("*.keras"))}
    assert {page.stem for page in pages} == shipped
    for page in pages:
        _, front, _ = page.read_text("utf-8").split("---\n", 2)
        assert 'license: "apache-2.0"' in front
        assert "model-index:" in front
