"""Several devices or workers train as one does at the same global batch, within float noise."""

import gc
import json
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_runtime.errors import UsageError
from cifar_train.engine.parallel import OneDevice, check_shares, worker_folder, worker_place
from cifar_train.input.batches import Batch
from cifar_train.recipe import TrainRecipe
from cifar_train.recipes import RECIPES, SEED_CNN

# Trains a network without dropout, whose masks would differ, and prints the losses of each epoch.
SCRIPT = """
import json, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from cifar_data import packaged
from cifar_train.fit import fit, predict
from cifar_train.recipes import RECIPES
class Watcher:
    def on_batch(self, *a): pass
    def on_epoch(self, *a): pass
sample = packaged.test_sample()
data = sample.take(np.arange(40), name="few"), sample.take(np.arange(40, 60), name="others")
for backend, distribute in json.loads(sys.argv[2]):
    recipe = replace(
        RECIPES["quick"], epochs=2, batch_size=16, ema=0.5, learning_rate=0.02, backend=backend, distribute=distribute,
        distillation=None,
    )
    folder = Path(sys.argv[1], backend + distribute)
    model, state = fit(recipe, data, folder, Watcher(), resume=False)
    scores = predict(model, data[1].images)
    losses = [(e.loss, e.validation_loss) for e in state.epochs]
    print(json.dumps({"losses": losses, "scores": np.round(scores.astype(float), 6).tolist()}), flush=True)
"""


def start(folder: Path, runs: list[tuple[str, str]], **extra: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), json.dumps(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, **extra},
    )


def results(process: subprocess.Popen[str]) -> list[dict[str, list[list[float]]]]:
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def assert_same(one: dict[str, list[list[float]]], other: dict[str, list[list[float]]]) -> None:
    for mine, theirs in zip(one["losses"], other["losses"], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3)
    for mine, theirs in zip(one["scores"], other["scores"], strict=True):
        assert mine == pytest.approx(theirs, abs=5e-3)


def test_an_epoch_keeps_none_of_its_batches() -> None:
    """The first of each stayed with TensorFlow: 6 MB an epoch at 32x32, 300 MB at 224x224."""
    keras = pytest.importorskip("keras")
    network = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential(network)
    model.compile("sgd", loss="mse")
    made: list[weakref.ref[NDArray[np.float32]]] = []

    def batches() -> Iterator[Batch]:
        for _ in range(2):
            pixels = np.zeros((4, 8, 8, 3), np.float32)
            made.append(weakref.ref(pixels))
            yield pixels, np.zeros((4, 2), np.float32)

    OneDevice().train(model, batches(), 2, lambda _: None)
    OneDevice().evaluate(model, batches(), 2)
    gc.collect()
    assert [batch() is None for batch in made] == [True] * 4


def test_two_devices_of_jax_train_as_one(tmp_path: Path) -> None:
    runs = [("jax", "none"), ("jax", "devices")]
    process = start(tmp_path, runs, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    assert_same(*results(process))


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for opened in sockets:
        opened.bind(("127.0.0.1", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def test_two_workers_of_tensorflow_train_as_one(tmp_path: Path) -> None:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    workers = []
    for index in (0, 1):
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        folder = tmp_path / str(index)
        workers.append(start(folder, [("tensorflow", "workers")], TF_CONFIG=config))
    try:
        (first,), (second,) = (results(worker) for worker in workers)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    (alone,) = results(start(tmp_path / "alone", [("tensorflow", "none")]))
    assert_same(first, alone)
    assert first["scores"] == second["scores"]


WORKERS = replace(SEED_CNN, distribute="workers")


@pytest.mark.parametrize(
    "config",
    ["", "no json", "[]", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"index": "x"}}'],
)
def test_a_tf_config_without_workers_is_refused(
    config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UsageError, match="expected a cluster of workers"):
        worker_place()


@pytest.mark.parametrize(
    ("index", "recipe", "expected"),
    [(0, WORKERS, "run"), (2, WORKERS, "run/worker-2"), (2, SEED_CNN, "run")],
)
def test_each_worker_has_its_own_run_folder(
    index: int, recipe: TrainRecipe, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"cluster": {"worker": ["a:1", "b:1", "c:1"]}, "task": {"index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert worker_place() == (index, 3)
    assert worker_folder(Path("run"), recipe) == Path(expected)


@pytest.mark.parametrize(
    ("batch_size", "images", "count", "fits"),
    [
        (32, 64, 2, True),
        (32, 72, 8, True),
        (32, 72, 16, False),
        (33, 66, 2, False),
        (7, 15, 1, True),
    ],
)
def test_batches_must_divide_evenly(batch_size: int, images: int, count: int, fits: bool) -> None:
    recipe = replace(RECIPES["quick"], batch_size=batch_size)
    if fits:
        check_shares(recipe, images, OneDevice(count=count))
    else:
        with pytest.raises(UsageError, match=f"do not divide among {count}"):
            check_shares(recipe, images, OneDevice(count=count))
