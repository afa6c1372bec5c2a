"""OpenVINO opens both packaged files as they are, and gives the golden scores."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import default_model
from cifar_runtime.golden import golden_from_card
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.scores import dequantize

CHILD = Path(__file__).with_name("openvino_child.py")
# Its own int8 kernels add in 16 bits on processors with AVX2 and without VNNI: 812 instead of 914 of 1,000 right.
REAL_ARITHMETIC = {"LP_TRANSFORMS_MODE": "NO"}


@pytest.mark.parametrize("model_format", ["tflite", "onnx"])
def test_openvino_gives_the_golden_scores(
    model_format: str, readers_python: Callable[[str], Path], tmp_path: Path
) -> None:
    python = readers_python("openvino")
    artefact = open_artefact(default_model(model_format))  # type: ignore[arg-type]
    golden, contract = golden_from_card(artefact.card), artefact.contract
    given, found = tmp_path / "images.npy", tmp_path / "scores.npy"
    np.save(given, np.take(input_table(contract.input), golden.images))
    command = [python, CHILD, artefact.path, given, found, json.dumps(REAL_ARITHMETIC)]
    subprocess.run(list(map(str, command)), check=True, timeout=300)
    scores = dequantize(np.load(found), contract.output)
    assert scores.argmax(axis=1).tolist() == golden.scores.argmax(axis=1).tolist()
    assert np.abs(scores - golden.scores).max() <= golden.tolerance
