"""Publishes prepared bytes a thousand times in children that are killed at chosen points; run as a program.

It forks from a process that has imported little, so that a thousand children take seconds. A child dies by
SIGKILL before the n-th line of Python that publishing executes, which includes the moments before and after every
call of the operating system. Prints one JSON object.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from cifar_export.publish.publish import place, publish, write_artefact, write_document
from cifar_export.scratch import PREFIX, staging_folder, sweep
from cifar_runtime.artefact import card_path, open_artefact
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.embedded_card import sealed

FAILED = "m.onnx.failed.parity.json"
CONTRACT = {
    "input": {
        "shape": [8, 8, 3],
        "dtype": "float32",
        "multiplier": 1.0,
        "offset": 0.0,
        "scale": None,
        "zero_point": None,
        "resize_filter": "bicubic",
    },
    "output": {"kind": "logits", "dtype": "float32", "scale": None, "zero_point": None},
    "labels": ["cat", "dog"],
}


def model_bytes(name: str, *, repeats: int) -> bytes:
    """An ONNX file of nothing but an IR version and a doc_string, which is all that publishing looks at."""
    text = name.encode() * repeats
    length, prefix = len(text), b""
    while length > 127:
        prefix += bytes([length & 127 | 128])
        length >>= 7
    return b"\x08\x08\x32" + prefix + bytes([length]) + text


MODELS = {name: model_bytes(name, repeats=5000) for name in ("former", "new")}


def artefact_of(name: str) -> tuple[bytes, dict[str, Any]]:
    """The model with its document inside, and its card."""
    document = {
        "schema": "cifar-edge/artefact/1",
        "name": name,
        "model": {"file": "m.onnx", "format": "onnx"},
        "contract": CONTRACT,
        "provenance": {},
    }
    return sealed(MODELS[name], "onnx", document)


def publish_new(output: Path) -> None:
    """What an export does when conversion is over."""
    sweep(output)
    with staging_folder(output) as folder:
        write_artefact(folder / "m.onnx", *artefact_of("new"))
        publish(folder / "m.onnx", output / "m.onnx", force=True)
    (output / FAILED).unlink(missing_ok=True)


def publish_failed(output: Path) -> None:
    """What an export does when its gate has failed."""
    sweep(output)
    with staging_folder(output) as folder:
        write_artefact(folder / "m.onnx", *artefact_of("new"))
        write_document(folder / FAILED, artefact_of("new")[1])
        place(folder / FAILED, output / FAILED)


def start_empty(output: Path) -> None:
    output.mkdir()


def start_with_former(output: Path) -> None:
    output.mkdir()
    write_artefact(output / "m.onnx", *artefact_of("former"))


def start_with_same_model(output: Path) -> None:
    output.mkdir()
    write_artefact(output / "m.onnx", *artefact_of("new"))


def start_interrupted(output: Path) -> None:
    """An earlier publication died when its card was in place and its model was not."""
    start_with_former(output)
    both = {**artefact_of("new")[1], "replaces": artefact_of("former")[1]}
    card_path(output / "m.onnx").write_text(json.dumps(both))
    (output / f"{PREFIX}00000000-1-left").mkdir()


def start_after_failed_gate(output: Path) -> None:
    start_with_former(output)
    publish_failed(output)


STARTS: dict[str, Callable[[Path], None]] = {
    "empty": start_empty,
    "former": start_with_former,
    "same model": start_with_same_model,
    "interrupted": start_interrupted,
    "after failed gate": start_after_failed_gate,
}


def state(output: Path) -> str:
    """``none``, ``former`` or ``new``, or why the artefact does not open."""
    path = output / "m.onnx"
    if not path.exists():
        return "none"
    try:
        return open_artefact(path).name
    except ArtefactError as error:
        return f"broken: {error}"


def traced(action: Callable[[], None], stop_at: int | None) -> int:
    """The number of lines that ``action`` executes; the process dies before line ``stop_at``."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        if event == "line":
            count += 1
            if count == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)
    return count


