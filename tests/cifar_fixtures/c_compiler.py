"""Builds what firmware tests run: a written model with a harness, under the strictest warnings."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_export.firmware.arena import plan_arena
from cifar_export.firmware.emit import model_header, model_source
from cifar_export.firmware.lowering.lower import Network

HARNESS = Path(__file__).parents[1] / "export" / "firmware" / "harness.c"
STRICT = (
    *("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wshadow"),
    *("-Wvla", "-Wundef", "-Wcast-qual", "-Wmissing-prototypes", "-Wstrict-prototypes", "-Werror"),
)
SANITIZERS = ("-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


def write_model(network: Network, folder: Path) -> None:
    arena = plan_arena(network)
    (folder / "model.c").write_text(model_source(network, arena, title="a test"))
    (folder / "model.h").write_text(model_header(network, arena, title="a test"))


def build(folder: Path, *flags: str, sources: tuple[str | Path, ...] = ("model.c",)) -> Path:
    """Compiles sources in a folder; the harness brings a main."""
    command = ["cc", *STRICT, *flags, "-I.", *map(str, sources), "-o", "program"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "program"


def compiled_scores(
    network: Network, folder: Path, images: NDArray[np.int8], *flags: str
) -> NDArray[np.int8]:
    """The scores of the network's C, built with flags: int8, shape (n, scores)."""
    write_model(network, folder)
    program = build(folder, *flags, sources=("model.c", HARNESS))
    done = subprocess.run([program], input=images.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return np.frombuffer(done.stdout, np.int8).reshape(len(images), -1)
