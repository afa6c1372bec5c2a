"""A teacher's scores reach the student: from a checkpoint or a file, cross-fitted or not, and only the right ones."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_data import packaged
from cifar_data.split import Split
from cifar_runtime.documents import to_document
from cifar_runtime.errors import ArtefactError, CifarEdgeError, InputError, UsageError
from cifar_train.commands import soft_labels
from cifar_train.fit import fit
from cifar_train.input.batches import batches
from cifar_train.labelling import label_images
from cifar_train.recipe import Augmentation, Distillation, Fold, RunOptions
from cifar_train.recipes import RECIPES
from cifar_train.run.state import Epoch, RunState
from cifar_train.teacher.distillation import (
    CheckpointTeacher,
    SoftLabels,
    accuracy,
    distillation_loss,
    open_teacher,
    softened,
)
from cifar_train.teacher.soft_labels import (
    TeacherFile,
    load_soft_labels,
    read_teacher_file,
    write_soft_labels,
)
from cifar_train.training import train

TINY = replace(RECIPES["quick"], epochs=1, batch_size=16, distillation=Distillation())


class Silent:
    def on_batch(self, epoch: int, seen: int, total: int) -> None:
        pass

    def on_epoch(self, epoch: Epoch, state: RunState) -> None:
        pass


@pytest.fixture(scope="module")
def few() -> Split:
    return packaged.test_sample().take(np.arange(32), name="few")


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two linear classifiers of random weights."""
    import keras

    paths = []
    for number in (1, 2):
        keras.utils.set_random_seed(number)
        image = keras.Input((32, 32, 3))
        x = keras.layers.Rescaling(1 / 255)(keras.layers.Flatten()(image))
        model = keras.Model(image, keras.layers.Dense(10, activation="softmax")(x))
        path = tmp_path_factory.mktemp("teacher") / "model.keras"
        model.save(path)
        paths.append(path)
    return paths


def scores(path: Path, images: np.ndarray) -> np.ndarray:
    import keras

    return np.asarray(keras.models.load_model(path)(images.astype(np.float32)))


def test_the_loss_is_the_weighted_sum_computed_by_hand() -> None:
    random = np.random.default_rng(0)
    logits, other = random.normal(size=(2, 5, 10)) * 3
    labels = np.eye(10)[random.integers(0, 10, 5)]

    def cross_entropy(target: np.ndarray, z: np.ndarray) -> np.ndarray:
        return -(target * (z - np.log(np.exp(z).sum(axis=1, keepdims=True)))).sum(axis=1)

    teacher = softened(other.astype(np.float32), 3.0)
    student = np.exp(logits / 3) / np.exp(logits / 3).sum(axis=1, keepdims=True)
    divergence = (teacher * np.log(teacher / student)).sum(axis=1)
    expected = 0.7 * 9 * divergence + 0.3 * cross_entropy(labels, logits)
    loss = distillation_loss(Distillation(temperature=3.0, weight=0.7))
    both = np.hstack([labels, teacher]).astype(np.float32)
    got = np.asarray(loss(both, logits.astype(np.float32)))
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    alone = np.asarray(loss(labels.astype(np.float32), logits.astype(np.float32)))
    np.testing.assert_allclose(alone, cross_entropy(labels, logits), rtol=1e-5)
    decided = logits.argmax(axis=1) == labels.argmax(axis=1)
    assert np.asarray(accuracy(both, logits.astype(np.float32))).tolist() == decided.tolist()


