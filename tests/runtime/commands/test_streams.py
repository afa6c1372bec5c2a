"""Streams that are closed, full, or of a narrow encoding cost no traceback and no result that can be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
PROGRAM = """
import sys
from cifar_runtime.commands.parser import execute
from cifar_runtime.errors import InputError
def action():
    sys.stderr.write("a note\\n")
    for path in sys.argv[1:]: open(path).close()
    sys.stdin.read()
    print("caf\u00e9 \u00b1 " + "x" * 20_000)
    return 0
raise SystemExit(execute("cifar-x", action, argv=["--json"] if "--json" in sys.argv else []))
"""


def run(redirection: str = "", *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the small command, with the shell's redirection."""
    finished = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$@" {redirection}', sys.executable, PROGRAM, *arguments],
        input="",
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
    )
    return finished.returncode, finished.stdout, finished.stderr


def test_a_closed_stdin_is_an_empty_one() -> None:
    assert run("<&-")[0] == 0


def test_a_closed_stdout_is_a_result_that_cannot_be_written() -> None:
    assert run(">&-") == (
        3,
        "",
        "a note\ncifar-x: standard output cannot be written: Bad file descriptor. "
        "Free space there, or write to another place.\n",
    )


@needs_full
def test_a_full_stdout_is_a_result_that_cannot_be_written() -> None:
    code, _, err = run(">/dev/full")
    assert code == 3
    assert err.splitlines()[1:] == [
        "cifar-x: standard output cannot be written: No space left on device. "
        "Free space there, or write to another place."
    ]


@needs_full
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_lost_message_costs_no_result(redirection: str) -> None:
    code, out, _ = run(redirection)
    assert (code, out[:8]) == (0, "café ± x")


@needs_full
@pytest.mark.parametrize("redirection", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_nothing_can_be_said_but_the_exit_code(redirection: str) -> None:
    assert run(redirection) == (3, "", "")


@needs_full
def test_an_error_document_that_cannot_be_written() -> None:
    """The flush at exit used to end as exit code 120."""
    code, _, err = run(">/dev/full", "--json", "missing")
    assert code == 3
    assert "standard output cannot be written" in err
    assert "Traceback" not in err


def test_an_encoding_that_lacks_a_character_escapes_it() -> None:
    code, out, _ = run(PYTHONIOENCODING="ascii")
    assert (code, out[:13]) == (0, "caf\\xe9 \\xb1 ")


def test_what_the_file_system_refuses_is_an_input_error() -> None:
    assert run("", "missing") == (
        3,
        "",
        "a note\ncifar-x: missing: cannot be used: No such file or directory. "
        "Check the path, its permissions and the space left.\n",
    )


@needs_full
@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_help_that_cannot_be_written_ends_in_words(option: str, redirection: str) -> None:
    """The flush at exit used to end as exit code 120 and a traceback."""
    command = f'exec "$0" -m cifar_runtime {option} {redirection}'
    ended = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert "standard output cannot be written" in ended.stderr
