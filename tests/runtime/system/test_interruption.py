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
