"""The benchmark itself, on fakes for order and counts and on a tiny real model for the whole road."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_bench.bench import bench, measure
from cifar_bench.recipe import BenchRecipe
from cifar_bench.subject import check_fits, distinct_names
from cifar_runtime.errors import ArtefactError, UsageError
from cifar_train.dataset import LABELS, Split

# TensorFlow 2.21's tensors answer numpy 2 in the old way; the warning is about its code, not ours.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

SPLIT = Split(
    name="four",
    images=np.zeros((4, 32, 32, 3), dtype=np.uint8),
    labels=np.array([0, 1, 2, 3], dtype=np.uint8),
    ids=np.arange(4),
)


def scores(decided: list[int]) -> Any:
    return np.eye(10, dtype=np.float32)[decided]


def test_the_first_checkpoint_is_the_reference_of_all_others(fake_subject: Any) -> None:
    subjects = [
        fake_subject(name="reference", answers=scores([0, 1, 2, 9])),
        fake_subject(name="worse", answers=scores([0, 1, 9, 9])),
        fake_subject(name="better", answers=scores([0, 1, 2, 3])),
    ]
    recipe = BenchRecipe(against=(Path("reference.keras"),), warmup=1, runs=20)
    reference, worse, better = measure(subjects, SPLIT, recipe, clock=iter(range(1000)).__next__)
    assert reference.parity is None
    assert worse.parity is not None
    assert better.parity is not None
    assert (worse.accuracy.correct, worse.accuracy.seen, worse.accuracy.split) == (2, 4, "four")
    assert (worse.parity.flips_to_wrong, worse.parity.agreeing) == (1, 3)
    assert (better.parity.flips_to_right, better.parity.accuracy_drop) == (1, -0.25)
    assert better.latency.samples_ns == (1,) * 20
    assert (better.latency.num_images, better.latency.rounds) == (4, 10)


def test_without_a_checkpoint_there_is_no_parity(fake_subject: Any) -> None:
    (only,) = measure(
        [fake_subject(name="a", answers=scores([0, 0, 0, 0]))],
        SPLIT,
        BenchRecipe(warmup=1, runs=3),
        clock=iter(range(1000)).__next__,
    )
    assert (only.parity, only.accuracy.correct, only.latency.rounds) == (None, 1, 3)


def test_models_that_share_a_name_are_told_apart_by_format_and_number(fake_subject: Any) -> None:
    answers = scores([0])
    subjects = [
        fake_subject(name="a", answers=answers),
        fake_subject(name="a", answers=answers, format="onnx"),
        fake_subject(name="a", answers=answers, format="onnx"),
        fake_subject(name="b", answers=answers),
    ]
    assert distinct_names(subjects) == ("a.tflite", "a.onnx #1", "a.onnx #2", "b")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": ("cat", "dog")},
            "m.tflite: its labels are cat, dog; the images' are airplane, automobile, bird, cat, deer, "
            "dog, frog, horse, ship, truck. Measure it on images of its own task.",
        ),
        (
            {"image_shape": (96, 96, 3)},
            "m.tflite: takes images of shape (96, 96, 3); these are (32, 32, 3). "
            "Measure it on images of its own task.",
        ),
    ],
)
def test_a_model_of_another_task_is_refused(
    fake_subject: Any, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArtefactError) as caught:
        check_fits(
            fake_subject(name="m", answers=scores([0]), **changes),
            labels=LABELS,
            images=SPLIT.images,
        )
    assert str(caught.value) == message


@pytest.mark.parametrize("field", ["limit", "threads", "warmup", "runs"])
def test_a_recipe_refuses_numbers_below_one(field: str) -> None:
    with pytest.raises(UsageError, match=f"{field} is 0, expected 1 or more"):
        BenchRecipe(**{field: 0})


def test_a_recipe_refuses_an_unknown_split() -> None:
    with pytest.raises(UsageError) as caught:
        BenchRecipe(split="train")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "split is 'train', expected one of test-sample, test, validation. Give one of these."
    )


def test_an_exported_model_decides_like_its_keras_checkpoint(
    tiny_onnx: Path, tiny_keras: Path
) -> None:
    told: list[str] = []
    recipe = BenchRecipe(models=(tiny_onnx,), against=(tiny_keras,), limit=200, warmup=1, runs=20)
    report = bench(recipe, progress=told.append)
    keras_report, onnx_report = report.models
    assert (report.reference, keras_report.name, onnx_report.name) == (
        "tiny",
        "tiny",
        "tiny-float32",
    )
    assert onnx_report.parity is not None
    assert (onnx_report.parity.agreeing, onnx_report.parity.seen) == (200, 200)
    assert onnx_report.parity.max_score_error < 1e-5
    assert onnx_report.accuracy.split == "test-sample[:200]"
    assert (onnx_report.runtime, onnx_report.latency.threads) == ("onnxruntime", 1)
    assert onnx_report.model_file.size_bytes == tiny_onnx.stat().st_size
    assert keras_report.runtime == "keras/tensorflow"
    assert len(keras_report.latency.samples_ns) == 20
    assert told == [
        "scoring 200 images with tiny",
        "scoring 200 images with tiny-float32",
        "timing 20 inferences of each model",
    ]
