"""The installed command, killed while it converts: the former artefact or the new one stays, nothing half-written."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cifar_runtime.artefact import card_path, open_artefact

COMMAND = Path(sys.executable).with_name("cifar-export")
OPTIONS = [
    *(
        "--format",
        "onnx",
        "--quantize",
        "int8",
        "--calibration-samples",
        "64",
        "--force",
        "--quiet",
    ),
    *("--eval-split", "test-sample", "--max-accuracy-drop", "100%", "--min-agreement", "0"),
]


def begin(checkpoint: Path, output: Path, *further: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [COMMAND, checkpoint, "--output", output, *OPTIONS, *further],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def visible(folder: Path) -> list[str]:
    """What a person, or a glob, takes for files of the folder."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize("share", [0.5, 0.85])
def test_a_kill_leaves_the_former_artefact_or_the_new_one(
    share: float, checkpoint: Path, tmp_path: Path
) -> None:
    """The two differ: the second export fits its ranges to other calibration images."""
    start = time.monotonic()
    first = begin(checkpoint, tmp_path)
    assert first.wait() == 0
    took_s = time.monotonic() - start
    model = tmp_path / f"{checkpoint.stem}-int8.onnx"
    files = visible(tmp_path)
    assert files == sorted([model.name, card_path(model).name])

    killed = begin(checkpoint, tmp_path, "--calibration-samples", "32")
    time.sleep(share * took_s)
    killed.kill()
    killed.wait()
    assert visible(tmp_path) == files
    open_artefact(model)

    again = begin(checkpoint, tmp_path)
    assert again.wait() == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert open_artefact(model).card["provenance"]["calibration"]["count"] == 64
