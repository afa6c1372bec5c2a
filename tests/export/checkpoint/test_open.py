"""Checkpoints that cannot be exported end in one line that names what is wrong."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_export.checkpoint.custom_objects import custom_objects
from cifar_export.checkpoint.open import open_checkpoint
from cifar_runtime.errors import ArtefactError, UsageError

Save = Callable[[Any, Path], None]


def test_a_good_checkpoint_opens(checkpoint: Path) -> None:
    opened = open_checkpoint(checkpoint)
    assert (opened.name, opened.image_shape, opened.num_classes) == ("small", (32, 32, 3), 10)


@pytest.mark.parametrize("ends", ["list", "dict"])
def test_a_model_of_named_or_listed_tensors_takes_and_gives_bare_ones(
    ends: str, save: Save, tmp_path: Path
) -> None:
    import keras

    image = keras.Input((8, 8, 3), name="image")
    scores = keras.layers.Dense(2)(keras.layers.Flatten()(image))
    model = (
        keras.Model([image], [scores])
        if ends == "list"
        else keras.Model({"image": image}, {"scores": scores})
    )
    save(model, tmp_path / "named.keras")
    opened = open_checkpoint(tmp_path / "named.keras").model
    found = opened.predict_on_batch(np.ones((3, 8, 8, 3), np.float32))
    assert found.shape == (3, 2)


@pytest.mark.parametrize("name", ["model.h5", "model.pkl"])
def test_formats_that_can_run_code_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ArtefactError, match=r"is not a \.keras file; \.h5 and pickle can run code"):
        open_checkpoint(tmp_path / name)


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="cannot be read: No such file or directory"):
        open_checkpoint(tmp_path / "none.keras")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(ArtefactError, match="is not a Keras archive"):
        open_checkpoint(tmp_path / "text.keras")


def test_an_archive_that_unpacks_to_more_than_a_gibibyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    block = bytes(1024 * 1024)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("config.json", "{}")
        with archive.open("model.weights.h5", "w", force_zip64=True) as member:
            for _ in range(1024):
                member.write(block)
    with pytest.raises(ArtefactError, match="unpacks to 1073741826 bytes"):
        open_checkpoint(path)


def _two_inputs(keras: Any) -> Any:
    inputs = [keras.Input((8, 8, 3), name=name) for name in ("left", "right")]
    flat = keras.layers.Flatten()(keras.layers.Add()(inputs))
    return keras.Model(inputs, keras.layers.Dense(2, name="head")(flat))


def _two_channels(keras: Any) -> Any:
    return keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Flatten(), keras.layers.Dense(2)])


def _map_out(keras: Any) -> Any:
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            _two_inputs,
            r"has 2 inputs \(left, right\) and 1 outputs \(head\), expected one of each",
        ),
        (_two_channels, r"its input has the shape \(None, 8, 8, 2\), expected .* 3 channels"),
        (_map_out, r"its output has the shape \(None, 6, 6, 2\), expected \(any, classes\)"),
    ],
)
def test_what_is_no_classifier_of_single_images_is_refused(
    save: Save, build: Any, message: str, tmp_path: Path
) -> None:
    import keras

    save(build(keras), tmp_path / "odd.keras")
    with pytest.raises(ArtefactError, match=message):
        open_checkpoint(tmp_path / "odd.keras")


def test_a_custom_layer_is_named(save: Save, tmp_path: Path) -> None:
    import keras

    class Mystery(keras.layers.Layer):  # type: ignore[misc]
        pass

    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            Mystery(name="odd_one"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    save(model, tmp_path / "custom.keras")
    with pytest.raises(ArtefactError) as caught:
        open_checkpoint(tmp_path / "custom.keras")
    assert str(caught.value) == (
        f"{tmp_path / 'custom.keras'}: layer 'odd_one' is a Mystery, which is not Keras' own, "
        "expected built-in layers only. Build the model from Keras layers and save it again, or, if you trust its "
        "code, give cifar-export --custom-objects MODULE:Mystery."
    )


def test_a_lambda_is_named(save: Save, tmp_path: Path) -> None:
    import keras

    doubling = keras.layers.Lambda(lambda tensor: tensor * 2, name="doubling")
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), doubling, keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    save(model, tmp_path / "lambda.keras")
    with pytest.raises(ArtefactError) as caught:
        open_checkpoint(tmp_path / "lambda.keras")
    assert str(caught.value) == (
        f"{tmp_path / 'lambda.keras'}: layer 'doubling' is a Lambda, which holds Python code, expected "
        "built-in layers only. Replace it by Keras layers or keras.ops functions, and save the model again."
    )


def test_a_subclassed_model_is_named(save: Save, tmp_path: Path) -> None:
    import keras

    class Classifier(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="my_classifier")
            self.flat, self.head = keras.layers.Flatten(), keras.layers.Dense(2)

        def call(self, images: Any) -> Any:
            return self.head(self.flat(images))

    model = Classifier()
    model(keras.ops.zeros((1, 8, 8, 3)))
    save(model, tmp_path / "own.keras")
    with pytest.raises(ArtefactError, match="the model is a Classifier, which is not Keras' own"):
        open_checkpoint(tmp_path / "own.keras")


def test_an_activation_of_ones_own_is_named(save: Save, tmp_path: Path) -> None:
    import keras

    def squashed(tensor: Any) -> Any:
        return keras.ops.tanh(tensor)

    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(2, 3, activation=squashed, name="first"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    save(model, tmp_path / "own.keras")
    with pytest.raises(
        ArtefactError, match="layer 'first' uses the function squashed, which is not Keras' own"
    ):
        open_checkpoint(tmp_path / "own.keras")


OWN = """
import keras


class Doubled(keras.layers.Layer):
    def call(self, tensor):
        return tensor * 2


def squashed(tensor):
    return keras.ops.tanh(tensor)
"""


def test_a_layer_and_a_function_of_ones_own_are_opened_where_the_user_names_them(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    (tmp_path / "own_layers.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    own = dict(custom_objects("own_layers:Doubled,own_layers:squashed"))
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            own["Doubled"](),
            keras.layers.Conv2D(2, 3, activation=own["squashed"]),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    save(model, tmp_path / "own.keras")
    found = open_checkpoint(
        tmp_path / "own.keras", objects="own_layers:Doubled,own_layers:squashed"
    )
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(found.model(images)), np.asarray(model(images)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Gate", "--custom-objects Gate: is not understood, expected MODULE:NAME, several with"),
        ("absent_module:Gate", "--custom-objects absent_module:Gate: cannot be imported: "),
        ("json:Gate", "--custom-objects json:Gate: cannot be imported: "),
    ],
)
def test_an_object_that_is_not_there_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        custom_objects(text)
    assert str(caught.value).startswith(message)
