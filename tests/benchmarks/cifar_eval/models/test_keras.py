"""Keras checkpoints: raw pixels in, and everything that is no safe image classifier refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_eval.models.keras import CheckpointModel
from cifar_eval.models.keras_archive import read_checkpoint
from cifar_runtime.errors import ArtefactError

# TensorFlow 2.21's tensors answer numpy 2 in the old way; the warning is about its code, not ours.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def test_scores_are_those_of_raw_pixels(
    tiny_keras: Path, tiny_weights: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> None:
    """Against the same network in numpy, over more than one batch."""
    images = np.random.default_rng(1).integers(0, 256, size=(260, 32, 32, 3), dtype=np.uint8)
    kernel, bias = tiny_weights
    logits = images.astype(np.float64).mean(axis=(1, 2)) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scorer = CheckpointModel(tiny_keras)
    scores = scorer.scores(images)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    np.testing.assert_allclose(scorer.infer(scorer.prepare(images[7:8])), expected[7:8], atol=1e-5)


def test_a_single_inference_gives_the_scores_as_an_array(tiny_keras: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, size=(3, 32, 32, 3), dtype=np.uint8)
    scorer = CheckpointModel(tiny_keras)
    answer = scorer.infer(scorer.prepare(images))
    assert isinstance(answer, np.ndarray)
    np.testing.assert_allclose(answer, scorer.scores(images), atol=1e-6)


def test_probabilities_are_the_scores_where_these_are_distributions(tiny_keras: Path) -> None:
    scorer = CheckpointModel(tiny_keras)
    distributions = np.array([[0.25, 0.75], [1.0, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(scorer.probabilities(distributions), distributions)
    logits = np.array([[0.0, np.log(3)]], dtype=np.float32)
    np.testing.assert_allclose(scorer.probabilities(logits), [[0.25, 0.75]], atol=1e-7)


def test_a_checkpoint_is_known_by_its_file(tiny_keras: Path) -> None:
    scorer = CheckpointModel(tiny_keras)
    assert (scorer.name, scorer.image_shape) == ("tiny", (32, 32, 3))
    assert scorer.labels == tuple("0123456789")
    assert scorer.model_file.size_bytes == tiny_keras.stat().st_size


def test_labels_must_be_as_many_as_scores(tiny_keras: Path) -> None:
    with pytest.raises(ArtefactError, match="gives 10 scores, expected one for each of 2 labels"):
        CheckpointModel(tiny_keras, labels=("cat", "dog"))


@pytest.mark.parametrize("name", ["model.h5", "model.pkl", "model"])
def test_formats_that_can_run_code_are_refused_by_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(ArtefactError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == (
        f"{path}: is not a .keras file; .h5 and pickle can run code when they are opened. "
        "Save the model with model.save('NAME.keras')."
    )


def test_an_archive_that_unpacks_beyond_a_gibibyte_is_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    # The central directory states the unpacked size: 24 bytes after its signature PK 01 02.
    data = bytearray(path.read_bytes())
    size_at = data.rindex(b"PK\x01\x02") + 24
    data[size_at : size_at + 4] = (2**30 + 1).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(
        ArtefactError, match="unpacks to 1073741825 bytes, expected at most 1073741824"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is not a Keras archive"), (b"\x89HDF\r\n\x1a\n", "is not a Keras archive")],
)
def test_what_is_no_archive_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=message):
        CheckpointModel(path)


def test_an_archive_that_keras_cannot_open_is_refused_without_temporary_paths(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", '{"module": "keras", "class_name": "Nothing"}')
    with pytest.raises(ArtefactError) as caught:
        CheckpointModel(path)
    assert str(caught.value).startswith(f"{path}: keras cannot open it: ")
    assert "/tmp/cifar-bench-" not in str(caught.value)  # noqa: S108 - what must not be shown


def test_a_model_that_is_no_image_classifier_is_refused(tmp_path: Path) -> None:
    import keras

    path = tmp_path / "vector.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
    with pytest.raises(ArtefactError, match=r"has 1 inputs and 1 outputs of shapes"):
        CheckpointModel(path)
