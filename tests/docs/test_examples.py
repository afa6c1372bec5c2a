"""The example scripts do what their first line says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cifar_data.packaged import sample_images
from cifar_runtime.classifier import default_model

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs an example with the packages that this process has."""
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_every_example_is_tried_here() -> None:
    text = Path(__file__).read_text("utf-8")
    scripts = [path.name for path in EXAMPLES.glob("*.py")]
    assert len(scripts) == 3
    assert all(f'run("{name}"' in text for name in scripts)


def test_pictures_in_a_folder_are_classified_and_what_is_none_is_named(tmp_path: Path) -> None:
    for picture in sample_images()[:3]:
        shutil.copy(picture, tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("left alone")
    ended = run("classify_folder.py", tmp_path, "--once")
    assert (ended.returncode, ended.stderr) == (0, "")
    airplane, automobile, bird, broken = sorted(ended.stdout.splitlines())
    assert airplane.startswith("airplane.png: airplane ")
    assert automobile.startswith("automobile.png: automobile ")
    assert bird.startswith("bird.png: bird ")
    assert "broken.png: cannot be" in broken or "broken.png: is" in broken


def test_the_gate_passes_and_fails_by_its_exit_code() -> None:
    models = default_model("onnx"), default_model("tflite")
    passed = run("ci_gate.py", *models)
    assert (passed.returncode, passed.stderr) == (0, "")
    assert passed.stdout.splitlines()[1] == "agreement: passed, limit 0.970"
    failed = run("ci_gate.py", *models, "--min-agreement", "1")
    assert failed.returncode == 5
    assert failed.stdout.splitlines()[1] == "agreement: FAILED, limit 1.000"
    absent = run("ci_gate.py", models[0], "none.tflite")
    assert (absent.returncode, absent.stdout) == (4, "")
    assert absent.stderr.startswith("none.tflite: cannot be read")


def test_the_shipped_checkpoint_is_exported_and_gated(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    ended = run("export_own_model.py", "--output", tmp_path)
    assert ended.returncode == 0, ended.stderr
    path = tmp_path / "edge-s-int8.tflite"
    assert path.exists()
    (line,) = ended.stdout.splitlines()
    assert line.startswith(f"{path}: ")
    assert line.endswith("ship, truck")
