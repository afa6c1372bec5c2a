"""The pages tell the truth: commands parse, tables and outputs are the recorded ones, exit codes are the code's."""

import re
import shlex
from pathlib import Path

import pytest

from cifar_bench.commands import bench as bench_cli
from cifar_data.commands import data
from cifar_eval.commands import parity
from cifar_export.commands import export as export_cli
from cifar_maintain import readme
from cifar_runtime.commands import classify as classify_cli
from cifar_runtime.commands import info
from cifar_runtime.commands.parser import EXIT_CODES
from cifar_runtime.errors import INTERRUPTED_EXIT_CODE, CifarEdgeError
from cifar_train.commands import soft_labels
from cifar_train.commands import train as train_cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PARSERS = {
    "cifar-bench": bench_cli.parse,
    "cifar-classify": classify_cli.parse,
    "cifar-data": data.parse,
    "cifar-export": export_cli.parse,
    "cifar-info": info.parse,
    "cifar-parity": parity.parse,
    "cifar-soft-labels": soft_labels.parse,
    "cifar-train": train_cli.parse,
}


def shown_commands() -> list[str]:
    lines = re.findall(r"^[$+] (.*)$", README, flags=re.MULTILINE)
    lines += re.findall(r"`(cifar-[^`]+)`", README)
    pieces = [piece.strip() for line in lines for piece in line.split("|")]
    return [piece for piece in pieces if piece.split()[0] in PARSERS and len(piece.split()) > 1]


@pytest.mark.parametrize("command", shown_commands())
def test_every_shown_command_is_one_that_the_parser_takes(command: str) -> None:
    name, *arguments = shlex.split(command, comments=True)
    PARSERS[name](arguments)


def test_the_readme_shows_commands() -> None:
    assert {command.split()[0] for command in shown_commands()} == set(PARSERS)


def test_tables_and_outputs_are_the_recorded_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert readme.main(["--check"]) == 0


def test_every_recorded_block_is_filled() -> None:
    blocks = re.findall(
        r"<!-- (?:output|table|runs|why|picture): [a-z0-9-]+ -->\n(.*?)<!-- /",
        README,
        flags=re.DOTALL,
    )
    assert len(blocks) >= 8
    assert all(len(block) > 20 for block in blocks)


def test_exit_codes_are_the_same_everywhere() -> None:
    errors = [CifarEdgeError, *CifarEdgeError.__subclasses__()]
    codes = sorted({0, INTERRUPTED_EXIT_CODE, *(error.exit_code for error in errors)})
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", README, flags=re.MULTILINE)] == codes
    assert [int(code) for code in re.findall(r"^  (\d+) ", EXIT_CODES, flags=re.MULTILINE)] == codes


def test_links_between_pages_lead_somewhere() -> None:
    for name in re.findall(r"`((?:docs|train|runtime|models|benchmarks)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name
