"""Quantization-aware training: what it rounds, what it keeps, and that it ends in an artefact."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import export_recipe

from cifar_data import packaged
from cifar_data.cifar10.splits import dataset_folder
from cifar_export.checkpoint.open import open_checkpoint
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.simulation import observed_ranges, rounded_to_int8
from cifar_export.keras_graph.fold import Folded, fold
from cifar_export.pipeline import export
from cifar_export.qat.distil import trained
from cifar_export.qat.task import QatData, QatTask
from cifar_export.recipe import QatRecipe
from cifar_runtime.artefact import card_path
from cifar_runtime.errors import InputError

HAS_TFMOT = importlib.util.find_spec("tensorflow_model_optimization") is not None
BACKENDS = [
    "keras",
    pytest.param("tfmot", marks=pytest.mark.skipif(not HAS_TFMOT, reason="needs cifar-edge[qat]")),
]


@pytest.fixture(scope="module")
def folded(checkpoint: Path) -> Folded:
    return fold(open_checkpoint(checkpoint).model, rescaling="strip")


@pytest.fixture(scope="module")
def feed() -> RepresentativeDataset:
    return RepresentativeDataset(images=packaged.calibration_sample().images[:128])


@pytest.fixture(scope="module")
def data() -> QatData:
    images = packaged.calibration_sample().images
    return QatData(train=images[:256], validation=images[256:])


def test_kernels_are_rounded_to_255_steps_of_each_output_channel() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)
    found = np.asarray(rounded_to_int8(kernel, (0, 1, 2)))
    for channel in range(5):
        scale = np.abs(kernel[..., channel]).max() / 127
        expected = np.rint(kernel[..., channel].astype(np.float64) / scale) * scale
        np.testing.assert_allclose(found[..., channel], expected, atol=scale * 1e-3)


def test_ranges_are_the_extremes_of_layers_that_compute(feed: RepresentativeDataset) -> None:
    model = fold(_chain()).model
    pixels = np.concatenate(list(feed.batches(64)))
    convolved = np.asarray(model.layers[1](pixels))
    scores = np.asarray(model(pixels))
    (_, convolution), (_, dense) = sorted(observed_ranges(model, feed).items())
    np.testing.assert_allclose(convolution, (0, convolved.max()), rtol=1e-5)
    np.testing.assert_allclose(dense, (0, scores.max()), rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_keeps_the_best_state_and_the_model_it_was_given(
    backend: Any, folded: Folded, feed: RepresentativeDataset, data: QatData
) -> None:
    if backend == "tfmot":
        folded = fold(_chain(), rescaling="strip")  # it takes no branches of negated channels
    before = [weight.copy() for weight in folded.model.get_weights()]
    said: list[str] = []
    recipe = QatRecipe(backend=backend, steps=8, batch_size=32)
    task = QatTask(teacher=folded.model, feed=feed, data=data, seed=0)
    result = trained(folded, recipe, task, progress=said.append)
    for old, new in zip(before, folded.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    after = result.folded.model.get_weights()
    assert [weight.shape for weight in after] == [weight.shape for weight in before]
    kinds = [
        [type(layer) for layer in model.layers] for model in (folded.model, result.folded.model)
    ]
    assert kinds[0] == kinds[1], "fake quantization must not reach a converter (toolchain trap 3)"
    assert result.report["steps"] == 8
    points = result.report["looks"]
    assert [point["step"] for point in points] == list(range(9))
    best = min(points, key=lambda point: point["divergence"])
    has_moved = any(not np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    assert result.report["kept_step"] == best["step"]
    assert has_moved == (best["step"] > 0)
    assert max(np.abs(new - old).max() for old, new in zip(before, after, strict=True)) < 1
    assert len(said) == len(points) + 1
    assert said[0].startswith("QAT: step 0 of 8: agreement ")
    assert said[8].startswith("QAT: step 8 of 8: loss ")


def _chain() -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(6, 5, activation="relu"),
            layers.MaxPooling2D(4),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def test_the_same_seed_trains_the_same_weights(
    folded: Folded, feed: RepresentativeDataset, data: QatData
) -> None:
    recipe = QatRecipe(steps=4, batch_size=64)
    task = QatTask(teacher=folded.model, feed=feed, data=data, seed=5)
    first, second = (trained(folded, recipe, task, progress=lambda _: None) for _ in range(2))
    for one, other in zip(
        first.folded.model.get_weights(), second.folded.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_an_int8_export_can_be_trained_first(
    checkpoint: Path, data: QatData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cifar_export.stages.prepared.qat_data", lambda: data)
    monkeypatch.setattr("cifar_export.pipeline.check_data_set", lambda: None)
    results = export(
        export_recipe(
            checkpoint=checkpoint,
            output=tmp_path,
            formats=("tflite", "onnx"),
            quantize=("int8",),
            qat=QatRecipe(steps=4, batch_size=64),
            calibration_samples=128,
            eval_split="test-sample",
            max_accuracy_drop=0.03,
            min_agreement=0.9,
        )
    )
    assert [result.path.name for result in results] == [
        "small-int8-qat.tflite",
        "small-int8-qat.onnx",
    ]
    for result in results:
        provenance = json.loads(card_path(result.path).read_text())["provenance"]
        assert provenance["recipe"]["qat"]["backend"] == "keras"
        assert provenance["training_for_int8"]["steps"] == 4
        assert provenance["preparation_for_int8"]["equalized"]


def test_training_needs_the_data_set_before_anything_slow(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path))
    recipe = export_recipe(
        checkpoint=checkpoint, output=tmp_path / "out", quantize=("int8",), qat=QatRecipe()
    )
    said: list[str] = []
    with pytest.raises(InputError) as caught:
        export(recipe, progress=said.append)
    assert str(caught.value) == (
        f"--qat trains on CIFAR-10's train split, which is not in {dataset_folder()}. "
        "Run cifar-data fetch, once, while online, or leave --qat out."
    )
    assert (caught.value.exit_code, said) == (3, [])