def in_child(action: Callable[[], object]) -> int:
    """The wait status of a child that does it."""
    pid = os.fork()
    if pid == 0:
        action()
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def kill_during(output: Path, delay_s: float) -> None:
    pid = os.fork()
    if pid == 0:
        publish_new(output)
        os._exit(0)
    time.sleep(delay_s)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def check_after(start: str, output: Path, where: str, problems: list[str]) -> str:
    found = state(output)
    allowed = {"empty": ("none", "new"), "same model": ("new",)}.get(start, ("former", "new"))
    if found not in allowed:
        problems.append(f"{start}, {where}: {found}")
    publish_new(output)  # a re-run repairs whatever was left, and sweeps
    names = sorted(path.name for path in output.iterdir() if "00000000" not in path.name)
    card = json.loads(card_path(output / "m.onnx").read_text())
    if state(output) != "new" or card != artefact_of("new")[1]:
        problems.append(f"{start}, {where}: the re-run left {state(output)}")
    if names != ["m.onnx", "m.onnx.json"]:
        problems.append(f"{start}, {where}: the re-run left {names}")
    shutil.rmtree(output)
    return found


def kill_failed_gates(folder: Path, points: int, problems: list[str]) -> dict[str, int]:
    """How many kills left a document of the failed gate, and how many none; the artefact stays the former."""
    outcomes: dict[str, int] = {}
    for name in ("gate warm-up", "gate counted"):
        start_with_former(folder / name)
        lines = traced(partial(publish_failed, folder / name), None)
    for index in range(points):
        output = folder / f"gate-{index}"
        start_with_former(output)
        line = 1 + index * lines // points
        in_child(partial(traced, partial(publish_failed, output), line))
        left = output / FAILED
        if left.exists() and json.loads(left.read_text()) != artefact_of("new")[1]:
            problems.append(f"failed gate, line {line} of {lines}: half a document")
        outcome = "document" if left.exists() else "none"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if state(output) != "former":
            problems.append(f"failed gate, line {line} of {lines}: {state(output)}")
        check_after("former", output, f"failed gate, line {line} of {lines}", problems)
    return outcomes


def main(folder: Path, points: int, real_kills: int) -> dict[str, Any]:
    os.fsync = lambda _descriptor: None  # a kill, unlike a power cut, loses nothing written
    problems: list[str] = []
    outcomes: dict[str, int] = {}
    killed = 0
    for start, prepare in STARTS.items():
        # Twice: the first use of the standard library takes lines of its own.
        for name in (f"{start} warm-up", f"{start} counted"):
            prepare(folder / name)
            lines = traced(partial(publish_new, folder / name), None)
        for index in range(points // len(STARTS)):
            output = folder / f"{start}-{index}"
            line = 1 + index * lines * len(STARTS) // points
            prepare(output)
            status = in_child(partial(traced, partial(publish_new, output), line))
            killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            found = check_after(start, output, f"line {line} of {lines}", problems)
            outcomes[f"{start}: {found}"] = outcomes.get(f"{start}: {found}", 0) + 1
    failed_gates = kill_failed_gates(folder, points // 5, problems)
    MODELS["new"] = model_bytes("new", repeats=2_000_000)  # 6 MB: a kill meets half-written files
    delays = random.Random(1)  # noqa: S311 - moments, not secrets
    for index in range(real_kills):
        output = folder / f"real-{index}"
        start_with_former(output)
        delay_s = delays.uniform(0, 0.06)
        kill_during(output, delay_s)
        found = check_after("former", output, f"after {delay_s} s", problems)
        outcomes[f"timed: {found}"] = outcomes.get(f"timed: {found}", 0) + 1
    return {"problems": problems, "killed": killed, "outcomes": outcomes, "failed": failed_gates}


if __name__ == "__main__":
    result = main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(json.dumps(result))
