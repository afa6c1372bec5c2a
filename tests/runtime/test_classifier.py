"""The same picture gets the same label through either interpreter, from any source, in any thread."""

import importlib.util
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cifar_runtime import Classifier, Prediction, open_artefact
from cifar_runtime.classifier import default_model, prediction_from_probabilities
from cifar_runtime.contract import OutputContract
from cifar_runtime.errors import ArtefactError, InputError, MissingDependencyError, UsageError
from cifar_runtime.formats.known_formats import RuntimeName
from cifar_runtime.scores import (
    certainties_from_probabilities,
    dequantize,
    probabilities_from_scores,
    score_table,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 6, 8, 3), dtype=np.uint8)


class FakeSession:
    """A session that answers the same scores whatever it is shown."""

    runtime: RuntimeName = "litert"

    def __init__(self, row: list[float], dtype: str) -> None:
        self._row = np.array([row], dtype)

    def run(self, batch: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(self._row, len(batch), axis=0)

    def close(self) -> None:
        pass


def expected_scores(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    means: NDArray[np.float64] = (images.astype(np.float64).mean(axis=(1, 2)) - 128) / 64
    return means


def test_scores_are_in_real_units(any_model: Path) -> None:
    scores = Classifier(any_model).scores(IMAGES)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected_scores(IMAGES), atol=1 / 64 + 1e-6)


def test_both_interpreters_give_the_same_labels(tflite_model: Path, onnx_model: Path) -> None:
    spread = np.sort(expected_scores(IMAGES), axis=1)
    clear = IMAGES[spread[:, 2] - spread[:, 1] > 1 / 32]  # more than one int8 step apart
    assert len(clear) > 30
    labels = [
        [prediction.label for prediction in Classifier(model).classify_batch(list(clear))]
        for model in (tflite_model, onnx_model)
    ]
    assert labels[0] == labels[1]
    best = expected_scores(clear).argmax(axis=1)
    assert labels[0] == [("red", "green", "blue")[index] for index in best]


def test_a_prediction_ranks_every_label(onnx_model: Path) -> None:
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[..., 1], pixels[..., 2] = 192, 128
    prediction = Classifier(onnx_model).classify(pixels)
    # Logits -2, 1, 0; the softmax by hand.
    total = math.exp(-2) + math.exp(1) + math.exp(0)
    assert (prediction.label, prediction.index) == ("green", 1)
    assert [label for label, _ in prediction.ranked] == ["green", "blue", "red"]
    expected = [math.exp(1) / total, 1 / total, math.exp(-2) / total]
    assert [p for _, p in prediction.ranked] == pytest.approx(expected, abs=1e-6)
    assert prediction.probability == prediction.ranked[0][1]


def test_paths_strings_pictures_and_arrays_agree(any_model: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (31, 50, 3), np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    classifier = Classifier(str(any_model))
    with Image.open(path) as lazy:
        predictions = [
            classifier.classify(image)
            for image in (path, str(path), pixels, Image.fromarray(pixels), lazy)
        ]
    assert all(prediction == predictions[0] for prediction in predictions)
    assert classifier.classify_batch([path, pixels]) == predictions[:2]


def test_an_empty_batch_has_no_predictions(any_model: Path) -> None:
    assert Classifier(any_model).classify_batch([]) == []


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 8, 6, 3), np.uint8),
        np.zeros((6, 8, 3), np.uint8),
        np.zeros((1, 6, 8, 3), np.float32),
    ],
)
def test_scores_of_other_arrays_are_refused(any_model: Path, images: Any) -> None:
    with pytest.raises(InputError, match=r"expected uint8 of shape \(n, 6, 8, 3\)"):
        Classifier(any_model).scores(images)


@pytest.mark.parametrize("image", [3, None, b"bytes", [1, 2]])
def test_other_objects_are_no_images(any_model: Path, image: Any) -> None:
    with pytest.raises(InputError, match="expected a path, a Pillow image or a uint8 array"):
        Classifier(any_model).classify(image)


def test_scores_that_are_not_numbers_are_refused(onnx_model: Path) -> None:
    classifier = Classifier(onnx_model)
    classifier.session = FakeSession([0.0, float("nan"), 1.0], "float32")
    with pytest.raises(ArtefactError, match="gave scores that are not finite numbers"):
        classifier.scores(IMAGES)


def test_equal_int8_scores_break_to_the_lowest_index(tflite_model: Path) -> None:
    classifier = Classifier(tflite_model)
    classifier.session = FakeSession([3, 7, 7], "int8")
    prediction = classifier.classify(IMAGES[0])
    assert [label for label, _ in prediction.ranked] == ["green", "blue", "red"]


def output(**changes: Any) -> OutputContract:
    stated = {"kind": "logits", "dtype": "float32", "scale": None, "zero_point": None}
    return OutputContract(**{**stated, **changes})


def int8_probabilities(**changes: Any) -> OutputContract:
    return output(kind="probabilities", dtype="int8", scale=1 / 256, zero_point=-128, **changes)