def test_a_higher_temperature_is_softer() -> None:
    logits = np.array([[4.0, 2.0, 0.0]], np.float32)
    expected = np.exp([4, 2, 0]) / np.exp([4, 2, 0]).sum()
    np.testing.assert_allclose(softened(logits, 1.0)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(softened(logits, 1e6)[0], [1 / 3] * 3, rtol=1e-5)


def test_labels_are_the_mean_over_an_image_and_its_mirror_image(
    teachers: list[Path], few: Split
) -> None:
    logits, card = label_images([read_teacher_file(teachers[0])], few)
    assert logits.dtype == np.float16
    views = [scores(teachers[0], images) for images in (few.images, few.images[:, :, ::-1])]
    np.testing.assert_allclose(logits, np.mean(np.log(views), axis=0), rtol=2e-3, atol=2e-3)
    assert card["views"] == ["plain", "mirrored"]
    assert (card["images"], card["ids_sha256"]) == (32, few.ids_sha256())
    (stated,) = card["teachers"]
    assert stated["sha256"] == hashlib.sha256(teachers[0].read_bytes()).hexdigest()
    assert card["agree_with_labels"] == np.sum(logits.argmax(axis=1) == few.labels)


def test_cross_fitted_teachers_label_what_they_did_not_see(
    teachers: list[Path], few: Split, tmp_path: Path
) -> None:
    files = []
    for number, path in enumerate(teachers, start=1):
        recipe = replace(RECIPES["teacher"], fold=Fold(number=number, of=2))
        copy = tmp_path / str(number) / "model.keras"
        copy.parent.mkdir()
        copy.write_bytes(path.read_bytes())
        card = {"model": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}
        copy.with_name("card.json").write_text(json.dumps({**card, "recipe": to_document(recipe)}))
        files.append(read_teacher_file(copy))
    assert [file.fold for file in files] == [Fold(number=n, of=2) for n in (1, 2)]
    logits, _ = label_images(files, few)
    alone = [label_images([replace(file, fold=None)], few)[0] for file in files]
    even = few.ids % 2 == 0
    assert np.array_equal(logits[even], alone[0][even])
    assert np.array_equal(logits[~even], alone[1][~even])
    with pytest.raises(UsageError, match="of 32 images 16 are not labelled by exactly one"):
        label_images(files[:1], few)
    copy.write_bytes(b"other")
    with pytest.raises(ArtefactError, match=r"sha256 is [0-9a-f]{64}, card.json says"):
        read_teacher_file(copy)


def test_stored_labels_are_read_back_for_the_same_images_only(few: Split, tmp_path: Path) -> None:
    logits = np.random.default_rng(0).normal(size=(32, 10)).astype(np.float16)
    path = tmp_path / "labels.npy"
    card = {"split": few.name, "images": 32, "ids_sha256": few.ids_sha256(), "views": ["plain"]}
    write_soft_labels(path, logits, card)
    assert np.array_equal(load_soft_labels(path, few)[0], logits.astype(np.float32))
    others = packaged.test_sample().take(np.arange(1, 33), name="others")
    with pytest.raises(InputError, match="labels 32 images of few, expected the 32 of others"):
        load_soft_labels(path, others)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(InputError, match="its sha256 is not the one that its card says"):
        load_soft_labels(path, few)
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match="soft labels cannot be read"):
        load_soft_labels(path, few)


def test_a_checkpoint_teaches_on_the_students_own_view(teachers: list[Path], few: Split) -> None:
    teacher = open_teacher(
        teachers[0], replace(TINY, distillation=Distillation(temperature=2.0)), few
    )
    assert isinstance(teacher, CheckpointTeacher)
    augmentation = Augmentation(flip="random", translate=3, mixup=0.5)
    recipe = replace(TINY, augmentation=augmentation)
    for pixels, targets in batches(recipe, few, 1, teacher=teacher):
        expected = softened(np.log(scores(teachers[0], pixels)), 2.0)
        np.testing.assert_allclose(targets[:, 10:], expected, rtol=1e-3, atol=1e-6)


def test_stored_labels_follow_their_images_and_mix_with_them(few: Split) -> None:
    probabilities = softened(np.random.default_rng(0).normal(size=(32, 10)) * 4, 1.0)
    teacher = SoftLabels(probabilities=probabilities)
    plain = replace(TINY, augmentation=None)
    for pixels, targets in batches(plain, few, 1, teacher=teacher):
        for image, row in zip(pixels, targets, strict=True):
            (position,) = np.flatnonzero((few.images == image).all(axis=(1, 2, 3)))
            assert np.array_equal(row[10:], probabilities[position])
    mixed = replace(TINY, augmentation=Augmentation(flip="none", translate=0, mixup=1.0))
    for _, targets in batches(mixed, few, 1, teacher=teacher):
        np.testing.assert_allclose(targets[:, 10:].sum(axis=1), 1, rtol=1e-5)
        assert np.any((targets[:, :10] > 0).sum(axis=1) == 2)


def test_a_student_moves_towards_its_teacher(few: Split, tmp_path: Path) -> None:
    """A teacher that is always sure of class 7 is believed, whatever the labels say."""
    logits = np.full((32, 10), -9, np.float32)
    logits[:, 7] = 0
    recipe = replace(
        TINY, epochs=8, augmentation=None, distillation=Distillation(temperature=2.0, weight=1.0)
    )
    teacher = SoftLabels(probabilities=softened(logits, 2.0))
    model, state = fit(recipe, (few, few), tmp_path, Silent(), resume=False, teacher=teacher)
    assert state.epochs[-1].loss < state.epochs[0].loss
    scored = np.asarray(model(few.images.astype(np.float32)))
    np.testing.assert_allclose(scored.sum(axis=1), 1, rtol=1e-4)
    assert np.mean(scored.argmax(axis=1) == 7) > 0.9


