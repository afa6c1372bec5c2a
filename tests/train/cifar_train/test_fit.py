"""Real runs on a few shipped images: they learn, resume exactly, survive a kill, and describe themselves."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cifar_data import packaged
from cifar_data.cifar10.splits import LABELS
from cifar_data.split import Split
from cifar_runtime.environment import read_environment
from cifar_runtime.errors import CifarEdgeError, UsageError
from cifar_train.commands.train import PrintingWatcher, main
from cifar_train.fit import fit, predict
from cifar_train.input.batches import batches
from cifar_train.recipe import TrainRecipe
from cifar_train.recipes import NOTEBOOK, SEED_CNN
from cifar_train.run.state import Epoch, RunState, load_state

# Labels alone: the soft ones are made for the training images, and these runs train on others.
TINY = replace(SEED_CNN, epochs=2, batch_size=32, ema=None, distillation=None)


class Silent:
    def on_batch(self, epoch: int, seen: int, total: int) -> None:
        pass

    def on_epoch(self, epoch: Epoch, state: RunState) -> None:
        pass


class Interrupting(Silent):
    def on_batch(self, epoch: int, seen: int, total: int) -> None:
        if (epoch, seen) == (2, min(64, total)):
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def data() -> tuple[Split, Split]:
    sample = packaged.test_sample()
    return (
        sample.take(np.arange(100), name="few"),
        sample.take(np.arange(100, 150), name="others"),
    )


def losses(state: RunState) -> list[tuple[float, float]]:
    return [(epoch.loss, epoch.validation_loss) for epoch in state.epochs]


def test_an_epoch_visits_every_image_once_and_differs_from_the_next(data) -> None:
    train, _ = data
    recipe = replace(NOTEBOOK, batch_size=32)
    first, second = (list(batches(recipe, train, epoch)) for epoch in (1, 2))
    assert [len(pixels) for pixels, _ in first] == [32, 32, 32, 4]
    pixels = np.concatenate([pixels for pixels, _ in first])
    labels = np.concatenate([labels for _, labels in first])
    assert pixels.dtype == labels.dtype == np.float32
    assert sorted(map(bytes, pixels.astype(np.uint8))) == sorted(map(bytes, train.images))
    assert np.array_equal(labels.sum(axis=0), np.bincount(train.labels, minlength=10))
    assert not np.array_equal(first[0][0], second[0][0])


def test_the_notebook_trains_as_it_did_when_its_checkpoint_was_made(data, tmp_path: Path) -> None:
    """The loss of four steps, recorded before recipes had averages, teachers or other flips.

    Rounding differs between processors and between TensorFlow's kernels, and training magnifies it: so one epoch
    only, to a percent.
    """
    _, state = fit(replace(NOTEBOOK, epochs=2), data, tmp_path, Silent(), resume=False)
    assert state.epochs[0].loss == pytest.approx(4.17599, rel=1e-2)


def test_a_network_can_learn_a_few_images_by_heart(data, tmp_path: Path) -> None:
    train, _ = data
    few = train.take(np.arange(40), name="few")
    recipe = replace(
        TINY,
        augmentation=None,
        epochs=12,
        batch_size=20,
        schedule="constant",
        optimizer="adam",
        learning_rate=0.001,
        weight_decay=0,
    )
    model, state = fit(recipe, (few, few), tmp_path, Silent(), resume=False)
    predicted = predict(model, few.images).argmax(axis=1)
    assert state.kept.validation_accuracy == pytest.approx(np.mean(predicted == few.labels))
    assert state.kept.validation_accuracy > 0.5


def test_an_interrupted_run_resumes_where_an_unbroken_one_would_be(data, tmp_path: Path) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    model, state = fit(TINY, data, unbroken, Silent(), resume=False)
    with pytest.raises(KeyboardInterrupt):
        fit(TINY, data, broken, Interrupting(), resume=False)
    assert len(load_state(broken).epochs) == 1
    resumed_model, resumed = fit(TINY, data, broken, Silent(), resume=True)
    assert np.array(losses(resumed)) == pytest.approx(np.array(losses(state)), rel=1e-4)
    _, others = data
    assert predict(resumed_model, others.images) == pytest.approx(
        predict(model, others.images), abs=1e-3
    )


@pytest.mark.parametrize("stops_in", [1, 2])
def test_a_forced_run_that_is_interrupted_never_resumes_as_the_old_one(
    stops_in: int,
    data,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fit(replace(TINY, epochs=3), data, tmp_path, Silent(), resume=False)

    def interrupt(_watcher: PrintingWatcher, epoch: int, _seen: int, _total: int) -> None:
        if epoch == stops_in:
            raise KeyboardInterrupt

    monkeypatch.setattr(PrintingWatcher, "on_batch", interrupt)
    monkeypatch.setattr("cifar_train.training.training_splits", lambda _recipe: data)
    command = ["-o", str(tmp_path), "--epochs", "3", "-b", "32", "--teacher", "none"]
    assert main([*command, "--force"]) == 130
    finished = stops_in - 1
    assert ("Finished epochs are safe" in capsys.readouterr().err) == (finished > 0)
    assert len(list(tmp_path.glob("checkpoint-*.npz"))) == finished
    if finished:
        assert len(load_state(tmp_path).epochs) == finished
    else:
        assert main([*command, "--resume"]) == 2
        assert "holds no run to resume" in capsys.readouterr().err


def test_a_run_resumes_only_with_its_own_recipe(data, tmp_path: Path) -> None:
    fit(replace(TINY, epochs=1), data, tmp_path, Silent(), resume=False)
    with pytest.raises(UsageError, match="was started with batch_size 32, not 16"):
        fit(replace(TINY, epochs=1, batch_size=16), data, tmp_path, Silent(), resume=True)


def test_a_diverging_run_stops_and_keeps_the_last_good_epoch(data, tmp_path: Path) -> None:
    recipe = replace(TINY, learning_rate=1e30, schedule="constant")
    with pytest.raises(CifarEdgeError, match="the training loss is nan in epoch"):
        fit(recipe, data, tmp_path, Silent(), resume=False)


FIT_SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from cifar_data import packaged
from cifar_train.fit import fit
from cifar_train.recipes import SEED_CNN
class Watcher:
    def on_batch(self, *a): pass
    def on_epoch(self, epoch, state): print(epoch.number, epoch.loss, flush=True)
sample = packaged.test_sample()
data = sample.take(np.arange(100), name="few"), sample.take(np.arange(100, 150), name="others")
recipe = replace(
    SEED_CNN, epochs=int(sys.argv[3]), batch_size=32, optimizer="muon", learning_rate=0.02, backend=sys.argv[2],
    ema=None, distillation=None,
)
fit(recipe, data, Path(sys.argv[1]), Watcher(), resume=False)
"""


