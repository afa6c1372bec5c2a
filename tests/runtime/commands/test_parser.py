"""What every command shares: exit codes, one-line errors, JSON errors, and choices."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

from cifar_runtime.commands.parser import Parser, Subcommand, choice, execute, positive_int, share
from cifar_runtime.errors import (
    ArtefactError,
    CifarEdgeError,
    GateError,
    InputError,
    MissingDependencyError,
    UsageError,
    not_one_of,
)
from cifar_runtime.system.interruption import checked_between


def raiser(error: BaseException) -> Callable[[], int]:
    def action() -> NoReturn:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (CifarEdgeError("m."), 1),
        (UsageError("m."), 2),
        (InputError("m."), 3),
        (ArtefactError("m."), 4),
        (GateError("m."), 5),
        (MissingDependencyError("m."), 6),
    ],
)
def test_each_error_has_its_exit_code_and_one_line(
    capsys: pytest.CaptureFixture[str], error: CifarEdgeError, exit_code: int
) -> None:
    error.hint = "Do this."
    assert execute("cifar-x", raiser(error), argv=[]) == exit_code
    assert capsys.readouterr() == ("", "cifar-x: m. Do this.\n")


@pytest.mark.parametrize("flag", ["--json", "--jsonl", "--json=out.json"])
def test_with_json_an_error_is_an_object(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    assert execute("cifar-x", raiser(InputError("m.", hint="h")), argv=["a", flag]) == 3
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "schema": "cifar-edge/error/1",
        "error": {"code": "input", "exit_code": 3, "message": "m.", "hint": "h"},
    }


def test_a_message_that_names_the_program_is_not_prefixed_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert execute("cifar-x", raiser(UsageError("cifar-x: no.")), argv=[]) == 2
    assert capsys.readouterr().err == "cifar-x: no.\n"


def test_a_bug_is_exit_code_one_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute("cifar-x", raiser(ZeroDivisionError("by zero")), argv=[]) == 1
    assert capsys.readouterr().err == (
        "cifar-x: unexpected ZeroDivisionError: by zero. Run again with -v and report it.\n"
    )


def test_a_foreign_exception_is_never_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """An interpreter once put half a megabyte of the model into its message."""
    message = "bad\n\x1b[31m " + "x" * 500_000
    assert execute("cifar-x", raiser(RuntimeError(message)), argv=[]) == 1
    err = capsys.readouterr().err
    assert err == (
        f"cifar-x: unexpected RuntimeError: bad \\x1b[31m {'x' * 284}.... "
        "Run again with -v and report it.\n"
    )


def test_a_bug_keeps_its_traceback_with_v(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute("cifar-x", raiser(ZeroDivisionError("by zero")), argv=["-v"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_an_interruption_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute("cifar-x", raiser(KeyboardInterrupt()), argv=[]) == 130
    assert capsys.readouterr().err == "cifar-x: interrupted\n"


@pytest.mark.parametrize(
    "after",
    ["return 0", "raise ImportError('partially initialized module')", "raise KeyboardInterrupt"],
)
@pytest.mark.parametrize(
    ("name", "code", "said"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")]
)
def test_an_interruption_that_a_library_swallowed_is_one_all_the_same(
    after: str, name: str, code: int, said: str, tmp_path: Path
) -> None:
    """C++ callbacks eat KeyboardInterrupt: the command then ran on and published, or ended as exit 1."""
    program = f"""
import os, signal, sys
from cifar_runtime.commands.parser import execute
from cifar_runtime.commands.result_file import write_result_file
def action():
    try:
        os.kill(os.getpid(), signal.{name})
        for _ in range(10_000_000): pass
    except KeyboardInterrupt:
        pass
    if sys.argv[1] == "publish": write_result_file("result.json", "{{}}")
    {after}