def test_dequantizing_is_exact() -> None:
    raw = np.array([[-128, 0, 127]], np.int8)
    assert dequantize(raw, int8_probabilities()).tolist() == [[0.0, 0.5, 255 / 256]]


def test_the_score_of_every_byte_is_looked_up() -> None:
    table = score_table(int8_probabilities())
    assert table is not None
    assert [table[byte] for byte in (0x80, 0xFF, 0, 0x7F)] == [0.0, 127 / 256, 0.5, 255 / 256]
    assert score_table(output()) is None


def test_softmax_takes_logits_of_any_size() -> None:
    scores = np.array([[1e30, 0.0], [-1e4, -1e4]], np.float32)
    assert probabilities_from_scores(scores, output()).tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_probabilities_stay_as_they_are() -> None:
    scores = np.array([[0.25, 0.75]], np.float32)
    assert probabilities_from_scores(scores, output(kind="probabilities")).tolist() == [
        [0.25, 0.75]
    ]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_temperature_divides_logits_before_the_softmax(temperature: float) -> None:
    scores = np.array([[2.0, -1.0, 0.5]], np.float32)
    total = sum(math.exp(score / temperature) for score in (2.0, -1.0, 0.5))
    expected = [math.exp(score / temperature) / total for score in (2.0, -1.0, 0.5)]
    found = probabilities_from_scores(scores, output(temperature=temperature))
    np.testing.assert_allclose(found, [expected], rtol=1e-12)
    softmax = probabilities_from_scores(scores, output()).astype(np.float32)
    again = output(kind="probabilities", temperature=temperature)
    np.testing.assert_allclose(probabilities_from_scores(softmax, again), [expected], rtol=1e-6)


@pytest.mark.parametrize("temperature", [1e-3, 1e3])
@pytest.mark.parametrize("row", [[0.0, 0.0], [0.0, 1.0], [0.25, 0.75]])
def test_an_extreme_temperature_still_gives_probabilities(
    temperature: float, row: list[float]
) -> None:
    """An int8 softmax gives zeros, whose logarithm is none."""
    contract = output(kind="probabilities", temperature=temperature)
    found = probabilities_from_scores(np.array([row], np.float32), contract)
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1)
    assert found.argmax() == np.argmax(row)


def test_at_a_temperature_an_int8_zero_counts_as_the_middle_of_what_rounds_to_zero() -> None:
    """255/256 and zero: at temperature 1 the zero is a quarter of 1/256."""
    contract = int8_probabilities(temperature=1.0)
    found = probabilities_from_scores(np.array([[255 / 256, 0.0]], np.float32), contract)
    np.testing.assert_allclose(found, [[255 / 255.25, 0.25 / 255.25]], rtol=1e-12)


@pytest.mark.parametrize("abstained", [False, True])
def test_an_answer_that_is_not_sure_keeps_its_label(*, abstained: bool) -> None:
    found = prediction_from_probabilities(np.array([0.1, 0.9]), ("a", "b"), abstained=abstained)
    assert (found.label, found.probability, found.abstained) == ("b", 0.9, abstained)


def test_certainty_is_the_best_probability_unless_the_contract_says_otherwise() -> None:
    rows = np.array([[0.1, 0.7, 0.2], [1 / 3, 1 / 3, 1 / 3]])
    assert certainties_from_probabilities(rows, output()).tolist() == [0.7, 1 / 3]


def test_generalized_entropy_is_that_of_a_plain_loop_between_equal_and_certain() -> None:
    contract = output(abstention_score="generalized-entropy")
    rows = np.array([[0.25] * 4, [0.7, 0.1, 0.1, 0.1], [0.7, 0.3, 0, 0], [1, 0, 0, 0]])
    equal, spread, narrow, certain = certainties_from_probabilities(rows, contract)
    entropy = sum(p**0.25 * (1 - p) ** 0.25 for p in (0.7, 0.1, 0.1, 0.1))
    most = 4 * 0.25**0.25 * 0.75**0.25
    assert equal == pytest.approx(0, abs=1e-12)
    assert spread == pytest.approx(1 - entropy / most, abs=1e-12)
    # The best label is as probable in both: what is ruled out makes the difference.
    assert spread < narrow < certain < 1


def test_the_step_of_quantized_logits_says_nothing_of_probabilities() -> None:
    rows = np.array([[0.97, 0.02, 0.01]])
    integers = output(dtype="int8", scale=0.5, zero_point=0, abstention_score="generalized-entropy")
    floats = output(abstention_score="generalized-entropy")
    assert certainties_from_probabilities(rows, integers) == certainties_from_probabilities(
        rows, floats
    )


def test_at_a_temperature_zeros_were_lifted_already() -> None:
    """A temperature below one makes of a quarter of a step far less than that."""
    contract = int8_probabilities(temperature=0.5, abstention_score="generalized-entropy")
    scores = np.array([[200 / 256, 56 / 256, 0.0]], np.float32)
    (found,) = certainties_from_probabilities(probabilities_from_scores(scores, contract), contract)
    squares = np.array([200, 56, 0.25]) ** 2
    row = squares / squares.sum()
    entropy = ((row * (1 - row)) ** 0.25).sum()
    assert found == pytest.approx(1 - entropy / (3 * (2 / 9) ** 0.25), abs=1e-9)


