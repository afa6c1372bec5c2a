"""Ctrl-C reaches those that it is meant for."""

import signal
import subprocess
import sys
from functools import partial

import pytest

from cifar_runtime.system.interruption import sparing_children


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no such masks")
def test_ctrl_c_passes_by_processes_that_are_started_sparingly_and_by_no_others() -> None:
    code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    start = partial(subprocess.run, [sys.executable, "-c", code], capture_output=True, check=True)
    with sparing_children():
        spared = start()
    assert (spared.stdout, start().stdout) == (b"True\n", b"False\n")


def test_ctrl_c_in_a_callback_that_drops_exceptions_is_remembered_and_prints_nothing() -> None:
    """A collection of garbage is one: what its callbacks raise Python prints as ignored, and goes on."""
    program = """
import gc, os, signal
from cifar_runtime.commands.parser import execute
def callback(*_):
    gc.callbacks.clear()
    os.kill(os.getpid(), signal.SIGTERM)
def action():
    gc.callbacks.append(callback)
    gc.collect()
    return 0
raise SystemExit(execute("cifar-x", action, argv=[]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (143, "cifar-x: terminated\n")