raise SystemExit(execute("cifar-x", action, argv=[]))
"""
    for publishes in ("publish", "no"):
        found = subprocess.run(
            [sys.executable, "-c", program, publishes],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (found.returncode, found.stderr) == (code, f"cifar-x: {said}\n")
    assert list(tmp_path.iterdir()) == []


def test_no_stage_begins_after_an_interruption_that_a_library_swallowed() -> None:
    begun: list[str] = []

    def action() -> int:
        announce = checked_between(begun.append)
        announce("first")
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        announce("second")
        return 0

    assert execute("cifar-x", action, argv=[]) == 130
    assert begun == ["first"]


def test_an_ignored_signal_stays_ignored() -> None:
    """As in a script's background job."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert execute("cifar-x", lambda: os.kill(os.getpid(), signal.SIGINT) or 0, argv=[]) == 0
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("code", [0, 3, 5])
def test_the_action_decides_the_exit_code(code: int) -> None:
    assert execute("cifar-x", lambda: code, argv=[]) == code


def test_a_reader_that_leaves_ends_quietly() -> None:
    program = (
        "from cifar_runtime.commands.parser import execute\n"
        "def action():\n"
        "    while True: print('x' * 1000)\n"
        "raise SystemExit(execute('cifar-x', action, argv=[]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tflit", "'tflit' is not one of tflite, onnx (did you mean tflite?)"),
        ("zzz", "'zzz' is not one of tflite, onnx"),
    ],
)
def test_a_wrong_choice_lists_the_right_ones(text: str, sentence: str) -> None:
    assert not_one_of(text, ["tflite", "onnx"]) == sentence
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not one of tflite, onnx"):
        choice(["tflite", "onnx"])(text)
    assert choice(["tflite", "onnx"])("onnx") == "onnx"


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (("bundle",), "expected bundle (did you mean bundle?)"),
        (("bundle", "flash"), "expected one of bundle, flash (did you mean bundle?)"),
    ],
)
def test_a_wrong_subcommand_lists_the_right_ones(choices: tuple[str, ...], expected: str) -> None:
    parser = Parser(prog="cifar-x", description="")
    parser.add_argument("action", type=Subcommand(choices), metavar="|".join(choices))
    with pytest.raises(UsageError) as caught:
        parser.parse_args(["bundl"])
    assert caught.value.message == f"cifar-x: unknown subcommand 'bundl', {expected}."
    assert parser.parse_args(["bundle"]).action == "bundle"


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "many"])
def test_numbers_must_be_whole_and_positive(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number above zero"):
        positive_int(text)
    assert positive_int("12") == 12


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.005", 0.005),
        ("0.5pp", 0.005),
        ("0.5%", 0.005),
        ("0.96", 0.96),
        ("0", 0.0),
        ("100%", 1.0),
        ("1", 1.0),
    ],
)
def test_a_share_is_written_as_a_fraction_in_percent_or_in_points(
    text: str, expected: float
) -> None:
    assert share(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "97", "-1%", "101%", "nan", "half", "5pp%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not a share such as 0\.005"):
        share(text)


def test_help_ends_with_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Parser(prog="cifar-x", description="d", examples="  cifar-x y\n").parse_args(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for line in ("examples:", "cifar-x y", "exit codes:", "130  interrupted", "143  terminated"):
        assert line in out


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["--topk", "3"], "unrecognized arguments: --topk (did you mean --top-k?)."),
        (["--topk=3"], "unrecognized arguments: --topk=3 (did you mean --top-k?)."),
        (["--zzz"], "unrecognized arguments: --zzz."),
        (["--top-k"], "argument --top-k: expected one argument."),
    ],
)
def test_a_mistyped_option_gets_the_nearest_one(line: list[str], sentence: str) -> None:
    parser = Parser(prog="cifar-x", description="d")
    parser.add_argument("image", nargs="*")
    parser.add_argument("--top-k")
    parser.add_argument("--threads")
    with pytest.raises(UsageError) as caught:
        parser.parse_args(line)
    assert str(caught.value) == f"cifar-x: {sentence} See cifar-x --help."


def test_a_parsing_mistake_is_a_usage_error() -> None:
    with pytest.raises(UsageError) as caught:
        Parser(prog="cifar-x", description="d").parse_args(["--nonsense"])
    assert str(caught.value) == ("cifar-x: unrecognized arguments: --nonsense. See cifar-x --help.")
