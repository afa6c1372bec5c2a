"""Every number on every command line has a range: what lies outside is a usage error of one short sentence."""

import argparse
import importlib
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cifar_runtime.commands.parser import Parser
from cifar_runtime.errors import UsageError

ROOT = Path(__file__).parents[2]


def installed_commands() -> list[str]:
    """The modules of all commands that the two distributions install."""
    projects = (ROOT / "pyproject.toml", ROOT / "runtime" / "pyproject.toml")
    scripts = [tomllib.loads(path.read_text())["project"]["scripts"] for path in projects]
    return sorted({place.partition(":")[0] for found in scripts for place in found.values()})


COMMANDS = [*installed_commands(), "cifar_eval.commands.robustness"]
# What some number among the options takes, by which an option is known to be one.
NUMBERS = ("1", "0.5", "1/2", "96x96")
HOSTILE = (
    *("-1", "-0.001", "-1e309", "nan", "-nan", "inf", "-inf", "1e309", "1e99", "0x10", "", " "),
    *("3000000000", "1" + "0" * 30, "9" * 5_000, "1" + "." * 100_000, "1,nan", "96x", "1/0"),
    *("96x99999999999999999999", "1/" + "9" * 5_000, "\u0661\u0662\u0663" * 20, "1\x1b[31m"),
)
LONGEST_MESSAGE = 1_200


class _Captured(BaseException):
    """Carries a parser out of a command; no boundary of errors takes it for one."""


def parser_of(command: str) -> Parser:
    """The parser that a command builds, taken from it before it reads anything."""

    def capture(parser: Parser, *_: object) -> None:
        raise _Captured(parser)

    module = importlib.import_module(command)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("parse_args", "parse_intermixed_args"):
            patch.setattr(Parser, name, capture)
        with pytest.raises(_Captured) as caught:
            getattr(module, "parse", module.main)(["x"])
    parser = caught.value.args[0]
    assert isinstance(parser, Parser)
    return parser


def takes_numbers(action: argparse.Action) -> bool:
    """Whether an option's type makes something else than text or a path of a number."""
    if not callable(action.type) or not action.option_strings:
        return False
    for text in NUMBERS:
        try:
            value = action.type(text)
        except (argparse.ArgumentTypeError, ValueError):
            continue
        parts = value if isinstance(value, tuple) else (value,)
        if all(not isinstance(part, str) and not hasattr(part, "__fspath__") for part in parts):
            return True
    return False


def numeric_options() -> Iterator[tuple[str, str]]:
    for command in COMMANDS:
        for action in parser_of(command)._actions:
            if takes_numbers(action):
                yield command, action.option_strings[-1]


OPTIONS = sorted(numeric_options())


def refused(command: str, argv: Sequence[str]) -> str:
    with pytest.raises(UsageError) as caught:
        parser_of(command).parse_args(argv)
    return str(caught.value)


def test_the_numbers_of_all_commands_are_found() -> None:
    assert ("cifar_export.commands.export", "--qat-learning-rate") in OPTIONS
    assert ("cifar_train.commands.train", "--fold") in OPTIONS
    assert ("cifar_train.commands.train", "--size") in OPTIONS
    assert ("cifar_bench.commands.bench", "--batch-sizes") in OPTIONS
    assert len(OPTIONS) >= 34


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_a_number_outside_its_range_is_one_short_sentence(command: str, option: str) -> None:
    for text in HOSTILE:
        message = refused(command, [f"{option}={text}"])
        assert option in message
        assert len(message) <= LONGEST_MESSAGE, (text[:20], len(message))


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_of_a_megabyte_is_not_printed_whole(command: str) -> None:
    assert len(refused(command, ["--" + "x" * 1_000_000])) <= LONGEST_MESSAGE
