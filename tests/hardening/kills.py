"""Runs real commands that are killed, interrupted or terminated at a random moment: files are whole, old or new."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hardening.campaign import NOTHING_BESIDE, Budget, Result, generator

_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
# What a process that was asked to end may return: done before, the documented code, or ended before it listened.
_CODES = {
    signal.SIGKILL: {0, -9},
    signal.SIGINT: {0, 130, -2},
    signal.SIGTERM: {0, 143, -15},
}
_PATIENCE_SECONDS = 240.0
# Python, interrupted while it imports its own site module, says so with exit code 1; no code of ours has run then.
_TOO_EARLY = "ended before the command began"
_SITE = b"Failed to import the site module"
# The calls of a file that is written and put into place, and how many of each kind are let through at most.
_CALLS = ("fsync", "rename", "chmod", "unlink", "openat", "write", "close", "mkdir", "ftruncate")
_MAX_LET_THROUGH = {"openat": 400, "close": 400, "write": 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A command, and how to see that a kill has left nothing half.

    Attributes:
        name: one word.
        title: for the table.
        cases: how many in each form.
        chunk: so many at once.
        prepare: makes what it needs in a folder; why not, where it cannot.
        command: its arguments, in that folder.
        flaw: what is wrong in the folder after a kill; None: nothing.
        flaw_at_end: the same after a last whole run.
    """

    name: str
    title: str
    cases: Mapping[str, int]
    chunk: int
    prepare: Callable[[Path], str | None]
    command: Callable[[Path], list[str]]
    flaw: Callable[[Path], str | None]
    flaw_at_end: Callable[[Path], str | None]


class Kills:
    """One victim."""

    beside = NOTHING_BESIDE

    def __init__(self, victim: Victim) -> None:
        self._victim = victim
        self.name = f"kills-{victim.name}"
        self.title, self.cases, self.chunk = victim.title, victim.cases, victim.chunk

    def run(self, budget: Budget) -> Result:
        """Kills it at moments between its start and a little after its usual end."""
        result = Result(allowed=frozenset({"intact", _TOO_EARLY}))
        folder = budget.folder / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        missing = self._victim.prepare(folder)
        if missing is not None:
            result.measured["skipped"] = missing
            return result
        took = self._whole_run(folder)
        result.measured["whole_run_s"] = round(took, 2)
        self._victim.flaw(folder)  # which may note what a whole run left
        began = time.monotonic()  # what was prepared costs minutes, of some
        for case in range(budget.cases):
            if time.monotonic() - began > budget.seconds:
                break
            word = self._case(folder, took, generator(budget.seed, case))
            result.outcomes[word] += 1
            if word not in result.allowed:
                result.reproducers.append(f"seed {budget.seed}, case {case}: {word}")
        self._whole_run(folder)
        at_end = self._victim.flaw_at_end(folder)
        if at_end is not None:
            result.outcomes[at_end] += 1
        result.seconds = time.monotonic() - began
        return result

    def _case(self, folder: Path, took: float, rng: np.random.Generator) -> str:
        number = _SIGNALS[int(rng.integers(0, len(_SIGNALS)))]
        messages = folder.parent / "messages.txt"
        with messages.open("wb") as stream:
            process = _started(self._victim.command(folder), stream)
        try:
            process.wait(timeout=float(rng.uniform(0, 1.05 * took)))
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        code = _patient_code(process)
        if code is None:
            return f"did not end after {number.name}"
        if code == 1 and _SITE in messages.read_bytes():
            return self._victim.flaw(folder) or _TOO_EARLY
        if code not in _CODES[number]:
            return f"exit {code} after {number.name}"
        return self._victim.flaw(folder) or "intact"

    def _whole_run(self, folder: Path) -> float:
        start = time.monotonic()
        process = _started(self._victim.command(folder))
        if process.wait(timeout=1_800) != 0:
            raise RuntimeError(f"{self.name}: the whole run ended with {process.returncode}")
        return time.monotonic() - start


class TracedKills(Kills):
    """One victim, killed when it makes the nth system call of a kind, which strace sees to."""

    def __init__(self, victim: Victim, cases: Mapping[str, int]) -> None:
        super().__init__(victim)
        self.name = f"traced-{victim.name}"
        self.title = f"{victim.title.partition(',')[0]}, killed at a system call"
        self.cases = cases

    def run(self, budget: Budget) -> Result:
        """As above, where there is strace."""
        if shutil.which("strace") is None:
            return Result(measured={"skipped": "no strace here"})
        return super().run(budget)

    def _case(self, folder: Path, took: float, rng: np.random.Generator) -> str:
        del took
        call = str(rng.choice(_CALLS))
        number = int(rng.integers(1, 1 + _MAX_LET_THROUGH.get(call, 3)))
        trace = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        command = ["strace", "-f", "-qq", "-o", "/dev/null", *trace]
        process = _started([*command, *self._victim.command(folder)])
        code = _patient_code(process)
        if code is None:
            return f"did not end after {call}"
        if code not in (0, -signal.SIGKILL):
            return f"exit {code} after {call}"
        return self._victim.flaw(folder) or "intact"


def _started(
    command: list[str], messages: BinaryIO | int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=messages)


def _patient_code(process: "subprocess.Popen[bytes]") -> int | None:
    """The return code; None where it had to be ended."""
    try:
        return process.wait(timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def script(name: str) -> str:
    """The path of an installed command."""
    return str(Path(sys.executable).parent / name)
