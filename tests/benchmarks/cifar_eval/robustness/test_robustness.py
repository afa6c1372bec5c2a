"""Accuracy under corruptions: counts against loops, the command, and its document."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_data import packaged
from cifar_eval.commands.robustness import parse
from cifar_eval.robustness.corruptions import CORRUPTIONS, corrupted
from cifar_eval.robustness.counts import (
    CONDITIONS,
    Decisions,
    decisions_of,
    robustness_from_decisions,
)
from cifar_runtime import Classifier
from cifar_runtime.errors import UsageError

Scores = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def by_colour(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Three scores: the mean of each channel."""
    return images.mean(axis=(1, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return packaged.test_sample().images[:40]


def test_every_corruption_is_measured_in_five_severities() -> None:
    assert [(one.corruption, one.severity) for one in CONDITIONS] == [
        (name, severity)
        for name in ("gaussian_noise", "gaussian_blur", "contrast", "brightness", "jpeg", "shift")
        for severity in (1, 2, 3, 4, 5)
    ]


def test_the_counts_are_those_of_a_loop(images: NDArray[np.uint8]) -> None:
    def shy(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return by_colour(batch) + np.array([0, 3, 0], np.float32)

    labels = np.arange(40) % 3
    decided = decisions_of([by_colour, shy], images, labels, seed=4)
    found = robustness_from_decisions(decided[1], labels, reference=decided[0])
    assert found.seen == 40
    assert found.clean_correct == int((shy(images).argmax(axis=1) == labels).sum())
    rights = []
    for counts in found.corruptions:
        for severity in range(1, 6):
            damaged = corrupted(images, counts.name, severity, seed=4)
            expected = shy(damaged).argmax(axis=1)
            rights.append(int((expected == labels).sum()))
            agreeing = int((expected == by_colour(damaged).argmax(axis=1)).sum())
            assert counts.correct[severity - 1] == rights[-1]
            assert counts.agreeing is not None
            assert counts.agreeing[severity - 1] == agreeing
    assert found.corrupted_accuracy == pytest.approx(sum(rights) / (40 * 30))
    assert min(min(one.agreeing or (0,)) for one in found.corruptions) < 40


def test_a_reference_is_not_compared_with_itself() -> None:
    decided = Decisions(clean=np.array([0, 1]), corrupted=np.zeros((30, 2), np.int64))
    found = robustness_from_decisions(decided, np.array([0, 0]), reference=None)
    assert (found.clean_accuracy, found.corrupted_accuracy) == (0.5, 1.0)
    assert {one.agreeing for one in found.corruptions} == {None}


def test_progress_names_each_corruption_once(images: NDArray[np.uint8]) -> None:
    sentences: list[str] = []
    decisions_of([by_colour], images[:2], np.zeros(2, int), seed=0, progress=sentences.append)
    assert sentences[0] == "gaussian noise, 2 images"
    assert len(sentences) == len(CORRUPTIONS)


@pytest.fixture(scope="module")
def measured(tiny_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the command printed and wrote for a tiny model against itself."""
    path = tmp_path_factory.mktemp("robustness") / "report.json"
    line = [tiny_onnx, "--against", tiny_onnx, "--limit", "30", "--seed", "2", "--json", path, "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "cifar_eval.commands.robustness", *map(str, line)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, path


def test_the_document_follows_its_shipped_schema(measured: tuple[str, Path]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    text = (resources.files("cifar_eval") / "schemas" / "robustness.schema.json").read_text()
    validator = jsonschema.Draft202012Validator(json.loads(text))
    document = json.loads(measured[1].read_text())
    validator.validate(document)
    for place, value in (
        (("seed",), -1),
        (("models", 0, "robustness", "corruptions", 0, "correct"), [1, 2, 3]),
        (("corruptions", 5, "name"), "fog"),
        (("models", 1, "file"), "models/net.onnx"),
    ):
        wrong: Any = json.loads(json.dumps(document))
        part = wrong
        for step in place[:-1]:
            part = part[step]
        part[place[-1]] = value
        assert not validator.is_valid(wrong)


def test_the_document_holds_what_the_runtime_decides(
    measured: tuple[str, Path], tiny_onnx: Path
) -> None:
    document = json.loads(measured[1].read_text())
    assert document["split"]["name"] == "test-sample[:30]"
    assert document["reference"] == document["models"][0]["name"]
    sample = packaged.test_sample()
    first_three = np.sort(
        np.concatenate([np.flatnonzero(sample.labels == k)[:3] for k in range(10)])
    )
    images, labels = sample.images[first_three], sample.labels[first_three]
    classifier = Classifier(tiny_onnx)
    entry = document["models"][1]["robustness"]
    right = classifier.scores(images).argmax(axis=1) == labels
    assert (entry["seen"], entry["clean_correct"]) == (30, int(right.sum()))
    damaged = corrupted(images, "contrast", 4, seed=2)
    right = classifier.scores(damaged).argmax(axis=1) == labels
    contrast = next(one for one in entry["corruptions"] if one["name"] == "contrast")
    assert contrast["correct"][3] == int(right.sum())
    assert contrast["agreeing"] == [30] * 5


def test_the_table_has_both_models_side_by_side(measured: tuple[str, Path]) -> None:
    lines = measured[0].splitlines()
    assert lines[0] == (
        "Accuracy in percent on 30 images of test-sample[:30], damaged with seed 2;"
    )
    severities = [word for severity in "12345" for word in ("sev", severity)]
    assert lines[3].split() == ["corruption", "model", *severities, "mean", "agree"]
    titles = [line[:16].strip() for line in lines[4:]]
    expected = ["none", *(one.name.replace("_", " ") for one in CORRUPTIONS), "all corruptions"]
    assert titles == [title for name in expected for title in (name, "")]
    assert lines[-1].split()[-1] == "100.00"
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("m.tflite", "the following arguments are required: --against"),
        ("m.tflite --against c.keras --json m.onnx", "expected a name that ends in .json"),
        ("m.tflite --against c.keras --seed -1", "'-1' is not a whole number from zero up"),
        ("m.tflite --against c.keras --split tran", "'tran' is not one of test-sample, test"),
    ],
)
def test_a_senseless_command_line_says_what_would_make_sense(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split())
    assert message in str(caught.value)
