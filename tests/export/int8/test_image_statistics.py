"""Noise as calibration images fails the gate, and the message says what is wrong with it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cifar_data import packaged
from cifar_export.int8.image_statistics import (
    ImageStatistics,
    calibration_is_unlike,
    image_statistics,
)

PROGRAM = Path(sys.executable).with_name("cifar-export")
NUM_NOISE = 64
# Lowest pixel value and the one above the highest.
NOISE = {"uniform": (0, 256), "dark": (0, 8), "low-contrast": (124, 133), "bright": (248, 256)}


def noise(name: str) -> NDArray[np.uint8]:
    shape = (NUM_NOISE, 32, 32, 3)
    return np.random.default_rng(0).integers(*NOISE[name], shape, dtype=np.uint8)


def test_the_figures_are_mean_deviation_and_difference_of_neighbours() -> None:
    stripes = np.zeros((2, 4, 6, 3), np.uint8)
    stripes[:, :, ::2] = 100
    assert image_statistics(stripes) == ImageStatistics(
        brightness=50.0, contrast=50.0, detail=100.0
    )
    assert str(image_statistics(stripes)) == "brightness 50.0, contrast 50.0, detail 100.0"


@pytest.mark.parametrize("name", NOISE)
def test_noise_looks_unlike_photographs(name: str) -> None:
    expected = image_statistics(np.asarray(packaged.test_sample().images))
    assert calibration_is_unlike(image_statistics(noise(name)), expected)


def test_training_images_look_like_test_images() -> None:
    images = np.asarray(packaged.calibration_sample().images)
    expected = image_statistics(np.asarray(packaged.test_sample().images))
    assert not calibration_is_unlike(image_statistics(images), expected)
    for start in range(0, len(images) - 16, 16):
        assert not calibration_is_unlike(image_statistics(images[start : start + 32]), expected)


def test_dark_noise_as_calibration_images_fails_the_gate_of_the_shipped_checkpoint(
    tmp_path: Path,
) -> None:
    """Ranges of nearly black pictures cut off what real ones give: two thirds of the decisions are left."""
    folder, output = tmp_path / "noise", tmp_path / "out"
    folder.mkdir()
    output.mkdir()
    for index, picture in enumerate(noise("dark")):
        Image.fromarray(picture).save(folder / f"{index:03}.png")
    old = output / "edge-s-int8.tflite"
    old.write_bytes(b"old")
    done = subprocess.run(
        [
            *(PROGRAM, "--quantize", "int8", "--calibration-data", folder, "-o", output, "-q"),
            *("--eval-split", "test-sample", "--force"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (5, "")
    assert f"Ranges come from {NUM_NOISE} images of {folder} (brightness 3.5, " in done.stderr
    assert "which look unlike those of test-sample (brightness 121.9, " in done.stderr
    assert "Give --calibration-data a few hundred typical training images" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    failure = json.loads((output / "edge-s-int8.tflite.failed.parity.json").read_text())
    parity = failure["provenance"]["parity"]
    assert parity["agreement"] < 0.8
    assert parity["accuracy_drop"] > 0.05
    assert [gate["passed"] for gate in parity["gates"]] == [False, False]
    assert failure["provenance"]["calibration"]["source"] == "folder"
    assert old.read_bytes() == b"old"
    assert sorted(path.name for path in output.iterdir()) == [
        "edge-s-int8.tflite",
        "edge-s-int8.tflite.failed.parity.json",
    ]
