"""The options that several commands have: what each leaves in the namespace."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cifar_runtime.commands import options
from cifar_runtime.commands.parser import Parser
from cifar_runtime.errors import UsageError


def parsed(add: Callable[[Parser], None], *argv: str) -> dict[str, Any]:
    parser = Parser(prog="cifar-x", description="d")
    add(parser)
    return vars(parser.parse_args(argv))


def add_json(parser: Parser) -> None:
    options.add_document_option(parser, "--json", "the report as JSON")


def add_split(parser: Parser) -> None:
    options.add_split_option(parser, ("test-sample", "test"))


def add_seed(parser: Parser) -> None:
    options.add_seed_option(parser, "the damage")


@pytest.mark.parametrize(
    ("add", "argv", "expected"),
    [
        (add_json, [], {"json": None}),
        (add_json, ["--json"], {"json": "-"}),
        (add_json, ["--json", "r.json"], {"json": "r.json"}),
        (options.add_quiet_option, ["-q"], {"quiet": True}),
        (options.add_quiet_option, [], {"quiet": False}),
        (options.add_verbose_option, ["--verbose"], {"verbose": True}),
        (options.add_threads_option, [], {"threads": 1}),
        (options.add_threads_option, ["--threads", "4"], {"threads": 4}),
        (options.add_contract_option, ["--contract", "cifar10-unit"], {"contract": "cifar10-unit"}),
        (add_split, [], {"split": None}),
        (add_split, ["--split", "test"], {"split": "test"}),
        (options.add_eval_data_option, ["--eval-data", "mine"], {"eval_data": Path("mine")}),
        (options.add_limit_option, ["--limit", "10"], {"limit": 10}),
        (add_seed, [], {"seed": 0}),
    ],
)
def test_an_option_is_read(
    add: Callable[[Parser], None], argv: list[str], expected: dict[str, Any]
) -> None:
    assert parsed(add, *argv) == expected


@pytest.mark.parametrize(
    ("add", "argv", "message"),
    [
        (options.add_threads_option, ["--threads", "0"], "'0' is not a whole number above zero"),
        (options.add_limit_option, ["--limit", "x"], "'x' is not a whole number above zero"),
        (add_seed, ["--seed", "-1"], "'-1' is not a whole number from zero up"),
        (
            add_split,
            ["--split", "tets"],
            "'tets' is not one of test-sample, test (did you mean test?)",
        ),
    ],
)
def test_an_option_refuses(add: Callable[[Parser], None], argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parsed(add, *argv)
    assert raised.value.message == f"cifar-x: argument {argv[0]}: {message}."


@pytest.mark.parametrize(
    ("add", "sentence"),
    [
        (add_json, "write the report as JSON, to stdout without FILE"),
        (add_split, "labelled images: test-sample, test (default: test-sample)"),
        (add_seed, "of the damage (default: 0)"),
        (options.add_verbose_option, "show the traceback of an unexpected error"),
        (
            lambda parser: options.add_verbose_option(parser, "a note"),
            "show a note, and the traceback of an unexpected error",
        ),
    ],
)
def test_help_says_what_an_option_does(add: Callable[[Parser], None], sentence: str) -> None:
    parser = Parser(prog="cifar-x", description="d")
    add(parser)
    assert sentence in " ".join(parser.format_help().split())
