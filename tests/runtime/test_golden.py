"""Golden vectors survive JSON, and a replay tells same, close and different scores apart."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import Classifier
from cifar_runtime.contract import OutputContract
from cifar_runtime.errors import ArtefactError
from cifar_runtime.golden import golden_from_card, golden_vectors, replay, tolerance_of

IMAGES = np.random.default_rng(2).integers(0, 256, (8, 6, 8, 3), dtype=np.uint8)


def golden_of(path: Path, *, shift: float = 0.0, tolerance: float = 0.01) -> dict[str, Any]:
    scores = Classifier(path).scores(IMAGES)
    vectors = golden_vectors(IMAGES, scores, scores + np.float32(shift), tolerance)
    document: dict[str, Any] = json.loads(json.dumps(vectors.to_json()))
    return document


def opened(path: Path, golden: Any) -> Classifier:
    classifier = Classifier(path)
    card = {**classifier.artefact.card, "golden_vectors": golden}
    classifier.artefact = replace(classifier.artefact, card=card)
    return classifier


def test_vectors_survive_json_bit_for_bit(any_model: Path) -> None:
    scores = Classifier(any_model).scores(IMAGES) / np.float32(3)
    vectors = golden_vectors(IMAGES, scores, scores, 0.25)
    card = json.loads(json.dumps({"golden_vectors": vectors.to_json()}))
    found = golden_from_card(card)
    assert (found.images == IMAGES).all()
    assert found.scores.dtype == np.float32
    assert (found.scores == scores).all()
    assert found.tolerance == 0.25


def test_compressed_vectors_survive_json_bit_for_bit() -> None:
    scores = np.arange(24, dtype=np.float32).reshape(8, 3) / 3
    vectors = golden_vectors(IMAGES, scores, scores, 0.25, (6, 8))
    found = golden_from_card(json.loads(json.dumps({"golden_vectors": vectors.to_json()})))
    assert (found.images == IMAGES).all()
    assert (found.scores == scores).all()
    assert found.grid == (6, 8)


def test_a_block_that_does_not_unpack_is_refused() -> None:
    scores = np.zeros((8, 3), np.float32)
    document = golden_vectors(IMAGES, scores, scores, 0.25, (6, 8)).to_json()
    document["images"]["data"] = "AAAA"
    with pytest.raises(ArtefactError, match="the golden vectors are wrong: cannot be read"):
        golden_from_card({"golden_vectors": document})


def test_the_same_scores_are_bit_exact(any_model: Path) -> None:
    result = replay(opened(any_model, golden_of(any_model)))
    assert result.to_json() == {
        "num_vectors": 8,
        "max_error": 0.0,
        "tolerance": 0.01,
        "bit_exact": True,
        "decisions_kept": 8,
        "passed": True,
    }


@pytest.mark.parametrize(("shift", "passed"), [(0.25, True), (0.5, False)])
def test_other_scores_pass_within_the_tolerance_only(
    any_model: Path, shift: float, passed: bool
) -> None:
    result = replay(opened(any_model, golden_of(any_model, shift=shift, tolerance=0.375)))
    assert not result.bit_exact
    assert result.max_error == pytest.approx(shift, abs=1e-6)
    assert (result.passed, result.decisions_kept) == (passed, 8)


def test_a_card_without_vectors_has_nothing_to_replay(any_model: Path) -> None:
    with pytest.raises(ArtefactError) as caught:
        replay(Classifier(any_model))
    assert str(caught.value) == (
        f"{open_artefact(any_model).name}: has no golden vectors, so there is nothing to replay. "
        "Export the model again with cifar-export."
    )


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"images": ["!"] * 8}, "cannot be read"),
        ({"images": []}, "cannot be read"),
        ({"images": ["AAAA"] * 8}, "cannot be read"),
        ({"scores": [[1.0, 2.0, 3.0]]}, "shapes are"),
        ({"scores": [[1.0], [2.0, 3.0]]}, "cannot be read"),
        ({"scores": [[float("nan")] * 3] * 8}, "are not numbers"),
        ({"tolerance": -1}, "are not numbers"),
        ({"scores": [[0.0] * 2] * 8, "float_scores": [[0.0] * 2] * 8}, "have 2 scores"),
        ({"shape": [8, 6, 3]}, "have the shape (8, 6, 3)"),
    ],
)
def test_damaged_vectors_are_refused(tflite_model: Path, changes: Any, what: str) -> None:
    golden = {**golden_of(tflite_model), **changes}
    with pytest.raises(ArtefactError) as caught:
        replay(opened(tflite_model, golden))
    assert what in str(caught.value)
    assert str(caught.value).startswith("the golden vectors are wrong: ")


def test_no_vectors_at_all_are_refused() -> None:
    scores = np.zeros((0, 3), np.float32)
    with pytest.raises(ArtefactError, match="one image or more"):
        golden_vectors(IMAGES[:0], scores, scores, 0.1)


def test_the_tolerance_is_five_steps_of_an_integer_output() -> None:
    scores = np.array([[-8.0, 4.0]], np.float32)
    int8 = OutputContract(kind="logits", dtype="int8", scale=0.125, zero_point=0)
    floats = OutputContract(kind="logits", dtype="float32", scale=None, zero_point=None)
    assert tolerance_of(int8, scores) == 0.625
    assert tolerance_of(floats, scores) == pytest.approx(0.016)
    assert tolerance_of(floats, scores / 100) == pytest.approx(0.002)