def test_a_quantized_zero_rules_out_no_more_than_its_step_can() -> None:
    contract = int8_probabilities(abstention_score="generalized-entropy")
    (found,) = certainties_from_probabilities(np.array([[0.75, 0.25, 0.0]]), contract)
    zero = 1 / 1024
    entropy = sum((p * (1 - p)) ** 0.25 for p in (0.75, 0.25, zero))
    assert found == pytest.approx(1 - entropy / (3 * (2 / 9) ** 0.25), abs=1e-12)


def test_a_calibrated_artefact_says_when_it_is_unsure(publish: Any) -> None:
    """Logits -2, 1, 0 at temperature 3: the best of them has a probability of 0.467."""
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[..., 1], pixels[..., 2] = 192, 128
    best = math.exp(1 / 3) / (math.exp(-2 / 3) + math.exp(1 / 3) + 1)
    for threshold, abstained in ((best - 0.01, False), (best + 0.01, True)):
        path = publish.onnx(contract=publish.calibrated(temperature=3.0, threshold=threshold))
        prediction = Classifier(path).classify(pixels)
        assert prediction.label == "green"
        assert prediction.probability == pytest.approx(best, abs=1e-6)
        assert prediction.abstained == abstained


def test_a_threshold_for_the_generalized_entropy_is_compared_with_that(publish: Any) -> None:
    """The same logits: a probability of 0.467 in three classes is a certainty of 0.02."""
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[..., 1], pixels[..., 2] = 192, 128
    powers = np.exp(np.array([-2, 1, 0]) / 3)
    row = (powers / powers.sum()).tolist()
    certainty = 1 - sum((p * (1 - p)) ** 0.25 for p in row) / (3 * (2 / 9) ** 0.25)
    for threshold, abstained in ((certainty * 0.99, False), (certainty * 1.01, True)):
        contract = publish.calibrated(
            temperature=3.0, threshold=threshold, score="generalized-entropy"
        )
        prediction = Classifier(publish.onnx(contract=contract)).classify(pixels)
        assert (prediction.label, prediction.abstained) == ("green", abstained)


@pytest.mark.parametrize(
    ("threshold", "holding"),
    [(0.5, (("b", 0.9), ("a", 0.5))), (0.95, ()), (None, None)],
)
def test_labels_of_which_any_number_may_hold_are_those_that_reach_the_threshold(
    threshold: float | None, holding: tuple[tuple[str, float], ...] | None
) -> None:
    found = prediction_from_probabilities(
        np.array([0.5, 0.9, 0.49]), ("a", "b", "c"), label_threshold=threshold
    )
    assert found.holding == holding
    assert found.label == "b"


def test_predictions_are_values() -> None:
    row = np.array([0.1, 0.9])
    assert prediction_from_probabilities(row, ("a", "b")) == Prediction(
        label="b", index=1, probability=0.9, ranked=(("b", 0.9), ("a", 0.1))
    )


@pytest.mark.parametrize(
    ("installed", "runtime", "expected"),
    [
        ({"ai_edge_litert", "onnxruntime"}, "auto", "edge-s-int8.tflite"),
        ({"onnxruntime"}, "auto", "edge-s-int8.onnx"),
        (set(), "onnx", "edge-s-int8.onnx"),
        ({"onnxruntime"}, "tflite", "edge-s-int8.tflite"),
    ],
)
def test_the_default_model_is_the_one_that_runs_here(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], runtime: Any, expected: str
) -> None:
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: name if name in installed else None
    )
    assert default_model(runtime).name == expected


def test_without_an_interpreter_the_message_is_the_pip_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError) as caught:
        Classifier()
    assert caught.value.exit_code == 6
    assert caught.value.hint.startswith("Run: pip install ai-edge-litert")


def test_a_contract_for_an_artefact_that_is_open_is_refused(onnx_model: Path) -> None:
    artefact = open_artefact(onnx_model)
    with pytest.raises(UsageError) as caught:
        Classifier(artefact, contract="cifar10-unit")
    assert str(caught.value) == (
        f"{onnx_model}: is open with its contract; 'cifar10-unit' was given as well. "
        "Leave the contract out, or give it to open_artefact."
    )


def test_an_unknown_runtime_is_refused() -> None:
    with pytest.raises(UsageError, match="expected one of auto, tflite, onnx"):
        Classifier(runtime="torch")  # type: ignore[arg-type]


def test_eight_threads_get_the_answers_that_one_gets(any_model: Path) -> None:
    classifier = Classifier(any_model)
    alone = [classifier.scores(IMAGES[i : i + 1]) for i in range(len(IMAGES))]
    wrong: list[object] = []

    def work(start: int) -> None:
        try:
            for step in range(200):
                index = (start + step) % len(IMAGES)
                if (classifier.scores(IMAGES[index : index + 1]) != alone[index]).any():
                    wrong.append(index)
        except Exception as error:  # noqa: BLE001 - a thread's error would be lost
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(8 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
