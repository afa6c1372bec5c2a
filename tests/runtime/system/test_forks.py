"""A classifier in another process: forked while a thread classifies, or pickled."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import Classifier
from cifar_runtime.errors import ArtefactError

# The parent's thread holds the locks nearly all the time; each child must answer without them.
FORK = """
import os, sys, threading
import numpy as np
from PIL import Image
from cifar_runtime.classifier import Classifier
classifier = Classifier(sys.argv[1], threads=2)
height, width, _ = classifier.artefact.contract.input.shape
images = np.zeros((400, height, width, 3), np.uint8)
Image.new("RGB", (1500, 1500), (250, 0, 0)).save(sys.argv[2])
expected = classifier.classify(sys.argv[2])
going = True
def scores():
    while going: classifier.scores(images)
def decode():
    while going: classifier.classify(sys.argv[2])
threads = [threading.Thread(target=work) for work in (scores, decode)]
for thread in threads: thread.start()
codes = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        os._exit(0 if classifier.classify(sys.argv[2]) == expected else 1)
    codes.append(os.waitpid(child, 0)[1])
going = False
for thread in threads: thread.join()
print(codes)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
def test_a_child_forked_in_the_middle_of_a_run_answers(any_model: Path, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, any_model, tmp_path / "red.png"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (found.stdout, found.stderr) == (f"{[0] * 8}\n", "")


def test_a_pickled_classifier_opens_its_model_again(
    any_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(any_model.parent)
    data = pickle.dumps(Classifier(any_model.name, threads=2))
    monkeypatch.chdir("/")
    copy = pickle.loads(data)  # noqa: S301 - made above
    assert copy.artefact.path == any_model
    assert copy.labels == ("red", "green", "blue")
    assert len(data) < 2000  # a path, not a model


def test_a_pickled_classifier_refuses_another_model(publish: Any) -> None:
    data = pickle.dumps(Classifier(publish.onnx()))
    publish.onnx(contract=publish.calibrated(temperature=2.0, threshold=0.5))  # in its place
    with pytest.raises(ArtefactError, match="the pickled classifier's was"):
        pickle.loads(data)  # noqa: S301 - made above


@pytest.mark.parametrize("is_opened", [False, True])
def test_a_pickled_classifier_keeps_the_contract_that_was_given(
    any_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_opened: bool
) -> None:
    """As a path relative to a folder that the other process is not in, to a file that is gone by then."""
    path, contract = tmp_path / any_model.name, tmp_path / "mine.json"
    path.write_bytes(any_model.read_bytes())
    contract.write_text(json.dumps(open_artefact(any_model).contract.to_json()))
    monkeypatch.chdir(tmp_path)
    if is_opened:
        classifier = Classifier(open_artefact(path.name, contract=contract.name))
    else:
        classifier = Classifier(path.name, contract=contract.name)
    data = pickle.dumps(classifier)
    contract.unlink()
    monkeypatch.chdir("/")
    copy = pickle.loads(data)  # noqa: S301 - made above
    assert copy.artefact == replace(classifier.artefact, path=path)
    image = np.full((6, 8, 3), 200, np.uint8)
    assert copy.classify(image) == classifier.classify(image)
    assert len(data) < 4000
    path.write_bytes(b"another")
    with pytest.raises(ArtefactError, match="the pickled classifier's was"):
        pickle.loads(data)  # noqa: S301 - made above
