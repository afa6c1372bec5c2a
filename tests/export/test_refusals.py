"""What people have that cannot be exported as it is: refused while it is opened, with what to do about it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import export_recipe
from PIL import Image

from cifar_export.checkpoint.open import open_checkpoint
from cifar_export.planning import plan
from cifar_export.stages.source import open_source
from cifar_runtime.errors import ArtefactError, InputError

Save = Callable[[Any, Path], None]
OWN = """
import keras


class Branched(keras.Model):
    pass


class Plain(keras.Model):
    def __init__(self, units, **others):
        super().__init__(**others)
        self.flat, self.head = keras.layers.Flatten(), keras.layers.Dense(units)

    def call(self, images):
        return self.head(self.flat(images))

    def get_config(self):
        return {"name": self.name}


class Whole(Plain):
    def get_config(self):
        return {**super().get_config(), "units": 2}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user's, in the folder that the command runs in."""
    import importlib

    (tmp_path / "own_models.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("own_models")


def head(units: int, **options: Any) -> Any:
    import keras

    parts = [keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([*parts, keras.layers.Dense(units, **options)])


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (
            "Branched",
            False,
            "is a Branched, which is not Keras' own, .* give cifar-export --custom-o",
        ),
        ("Plain", True, "keras cannot open it: .* Give the code that it was saved with, or build"),
        ("Whole", True, "is a Whole without a graph, .* Build it with keras.Sequential or ker"),
    ],
)
def test_a_model_of_a_class_of_ones_own_is_refused(
    kind: str, given: bool, message: str, own: Any, save: Save, tmp_path: Path
) -> None:
    import keras

    if kind == "Branched":
        plain = head(2)
        model = own.Branched(plain.inputs[0], plain.outputs[0])
    else:
        model = getattr(own, kind)(2)
        model(keras.ops.zeros((1, 8, 8, 3)))
    save(model, tmp_path / "own.keras")
    with pytest.raises(ArtefactError, match=message):
        open_checkpoint(tmp_path / "own.keras", objects=f"own_models:{kind}" if given else None)


def test_a_functional_model_of_a_class_of_ones_own_opens_where_the_user_names_it(
    own: Any, save: Save, tmp_path: Path
) -> None:
    plain = head(2)
    save(own.Branched(plain.inputs[0], plain.outputs[0]), tmp_path / "own.keras")
    opened = open_checkpoint(tmp_path / "own.keras", objects="own_models:Branched")
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(opened.model(images)), np.asarray(plain(images)))


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ((), "Save the model with model.save('NAME.keras')."),
        (("saved_model.pb",), "It is a SavedModel. If Keras 2 made it and you trust it, run "),
    ],
)
def test_a_folder_is_refused_with_what_makes_a_file_of_it(
    files: tuple[str, ...], hint: str, tmp_path: Path
) -> None:
    (tmp_path / "net").mkdir()
    for name in files:
        (tmp_path / "net" / name).touch()
    with pytest.raises(ArtefactError, match=r"net: is not a \.keras file") as caught:
        open_checkpoint(tmp_path / "net")
    assert caught.value.hint.startswith(hint)


def test_numbers_of_a_regression_are_asked_about(save: Save, tmp_path: Path) -> None:
    model = head(6)
    model.compile("sgd", "mse")
    save(model, tmp_path / "net.keras")
    recipe = export_recipe(checkpoint=tmp_path / "net.keras", output=tmp_path / "out")
    with pytest.raises(
        ArtefactError, match=r"the loss mse: its 6 scores look like the num"
    ) as caught:
        plan(recipe)
    assert caught.value.hint == "If they are scores of classes, give --output-kind logits."


@pytest.mark.parametrize(
    ("a_class", "quantize", "message"),
    [
        ((3, 3, 3), "int8", "holds 9 images, of which "),
        ((1, 0), "none", "holds 1 image, expected 8"),
    ],
)
def test_too_few_pictures_are_refused_before_anything_is_converted(
    a_class: tuple[int, ...], quantize: Any, message: str, save: Save, tmp_path: Path
) -> None:
    save(head(len(a_class), activation="softmax"), tmp_path / "net.keras")
    for index, count in enumerate(a_class):
        folder = tmp_path / "pictures" / f"class{index}"
        folder.mkdir(parents=True)
        for number in range(count):
            level = 40 * (3 * index + number)
            Image.new("RGB", (8, 8), (level, 7, 7)).save(folder / f"{number}.png")
    recipe = export_recipe(
        checkpoint=tmp_path / "net.keras",
        output=tmp_path / "out",
        quantize=(quantize,),
        eval_data=tmp_path / "pictures",
    )
    with pytest.raises(InputError) as caught:
        open_source(recipe, lambda _: None)
    assert message in caught.value.message
    assert caught.value.hint