STRAIGHT_AND_RESUMED = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from cifar_data import packaged
from cifar_train.fit import fit
from cifar_train.recipe import Augmentation
from cifar_train.recipes import RECIPES
class Watcher:
    def __init__(self, stop): self.stop = stop
    def on_batch(self, *a): pass
    def on_epoch(self, epoch, state):
        if epoch.number == self.stop: raise KeyboardInterrupt
sample = packaged.test_sample()
data = sample.take(np.arange(64), name="few"), sample.take(np.arange(64, 96), name="others")
recipe = replace(
    RECIPES["edge-s"], architecture="quick-res", epochs=4, batch_size=32, deterministic=True, label_smoothing=0.1,
    augmentation=Augmentation(flip="alternating", translate=2, cutout=4, mixup=0.5), ema=0.9,
)
one, two = Path(sys.argv[1], "straight"), Path(sys.argv[1], "broken")
straight, state = fit(recipe, data, one, Watcher(None), resume=False)
try:
    fit(recipe, data, two, Watcher(2), resume=False)
except KeyboardInterrupt:
    resumed, again = fit(recipe, data, two, Watcher(None), resume=True)
assert len(again.epochs) == 4
for mine, other in zip(straight.get_weights(), resumed.get_weights(), strict=True):
    assert mine.tobytes() == other.tobytes()
