"""Runs the installed ``cifar-classify``."""

import subprocess
import sysconfig
from pathlib import Path

SCRIPT = Path(sysconfig.get_path("scripts")) / "cifar-classify"
COLOURS = {"blue.png": (9, 0, 240), "green.png": (0, 250, 20), "red.png": (250, 10, 0)}


def classify(
    *arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    finished = subprocess.run(
        [SCRIPT, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(
        finished.args,
        finished.returncode,
        finished.stdout.decode(),
        finished.stderr.decode(),
    )