def test_the_card_names_the_teacher_and_a_run_resumes_with_no_other(
    teachers: list[Path], few: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cifar_train.training.training_splits", lambda _: (few, few))
    recipe = replace(TINY, distillation=None)
    options = RunOptions(folder=tmp_path, teacher=teachers[0])
    stored = train(recipe, options, Silent()).card["recipe"]["distillation"]
    sha256 = hashlib.sha256(teachers[0].read_bytes()).hexdigest()
    assert stored == {"temperature": 4.0, "weight": 0.9, "source_sha256": sha256}
    other = replace(options, resume=True, teacher=teachers[1])
    with pytest.raises(UsageError, match="was started with distillation"):
        train(recipe, other, Silent())


def _no_classifier(folder: Path) -> Path:
    import keras

    path = folder / "other.keras"
    keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()]).save(path)
    return path


def _damaged(folder: Path) -> Path:
    path = folder / "damaged.keras"
    path.write_bytes(b"PK\3\4")
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: Path("teacher.h5"), "teacher.h5: is no teacher."),
        (_damaged, "is not a Keras archive"),
        (_no_classifier, r"takes and returns \[\(32, 32, 3\), \(3072,\)\], expected"),
    ],
)
def test_what_cannot_teach_is_refused(
    make: Callable[[Path], Path], message: str, few: Split, tmp_path: Path
) -> None:
    with pytest.raises(CifarEdgeError, match=message):
        open_teacher(make(tmp_path), TINY, few)


def test_scores_that_are_no_probabilities_are_refused(few: Split, tmp_path: Path) -> None:
    import keras

    path = tmp_path / "logits.keras"
    layers: list[Any] = [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save(path)
    file = TeacherFile(path=path, sha256="", recipe=None, fold=None)
    with pytest.raises(ArtefactError, match="returns scores that are no probabilities"):
        label_images([file], few)


def test_a_recipe_that_distils_learns_from_the_shipped_labels(
    few: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cifar_train.training.training_splits", lambda _: (few, few))
    with pytest.raises(
        InputError, match=r"soft-labels.npy: labels 45000 images of train, expected the 32 of few"
    ):
        train(TINY, RunOptions(folder=tmp_path), Silent())
    path = tmp_path / "shipped.npy"
    card = {"split": few.name, "images": 32, "ids_sha256": few.ids_sha256(), "views": ["plain"]}
    write_soft_labels(path, np.zeros((32, 10), np.float16), card)
    monkeypatch.setattr(packaged, "soft_labels", lambda: path)
    stored = train(TINY, RunOptions(folder=tmp_path / "run"), Silent()).card["recipe"][
        "distillation"
    ]
    assert stored["source_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_shipped_labels_are_a_teachers_who_knows_its_images() -> None:
    logits = np.load(packaged.soft_labels(), allow_pickle=False)
    card = json.loads(packaged.soft_labels().with_suffix(".json").read_text())
    assert hashlib.sha256(packaged.soft_labels().read_bytes()).hexdigest() == card["sha256"]
    assert (logits.shape, logits.dtype) == ((45_000, 10), np.float16)
    np.testing.assert_allclose(np.exp(logits.astype(np.float64)).sum(axis=1).mean(), 1, atol=0.05)
    assert card["agree_with_labels"] > 0.9 * 45_000


def test_the_command_writes_labels_and_says_what_is_next(
    teachers: list[Path],
    few: Split,
    follows: Callable[[str, object], bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("cifar_data.load.load_split", lambda _: few)
    path = tmp_path / "labels.npy"
    assert soft_labels.main([str(teachers[0]), "-o", str(path)]) == 0
    card = json.loads(path.with_suffix(".json").read_text())
    assert follows("soft-labels", card)
    assert not follows("soft-labels", {**card, "views": []})
    right = card["agree_with_labels"]
    assert capsys.readouterr().out == (
        f"{path}  32 images of few, {right} labelled like CIFAR-10\n"
        f"Next: cifar-train --recipe edge-s --teacher {path}\n"
    )
    assert load_soft_labels(path, few)[0].shape == (32, 10)
    assert soft_labels.main([str(teachers[0]), "-o", "labels.txt"]) == 2
    assert "'labels.txt' does not end in .npy" in capsys.readouterr().err
