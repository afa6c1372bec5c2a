"""What a command line of ``cifar-classify`` asks for, and which ones are refused."""

from pathlib import Path
from typing import Any

import pytest

from cifar_runtime.commands.classify import ClassifyRecipe, parse
from cifar_runtime.errors import UsageError


def recipe(**changes: Any) -> ClassifyRecipe:
    return ClassifyRecipe(
        **{
            "inputs": ("a.png",),
            "null": False,
            "model": None,
            "contract": None,
            "top_k": 1,
            "jobs": 1,
            "output": "table",
            "json_path": None,
            "threads": 1,
            "runtime": "auto",
            "verbosity": 0,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["a.png"], recipe()),
        (["a.png", "b", "-"], recipe(inputs=("a.png", "b", "-"))),
        (["a.png", "--json"], recipe(output="json")),
        (["--json", "o.json", "a.png"], recipe(output="json", json_path=Path("o.json"))),
        (["--json=o.json", "a.png"], recipe(output="json", json_path=Path("o.json"))),
        (["a.png", "--jsonl", "b.png"], recipe(inputs=("a.png", "b.png"), output="jsonl")),
        (
            ["-m", "x.onnx", "a.png", "--runtime", "onnx"],
            recipe(model=Path("x.onnx"), runtime="onnx"),
        ),
        (["a.png", "-k", "3", "--threads", "2", "-q"], recipe(top_k=3, threads=2, verbosity=-1)),
        (["a.png", "-v"], recipe(verbosity=1)),
        (["-", "-0", "--jsonl"], recipe(inputs=("-",), null=True, output="jsonl")),
    ],
)
def test_a_command_line_is_a_recipe(argv: list[str], expected: ClassifyRecipe) -> None:
    assert parse(argv) == expected


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: IMAGE"),
        (["a.png", "-k", "0"], "'0' is not a whole number above zero"),
        (["a.png", "-k", "9" * 5000], f"'{'9' * 37}...' is not a whole number above zero"),
        (["a.png", "--threads", "257"], "'257' is too large, expected at most 256"),
        (["a.png", "--threads", "3000000000"], "'3000000000' is too large, expected at most 256"),
        (
            ["a.png", "--runtime", "onx"],
            "'onx' is not one of auto, tflite, onnx (did you mean onnx?)",
        ),
        (["a.png", "--json", "--jsonl"], "not allowed with argument --json"),
        (["a.png", "-q", "-v"], "not allowed with argument -q"),
        (["a.png", "--wrong"], "unrecognized arguments: --wrong"),
        (
            ["a.png", "--json", "b.png"],
            "--json would write to b.png, expected a name that ends in .json",
        ),
        (["--json", "b.png"], "--json would write to b.png, expected a name that ends in .json"),
    ],
)
def test_a_senseless_command_line_says_why(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(argv)
    assert message in str(caught.value)
