"""A process that dies in a converter leaves a sentence; one that does not leaves nothing."""

import signal
import subprocess
import sys

import pytest

_SCRIPT = """
import os, signal, sys
from cifar_export.streams import quiet_conversion
from cifar_export.witness import witnessed

with witnessed("mine.keras: died. Try another."):
    with quiet_conversion():
        {inside}
"""


def _run(inside: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(inside=inside)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_death_is_reported_though_the_converter_is_silenced(number: signal.Signals) -> None:
    died = _run(f"os.kill(os.getpid(), {int(number)})")
    assert died.returncode == -number
    assert died.stderr.strip() == "mine.keras: died. Try another."


@pytest.mark.parametrize(
    ("inside", "code", "said"),
    [
        ("pass", 0, ""),
        ("raise ValueError('no form')", 1, "ValueError: no form"),
        ("sys.exit(4)", 4, ""),
    ],
)
def test_a_process_that_goes_on_reports_nothing(inside: str, code: int, said: str) -> None:
    ended = _run(inside)
    assert ended.returncode == code
    assert "died" not in ended.stderr
    assert said in ended.stderr
