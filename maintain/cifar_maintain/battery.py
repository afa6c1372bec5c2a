"""Exports a trained model of every kind that people bring: ``python -m cifar_maintain.battery``, or ``make battery``.

Each kind of ``tests/models`` is trained, exported and judged by ``models.row`` in processes of its own, one at a time.
Every row is in the report as soon as it is known, so that a run that was stopped goes on where it was. ``make readme``
draws the report's table into docs/own-model.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from cifar_maintain.tables.battery_table import BATTERY_SCHEMA
from cifar_runtime.commands.parser import Parser, run_command
from cifar_runtime.documents import to_document
from cifar_runtime.environment import read_environment
from cifar_runtime.errors import CifarEdgeError, InputError
from cifar_runtime.system.files import write_atomically

_PROGRAM = "python -m cifar_maintain.battery"
_TESTS = Path("tests")
_PACKAGES = ("tensorflow", "keras", "tf2onnx", "onnxruntime", "ai-edge-litert")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog=_PROGRAM, description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "kinds", nargs="*", metavar="KIND", help="measure these again (default: those missing)"
    )
    parser.add_argument(
        "--max-seconds", type=float, default=float("inf"), help="begin no row after so long"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="keep each kind's files below this folder, and what was trained there before",
    )
    parser.add_argument("--report", type=Path, default=Path("benchmarks/reports/battery.json"))
    return parser.parse_args(argv)


def _run(argv: Sequence[str]) -> int:
    options = _parse(argv)
    rows = {row["kind"]: row for row in _rows(options.report)}
    started = time.monotonic()
    for kind in options.kinds or [kind for kind in _kinds() if kind not in rows]:
        if time.monotonic() - started >= options.max_seconds:
            break
        rows[kind] = _measured(kind, options.folder)
        write_atomically(options.report, _document(rows))
        sys.stdout.write(f"{kind}: exit code {rows[kind]['exit_code']} {rows[kind]['says']}\n")
        sys.stdout.flush()
    return 0


def _rows(report: Path) -> list[dict[str, Any]]:
    if not report.is_file():
        return []
    rows: list[dict[str, Any]] = json.loads(report.read_text())["rows"]
    return rows


def _document(rows: Mapping[str, Mapping[str, Any]]) -> bytes:
    document = {
        "schema": BATTERY_SCHEMA,
        "environment": to_document(read_environment()),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "rows": list(rows.values()),
    }
    return f"{json.dumps(document, indent=1)}\n".encode()


def _kinds() -> list[str]:
    return _child("models.kinds").splitlines()


def _measured(kind: str, folder: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="cifar-battery-") as scratch:
        place = Path(scratch) if folder is None else folder
        row: dict[str, Any] = json.loads(_child("models.row", kind, str(place / kind)))
        return row


def _child(module: str, *arguments: str) -> str:
    if not (_TESTS / "models").is_dir():
        raise InputError(f"{_TESTS}/models is not here.", hint="Run it in the repository's root.")
    path = os.pathsep.join([str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", module, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if ended.returncode:
        raise CifarEdgeError(f"{module} {' '.join(arguments)}: {ended.stderr[-2000:]}")
    return ended.stdout


if __name__ == "__main__":
    sys.exit(main())
