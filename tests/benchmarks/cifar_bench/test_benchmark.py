"""The benchmark itself, on tiny real models for the whole road."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_bench.benchmark import bench
from cifar_bench.recipe import QUICK, BenchRecipe, Effort
from cifar_bench.results.report import report_from_text
from cifar_bench.variants import variants_from_names
from cifar_data.cifar10.splits import LABELS
from cifar_eval.models.exported import check_fits, distinct_names
from cifar_runtime.errors import ArtefactError, UsageError

# TensorFlow 2.21's tensors answer numpy 2 in the old way; the warning is about its code, not ours.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def scores(decided: list[int]) -> Any:
    return np.eye(10, dtype=np.float32)[decided]


def test_models_that_share_a_name_are_distinguished_by_format_and_number(fake_model: Any) -> None:
    answers = scores([0])
    models = [
        fake_model(name="a", answers=answers),
        fake_model(name="a", answers=answers, format="onnx"),
        fake_model(name="a", answers=answers, format="onnx"),
        fake_model(name="b", answers=answers),
    ]
    assert distinct_names(models) == ("a.tflite", "a.onnx #1", "a.onnx #2", "b")


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
    fake_model: Any, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArtefactError) as caught:
        check_fits(
            fake_model(name="m", answers=scores([0]), **changes),
            labels=LABELS,
            images=np.zeros((1, 32, 32, 3), dtype=np.uint8),
        )
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"limit": 0}, "limit is 0, expected 1 or more"),
        ({"threads": (1, 0)}, "threads is 0, expected 1 to 256"),
        ({"threads": ()}, "threads are none, expected one or more different numbers"),
        ({"threads": (2, 2)}, "threads are 2, 2, expected one or more different numbers"),
        ({"split": "fold-1"}, "split is 'fold-1', expected one of test-sample, test, validation"),
        ({"runtimes": ("litert-xnnpack",)}, "did you mean litert-no-xnnpack?"),
    ],
)
def test_a_recipe_refuses_what_makes_no_sense(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        BenchRecipe(**values)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "values", [{"warmup": 0}, {"runs": 0}, {"batch_sizes": (8, 0)}, {"max_seconds": -1.0}]
)
def test_an_effort_refuses_numbers_below_its_least(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(values))} is"):
        Effort(**values)


def test_all_runtimes_of_a_format_are_measured_under_names_that_tell_them_apart(
    tiny_onnx: Path,
) -> None:
    names = [variant.name for variant in variants_from_names(["all"]) if variant.format == "onnx"]
    effort = Effort(warmup=1, runs=6, max_seconds=0, batch_sizes=(3,), cold_starts=0)
    report = bench(
        BenchRecipe(
            models=(tiny_onnx,),
            runtimes=("all",),
            limit=20,
            threads=(1, 2),
            profile=True,
            effort=effort,
        )
    )
    assert [model.name for model in report.models] == [f"tiny-float32 ({name})" for name in names]
    assert [model.options["graph_optimization"] for model in report.models] == [
        "all",
        "extended",
        "basic",
        "none",
    ]
    assert len({model.accuracy.wrong for model in report.models}) == 1
    for model in report.models:
        assert [latency.threads for latency in (model.latency, *model.threads)] == [1, 2]
        assert [(one.batch_size, one.threads) for one in model.throughput] == [(3, 1), (3, 2)]
        assert model.profile is not None
        assert {"Gemm", "Softmax"} <= {one.operator for one in model.profile}
        assert {one.calls for one in model.profile if one.operator == "Gemm"} == {100}
    assert report.roofline is not None
    assert [one.runtime for one in report.roofline.ceilings] == ["onnxruntime", "onnxruntime"]
    assert report_from_text(report.to_text(), origin="it") == report


def test_an_exported_model_decides_like_its_keras_checkpoint(
    tiny_onnx: Path, tiny_keras: Path
) -> None:
    sentences: list[str] = []
    recipe = BenchRecipe(
        models=(tiny_onnx,), against=(tiny_keras,), limit=200, effort=replace(QUICK, runs=20)
    )
    report = bench(recipe, progress=sentences.append)
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
    assert onnx_report.flips == ()
    assert (onnx_report.runtime, onnx_report.latency.threads) == ("onnxruntime", 1)
    assert onnx_report.model_file.size_bytes == tiny_onnx.stat().st_size
    assert keras_report.runtime == "keras/tensorflow"
    assert keras_report.cost.operators == {"GlobalAveragePooling2D": 1, "Dense": 1}
    assert (keras_report.cost.parameters, keras_report.cost.weight_bytes) == (40, 160)
    assert len(keras_report.latency.samples) == 20
    assert keras_report.startup.peak_rss_bytes is not None
    assert onnx_report.startup.peak_rss_bytes is not None
    assert keras_report.startup.peak_rss_bytes > 2 * onnx_report.startup.peak_rss_bytes
    assert sentences == [
        "timing 20 inferences or more of each of 2 models",
        "scoring 200 images with tiny",
        "scoring 200 images with tiny-float32",
    ]


def test_a_model_is_compared_with_the_checkpoint_it_was_made_from(
    tiny_onnx: Path, tiny_keras: Path, exports: Path
) -> None:
    """The stranger is compared with the first reference; the references with nothing."""
    recipe = BenchRecipe(
        models=(exports / "net-float32.onnx", tiny_onnx),
        against=(tiny_keras, exports / "net.keras"),
        limit=50,
        effort=replace(QUICK, runs=4),
    )
    report = bench(recipe)
    assert [(model.name, model.reference) for model in report.models] == [
        ("tiny", None),
        ("net", None),
        ("net-float32", "net"),
        ("tiny-float32", "tiny"),
    ]
    for model in report.models[2:]:
        assert model.parity is not None
        assert model.parity.agreeing == 50
    assert report.references == ("net", "tiny")


def test_a_model_can_be_the_reference_and_a_folder_the_images(
    tiny_onnx: Path, tmp_path: Path
) -> None:
    from PIL import Image

    folder, copy = tmp_path / "pictures", tmp_path / tiny_onnx.name
    for index, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        pixels = np.full((48, 64, 3), 25 * index, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / label / "one.png")
    for path in (tiny_onnx, tiny_onnx.with_name(f"{tiny_onnx.name}.json")):
        shutil.copy(path, tmp_path)
    report = bench(
        BenchRecipe(
            models=(tiny_onnx,), against=(copy,), eval_data=folder, effort=replace(QUICK, runs=4)
        )
    )
    reference, candidate = report.models
    assert (reference.name, candidate.name) == (
        "tiny-float32.onnx #1",
        "tiny-float32.onnx #2",
    )
    assert (candidate.accuracy.split, candidate.accuracy.seen) == ("pictures", 10)
    assert candidate.parity is not None
    assert (candidate.parity.agreeing, candidate.parity.max_score_error) == (10, 0)
    assert candidate.accuracy == reference.accuracy


def test_a_runtime_that_runs_none_of_the_formats_is_a_usage_error(tiny_onnx: Path) -> None:
    with pytest.raises(UsageError) as caught:
        bench(BenchRecipe(models=(tiny_onnx,), runtimes=("litert", "keras"), limit=10))
    assert str(caught.value) == (
        f"{tiny_onnx}: none of the runtimes litert, keras runs a onnx model. "
        "Name one that does, or leave --runtimes out."
    )


def test_a_folder_of_images_needs_an_exported_model(tiny_keras: Path, tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(UsageError, match="holds the classes cat, but no exported model says"):
        bench(BenchRecipe(models=(tiny_keras,), eval_data=tmp_path))