assert [e.validation_loss for e in state.epochs] == [e.validation_loss for e in again.epochs]
print("bit-equal")
"""


def test_a_deterministic_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    """Four epochs are two and two: in a process of its own, since determinism cannot be switched off again."""
    finished = subprocess.run(
        [sys.executable, "-c", STRAIGHT_AND_RESUMED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stdout == "bit-equal\n", finished.stderr


def test_kill_9_leaves_the_last_finished_epoch(data, tmp_path: Path) -> None:
    script = [sys.executable, "-c", FIT_SCRIPT, str(tmp_path), "tensorflow", "1000"]
    with subprocess.Popen(
        script, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    state = load_state(tmp_path)
    assert len(state.epochs) >= 3
    recipe = replace(state.recipe, epochs=len(state.epochs) + 1)
    rest = tmp_path / "state.json"
    rest.write_text(rest.read_text().replace('"epochs": 1000', f'"epochs": {recipe.epochs}'))
    _, resumed = fit(recipe, data, tmp_path, Silent(), resume=True)
    assert resumed.epochs[:-1] == state.epochs


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_both_backends_run_the_same_code(tmp_path: Path, backend: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    finished = subprocess.run(
        [sys.executable, "-c", FIT_SCRIPT, str(tmp_path), backend, "1"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    loss = float(finished.stdout.split()[1])
    assert 2.0 < loss < 6.0


def event_tags(folder: Path) -> list[tuple[int, str]]:
    import tensorflow as tf

    (path,) = folder.glob("events.out.tfevents.*")
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    events = [tf.compat.v1.Event.FromString(record) for record in records]
    assert events[0].file_version == "brain.Event:2"
    return [(event.step, value.tag) for event in events[1:] for value in event.summary.value]


def test_the_command_writes_a_run_folder_and_reads_the_test_split_only_when_final(
    data,
    follows: Callable[[str, object], bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reads: list[str] = []

    def load(name: str) -> Split:
        reads.append(name)
        return data[1].take(np.arange(50), name=name)

    def few_images(_recipe: TrainRecipe) -> tuple[Split, Split]:
        return data

    monkeypatch.setattr("cifar_train.training.training_splits", few_images)
    monkeypatch.setattr("cifar_train.training.load_split", load)
    folder = tmp_path / "run"
    assert main(["--epochs", "1", "--teacher", "none", "-o", str(folder), "--tensorboard"]) == 0
    assert reads == []
    assert event_tags(folder) == [
        (1, "loss"),
        (1, "accuracy"),
        (1, "validation_loss"),
        (1, "validation_accuracy"),
        (1, "images_per_second"),
    ]
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{folder}/model.keras  (epoch 1 kept)\n  others: ")
    assert "epoch 1/1  loss" in printed.err
    assert (
        main(
            [
                "--epochs",
                "1",
                "--teacher",
                "none",
                "-o",
                str(folder),
                "--force",
                "--final",
                "--json",
                "-q",
                "--licence",
                "MIT",
            ]
        )
        == 0
    )
    assert reads == ["test"]
    printed = capsys.readouterr()
    card = json.loads(printed.out)
    assert card == json.loads((folder / "card.json").read_text())
    assert card["licence"] == "MIT"
    assert card["environment"]["cpu_model"] == read_environment().cpu_model
    assert card["accuracy"]["others"]["seen"] == card["accuracy"]["test"]["seen"] == 50
    assert card["data"]["few"]["ids_sha256"] == data[0].ids_sha256()
    names = {path.name for path in folder.iterdir()}
    assert {"model.keras", "card.json", "curves.csv", "curves.svg", "evaluation-test.json"} <= names
    assert (folder / "confusion-test.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "report-test.png").read_bytes().startswith(b"\x89PNG")
    evaluation = json.loads((folder / "evaluation-others.json").read_text())
    assert np.sum(evaluation["confusion_matrix"]) == 50
    assert np.trace(evaluation["confusion_matrix"]) == evaluation["correct"]
    assert set(LABELS) <= set(evaluation["classification_report"])
    assert follows("train", card)
    assert follows("evaluation", evaluation)
    state = json.loads((folder / "state.json").read_text())
    assert follows("train-state", state)
    assert not follows("train-state", {**state, "epochs": []})
