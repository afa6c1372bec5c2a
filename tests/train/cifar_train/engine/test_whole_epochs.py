"""An epoch as one compiled loop over images on the device equals the same epoch step by step."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cifar_data import packaged
from cifar_train.engine.whole_epochs import open_whole_epochs, stacked_draws
from cifar_train.input.batches import batch_from_draw, batches, draws, target_table
from cifar_train.recipe import Augmentation, TrainRecipe
from cifar_train.recipes import RECIPES
from cifar_train.teacher.distillation import CheckpointTeacher, SoftLabels

JAX = replace(RECIPES["quick"], batch_size=16, backend="jax", distillation=None)
FEW = packaged.test_sample().take(np.arange(40), name="few")

# Trains on JAX step by step, then in whole epochs, then resumes a broken run of those; prints what each measured.
# Every part of a recipe is on, the network drops out, and 40 images in batches of 16 leave a last one of 8.
SCRIPT = """
import json, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from cifar_data import packaged
from cifar_train import fit as fit_module
from cifar_train.engine import whole_epochs
from cifar_train.teacher.distillation import SoftLabels, softened
from cifar_train.recipe import Augmentation, Distillation
from cifar_train.recipes import RECIPES
def build(architecture, *, input_shape, num_classes, output="probabilities"):
    from keras import Sequential, layers
    return Sequential([
        layers.Input(input_shape),
        layers.Rescaling(1 / 64, offset=-2),
        layers.Conv2D(8, 3, strides=4, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(num_classes),
        layers.Activation("softmax" if output == "probabilities" else "linear", dtype="float32"),
    ])
fit_module.build = build
class Watcher:
    def __init__(self, stop=None): self.stop = stop
    def on_batch(self, epoch, seen, total): batches.append(seen)
    def on_epoch(self, epoch, state):
        if epoch.number == self.stop: raise KeyboardInterrupt
sample = packaged.test_sample()
data = sample.take(np.arange(40), name="few"), sample.take(np.arange(40, 60), name="others")
recipe = replace(
    RECIPES["quick"], epochs=3, batch_size=16, ema=0.9, learning_rate=0.02, label_smoothing=0.1, backend="jax",
    augmentation=Augmentation(flip="alternating", translate=4, cutout=8, mixup=0.5), distillation=Distillation(),
    device="cpu", precision="mixed_bfloat16",
)
teacher = SoftLabels(probabilities=softened(np.random.default_rng(0).normal(size=(40, 10)), 4.0))
def run(folder, watcher, resume):
    model, state = fit_module.fit(
        recipe, data, Path(sys.argv[1], folder), watcher, resume=resume, teacher=teacher
    )
    measures = [(e.loss, e.accuracy, e.validation_loss) for e in state.epochs]
    weights = [weight.ravel().tolist() for weight in model.get_weights()]
    print(json.dumps({"measures": measures, "weights": weights, "batches": batches}), flush=True)
    batches.clear()
batches = []
run("steps", Watcher(), False)
whole_epochs.has_gpu = lambda backend: True
run("whole", Watcher(), False)
try:
    run("broken", Watcher(stop=1), False)
except KeyboardInterrupt:
    batches.clear()
    run("broken", Watcher(), True)
"""

Run = dict[str, list[Any]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path_factory.mktemp("runs"))],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


def assert_same(one: Run, other: Run) -> None:
    np.testing.assert_allclose(one["measures"], other["measures"], rtol=1e-3)
    for mine, theirs in zip(one["weights"], other["weights"], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)


def test_whole_epochs_equal_single_steps(runs: list[Run]) -> None:
    steps, whole, _ = runs
    assert_same(whole, steps)
    assert steps["measures"][0] != steps["measures"][2]
    assert steps["batches"] == [16, 32, 40] * 3
    assert whole["batches"] == [40] * 3


def test_whole_epochs_resume_where_an_unbroken_run_would_be(runs: list[Run]) -> None:
    _, whole, resumed = runs
    assert resumed["batches"] == [40, 40]
    assert_same(resumed, whole)


@pytest.mark.parametrize(
    "augmentation",
    [
        None,
        Augmentation(flip="random", translate=2),
        Augmentation(flip="alternating", translate=4, cutout=8, mixup=0.5),
    ],
)
def test_the_device_sees_the_hosts_batches(augmentation: Augmentation | None) -> None:
    import jax

    teacher = SoftLabels(probabilities=np.random.default_rng(0).random((40, 10), np.float32))
    recipe = replace(JAX, augmentation=augmentation)
    images = jax.numpy.asarray(FEW.images)
    table = jax.numpy.asarray(target_table(recipe, FEW, teacher, epoch=1))
    parts = list(stacked_draws(draws(recipe, FEW, 1)))
    assert [part.chosen.shape for part in parts] == [(2, 16), (1, 8)]
    seen = [
        batch_from_draw(images, table, jax.tree.map(lambda steps, step=step: steps[step], part))
        for part in parts
        for step in range(len(part.chosen))
    ]
    expected = batches(recipe, FEW, 1, teacher=teacher)
    for (pixels, targets), (their_pixels, their_targets) in zip(seen, expected, strict=True):
        assert isinstance(pixels, jax.Array)
        np.testing.assert_allclose(pixels, their_pixels, rtol=1e-6, atol=1e-4)
        np.testing.assert_allclose(targets, their_targets, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("recipe", "teacher", "gpu"),
    [
        (JAX, None, False),
        (replace(JAX, backend="tensorflow"), None, True),
        (replace(JAX, distribute="devices"), None, True),
        (JAX, CheckpointTeacher(model=None, temperature=4.0), True),
    ],
    ids=["on a CPU", "with TensorFlow", "on several devices", "with a checkpoint as teacher"],
)
def test_steps_run_one_by_one(
    recipe: TrainRecipe,
    teacher: CheckpointTeacher | None,
    gpu: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cifar_train.engine.whole_epochs.has_gpu", lambda _backend: gpu)
    assert open_whole_epochs(recipe, None, FEW, teacher) is None
