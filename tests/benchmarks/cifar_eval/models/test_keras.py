"""Keras checkpoints: raw pixels in, and everything that is no safe image classifier refused."""

import importlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_eval.models import keras as keras_models
from cifar_eval.models.input_mapping import RAW_PIXELS
from cifar_eval.models.keras import CheckpointModel, scores_in_batches
from cifar_eval.models.keras_archive import read_checkpoint
from cifar_runtime.errors import ArtefactError
from cifar_runtime.system.interruption import listening

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


def test_large_images_go_through_in_small_batches() -> None:
    """Activations grow with the pixels: 250 images of 224x224 took gigabytes."""
    seen: list[int] = []

    class Model:
        layers = ()

        def predict_on_batch(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
            seen.append(len(pixels))
            return np.zeros((len(pixels), 2), np.float32)

    for size, count in ((32, 260), (224, 25), (2000, 2)):
        images = np.zeros((count, size, size, 3), np.uint8)
        assert len(scores_in_batches(Model(), images, mapping=RAW_PIXELS)) == count
    assert seen == [250, 10, 10, 10, 5, 1, 1]


def test_a_single_inference_gives_the_scores_as_an_array(tiny_keras: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, size=(3, 32, 32, 3), dtype=np.uint8)
    scorer = CheckpointModel(tiny_keras)
    answer = scorer.infer(scorer.prepare(images))
    assert isinstance(answer, np.ndarray)
    np.testing.assert_allclose(answer, scorer.scores(images), atol=1e-6)


@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")
def test_names_that_tensorflow_refuses_are_written_plainly(tmp_path: Path) -> None:
    """Keras on JAX or PyTorch trains and saves models whose names have spaces and letters of any language."""
    import keras
    from keras import layers

    inputs = keras.Input((4, 4, 3), name="bild é")
    inner = keras.Sequential([keras.Input((4, 4, 3)), layers.ReLU(name="relu (1)")], name="mein é")
    x = layers.Flatten(name="_平均")(layers.ReLU(name="relu_1_")(inner(inputs)))
    model = keras.Model(inputs, layers.Dense(2, name="sortie finale")(x), name="mon modèle")
    kernel = np.random.default_rng(2).normal(size=(48, 2))
    model.layers[-1].set_weights([kernel, np.zeros(2)])
    model.save(tmp_path / "named.keras")
    opened = CheckpointModel(tmp_path / "named.keras")
    assert opened.model.name == "mon_mod_le"
    assert [layer.name for layer in opened.model.layers] == [
        *("bild__", "mein__", "relu_1_", "layer___", "sortie_finale")
    ]
    assert opened.model.inputs[0].name == "bild___"
    images = np.random.default_rng(3).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    expected = images.reshape(2, -1).astype(np.float64) @ kernel
    np.testing.assert_allclose(opened.scores(images), expected, rtol=1e-4)


def test_a_model_that_keras_cannot_run_is_refused_in_words(tmp_path: Path) -> None:
    import keras
    from keras import layers

    parts = [keras.Input((8, 8, 3)), layers.Flatten(), layers.Embedding(1, 2), layers.Flatten()]
    keras.Sequential([*parts, layers.Dense(2)], name="other").save(tmp_path / "other.keras")
    images = np.full((1, 8, 8, 3), 9, np.uint8)
    with pytest.raises(ArtefactError, match=r"^other: Keras cannot compute its scores: ") as caught:
        CheckpointModel(tmp_path / "other.keras").scores(images)
    assert "File " not in caught.value.message
    assert caught.value.hint == "Run model.predict on a few pictures, and mend what it names."


def test_channels_first_without_onednn_are_refused_with_what_helps(tmp_path: Path) -> None:
    import keras
    from keras import layers

    parts = [
        keras.Input((8, 8, 3)),
        layers.Permute((3, 1, 2)),
        layers.Conv2D(2, 3, data_format="channels_first", name="first"),
        layers.Flatten(),
        layers.Dense(2),
    ]
    keras.Sequential(parts, name="other").save(tmp_path / "other.keras")
    code = (
        "import numpy as np, pathlib; from cifar_eval.models.keras import CheckpointModel; "
        "CheckpointModel(pathlib.Path('other.keras')).scores(np.zeros((1, 8, 8, 3), np.uint8))"
    )
    with_onednn, without = (
        subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            cwd=tmp_path,
            env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": switch},
            capture_output=True,
            text=True,
        )
        for switch in "10"
    )
    assert with_onednn.returncode == 0, with_onednn.stderr
    assert "other: Keras cannot compute its scores: " in without.stderr
    assert "NHWC" in without.stderr
    assert "set TF_ENABLE_ONEDNN_OPTS=1, or build the model with 'channels_last'" in without.stderr


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


