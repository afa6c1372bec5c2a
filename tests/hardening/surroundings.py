"""Full disks, folders that cannot be written, closed and full streams: each command ends with a documented code."""

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path

import numpy as np

from cifar_runtime.classifier import default_model
from hardening.campaign import NOTHING_BESIDE, Budget, Result
from hardening.kills import script

_DOCUMENTED = {0, 2, 3, 4, 5, 6}
_ALLOWED = frozenset({"documented end"})
Setup = Callable[[], None]


def _close(*descriptors: int) -> Setup:
    def close() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return close


def _full(*descriptors: int) -> Setup:
    def fill() -> None:
        for descriptor in descriptors:
            os.dup2(os.open("/dev/full", os.O_WRONLY), descriptor)

    return fill


def _limited(limit: int, value: int) -> Setup:
    return lambda: resource.setrlimit(limit, (value, value))


_SURROUNDINGS: Mapping[str, Setup] = {
    "usual": lambda: None,
    "stdin closed": _close(0),
    "stdout closed": _close(1),
    "stderr closed": _close(2),
    "all closed": _close(0, 1, 2),
    "stdout full": _full(1),
    "stderr full": _full(2),
    "both full": _full(1, 2),
    "files of 512 bytes at most": _limited(resource.RLIMIT_FSIZE, 512),
    "32 descriptors": _limited(resource.RLIMIT_NOFILE, 32),
    "1 GiB of address space": _limited(resource.RLIMIT_AS, 1 << 30),
}
_ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {
    "UTF-8": {"PYTHONIOENCODING": "utf-8"},
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "HOME empty": {"HOME": ""},
}
# /proc and /sys refuse new files to everyone, root too.
_TARGETS = ("result.json", "/proc/result.json", "/sys/result.json", "new/deep/result.json")


class Surroundings:
    """Every command in every surrounding, in an order that is drawn once."""

    name = "surroundings"
    title = (
        "Commands with closed or full streams, unwritable folders, small limits, narrow encodings"
    )
    cases: Mapping[str, int] = {"quick": 60, "nightly": 363}
    chunk = 33
    beside = NOTHING_BESIDE

    def run(self, budget: Budget) -> Result:
        """Runs the commands one after another; the seed says which part of all combinations."""
        result, began = Result(allowed=_ALLOWED), time.monotonic()
        folder = budget.folder / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        combinations = list(product(_commands(folder), _SURROUNDINGS, _ENVIRONMENTS))
        order = np.random.default_rng(0).permutation(len(combinations))
        first = budget.seed * budget.cases
        for case in range(first, first + budget.cases):
            if time.monotonic() - began > budget.seconds:
                break
            command, surrounding, environment = combinations[order[case % len(order)]]
            word = _ending(command, surrounding, environment, folder)
            result.outcomes[word] += 1
            if word not in _ALLOWED:
                line = " ".join(command).replace(str(folder), ".")
                result.reproducers.append(f"{word}: {line} with {surrounding}, {environment}")
        result.seconds = time.monotonic() - began
        return result


def _commands(folder: Path) -> list[list[str]]:
    from PIL import Image

    odd = folder / "K\u00e4fer \x1b[31m.png"
    Image.new("RGB", (40, 30), (20, 130, 40)).save(odd)
    model = str(default_model("tflite"))
    classify, info = script("cifar-classify"), script("cifar-info")
    commands = [
        [classify, str(odd)],
        [classify, str(odd), "missing.png", "x" * 300, ""],
        [classify, str(odd), "--jsonl"],
        [classify, "-"],
        [info, model],
        [info, model, "--json"],
        [script("cifar-data"), "info"],
    ]
    return commands + [[classify, str(odd), "--json", target] for target in _TARGETS]


def _ending(command: list[str], surrounding: str, environment: str, folder: Path) -> str:
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **_ENVIRONMENTS[environment]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            preexec_fn=_SURROUNDINGS[surrounding],
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "hang"
    if b"Traceback" in ended.stderr or b"Exception ignored" in ended.stderr:
        return "traceback"
    return "documented end" if ended.returncode in _DOCUMENTED else f"exit {ended.returncode}"
