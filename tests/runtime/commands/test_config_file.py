"""Options from a TOML file: what a key means, what goes first, and what is refused with the file's name."""

from pathlib import Path
from typing import Any

import pytest

from cifar_runtime.commands.config_file import (
    add_config_option,
    choices_as_toml,
    parse_with_config,
)
from cifar_runtime.commands.parser import Parser, SomeOf, positive_int
from cifar_runtime.errors import InputError, UsageError


def parser() -> Parser:
    made = Parser(prog="cifar-x", description="d")
    made.add_argument("model", nargs="?", type=Path)
    made.add_argument("-f", "--format", type=SomeOf(("tflite", "onnx")), default=("tflite",))
    made.add_argument("--batch-size", type=positive_int)
    made.add_argument("--qat", action="store_true")
    made.add_argument("--against", action="append", type=Path, default=[])
    images = made.add_mutually_exclusive_group()
    images.add_argument("--split")
    images.add_argument("--eval-data", type=Path)
    made.add_argument("-q", "--quiet", action="store_true")
    add_config_option(made)
    return made


def parsed(folder: Path, text: str, *argv: str) -> dict[str, Any]:
    path = folder / "x.toml"
    path.write_text(text)
    return vars(parse_with_config(parser(), ["--config", str(path), *argv]))


def test_each_key_is_an_option_without_its_dashes_or_a_positional(tmp_path: Path) -> None:
    text = 'model = "a.keras"\nformat = ["onnx", "tflite"]\nbatch-size = 32\nqat = true\n'
    found = parsed(tmp_path, text)
    assert found["model"] == Path("a.keras")
    assert found["format"] == ("onnx", "tflite")
    assert (found["batch_size"], found["qat"]) == (32, True)


def test_the_command_line_goes_first(tmp_path: Path) -> None:
    text = 'model = "a.keras"\nformat = "onnx"\nbatch-size = 32\n'
    found = parsed(tmp_path, text, "b.keras", "-f", "tflite", "--batch-size=8")
    assert (found["model"], found["format"], found["batch_size"]) == (
        Path("b.keras"),
        ("tflite",),
        8,
    )


@pytest.mark.parametrize("value", ['"a.keras"', '["a.keras"]'])
def test_an_option_that_may_be_repeated_is_a_list_which_the_command_line_replaces(
    tmp_path: Path, value: str
) -> None:
    text = f"against = {value}\n"
    assert parsed(tmp_path, text)["against"] == [Path("a.keras")]
    assert parsed(tmp_path, text, "--against", "b.keras")["against"] == [Path("b.keras")]


def test_an_option_of_the_command_line_drops_what_it_excludes(tmp_path: Path) -> None:
    found = parsed(tmp_path, 'split = "test"\n', "--eval-data", "pictures")
    assert (found["split"], found["eval_data"]) == (None, Path("pictures"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch-siz = 3", "batch-siz is no option of this command (did you mean batch-size?)."),
        ("batch-size = 0", "batch-size: '0' is not a whole number above zero."),
        ('qat = "yes"', "qat is 'yes', expected true or false."),
        ("batch-size = true", "batch-size: True is neither text, a number nor a list of these."),
        ('format = "tflit"', "format: 'tflit' is not one of tflite, onnx (did you mean tflite?)."),
        ("quiet = true", "quiet is no option of this command."),
    ],
)
def test_what_the_command_line_would_refuse_is_refused_with_the_files_name(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'x.toml'}: {message} See cifar-x --help."


def test_a_file_that_is_no_toml_or_missing_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not TOML"):
        parsed(tmp_path, "seed: 1\n")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        parse_with_config(parser(), [f"--config={tmp_path / 'none.toml'}"])


def test_choices_are_written_as_a_file_that_chooses_the_same(tmp_path: Path) -> None:
    """As they were typed, with those of a file that was given; not how much is printed."""
    path = tmp_path / "x.toml"
    path.write_text('split = "test"\nqat = true\nbatch-size = 4\n')
    argv = ["a.keras", "--config", str(path), "--batch-size", "8", "--eval-data", "p", "-q"]
    text = choices_as_toml(parser(), argv)
    assert text.splitlines() == [
        "qat = true",
        'batch-size = "8"',
        'model = "a.keras"',
        'eval-data = "p"',
    ]
    expected = vars(parse_with_config(parser(), argv))
    found = parsed(tmp_path, text, "-q")
    assert {**found, "config": None} == {**expected, "config": None}