@pytest.mark.parametrize("name", ["model.pkl", "model"])
def test_formats_that_can_run_code_are_refused_by_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(ArtefactError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == (
        f"{path}: is not a .keras file; .h5 and pickle can run code when they are opened. "
        "Save the model with model.save('NAME.keras')."
    )


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="holds weights alone: build the network"):
        read_checkpoint(tmp_path / "model.weights.h5")


def conversion(path: Path) -> str:
    """The shell commands in the refusal of a file or folder."""
    with pytest.raises(ArtefactError) as caught:
        read_checkpoint(path)
    found = re.search(r"python -c .*", str(caught.value))
    assert found is not None
    return found[0].replace("python -c", f"{sys.executable} -c")


IMAGES = np.arange(48, dtype="float32").reshape(1, 4, 4, 3)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("kind", ["h5", "hdf5", "saved model"])
def test_the_refusal_of_an_older_format_says_what_converts_it(kind: str, tmp_path: Path) -> None:
    """Its line is run, and gives the model's own scores."""
    import keras

    path = tmp_path / (f"old.{kind}" if kind != "saved model" else "old")
    if kind == "saved model":
        expected = _scores_of_saved_model(path)
    else:
        network = [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
        model = keras.Sequential(network)
        model.save(path)
        expected = model(IMAGES)[0]
    line = conversion(path)
    subprocess.run(line, shell=True, check=True, cwd=tmp_path, capture_output=True)  # noqa: S602 - as a user pastes it
    found = keras.saving.load_model(tmp_path / "old.keras")(IMAGES)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def _scores_of_saved_model(path: Path) -> list[float]:
    """Saves a model there by the Keras of then, in a process that has no other."""
    code = (
        "import tf_keras as keras; import numpy as np; m = keras.Sequential([keras.Input((4, 4, 3)), "
        f"keras.layers.Flatten(), keras.layers.Dense(2)]); m.save({str(path)!r}); "
        "images = np.arange(48, dtype='float32').reshape(1, 4, 4, 3); "
        "print([float(x) for x in np.asarray(m(images))[0]])"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    scores: list[float] = json.loads(ended.stdout.splitlines()[-1])
    return scores


def test_what_a_model_was_compiled_with_is_not_needed(tiny_keras: Path, tmp_path: Path) -> None:
    import keras

    class OwnLoss(keras.losses.Loss):  # type: ignore[misc]
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return keras.ops.mean(y_true - y_pred)

    model = keras.saving.load_model(tiny_keras, compile=False)
    model.compile(loss=OwnLoss(), optimizer="sgd")
    model.save(tmp_path / "own.keras")
    images = np.zeros((1, 32, 32, 3), np.uint8)
    found = CheckpointModel(tmp_path / "own.keras").scores(images)
    np.testing.assert_array_equal(found, CheckpointModel(tiny_keras).scores(images))


def test_an_unknown_key_of_a_layer_is_named(tiny_keras: Path, tmp_path: Path) -> None:
    path = tmp_path / "newer.keras"
    with zipfile.ZipFile(tiny_keras) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                data = data.replace(b'"units":', b'"from_the_future": 1, "units":')
            target.writestr(name, data)
    with pytest.raises(ArtefactError) as caught:
        CheckpointModel(path)
    assert re.match(
        rf"{re.escape(str(path))}: keras cannot open it: layer '\w+' \(Dense\): .*from_the_future",
        str(caught.value),
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


def test_scikit_learn_is_kept_out_of_keras_import_by_commands_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    with keras_models._without_scikit_learn():
        assert sys.modules.get("sklearn", sys) is not None
    with listening():
        with keras_models._without_scikit_learn(), pytest.raises(ImportError):
            importlib.import_module("sklearn")
        assert "sklearn" not in sys.modules
    monkeypatch.setitem(sys.modules, "sklearn", sys)  # someone has imported it
    with listening(), keras_models._without_scikit_learn():
        assert importlib.import_module("sklearn") is sys
