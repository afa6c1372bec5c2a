"""The contract is found out from labelled pictures: a wrong guess is refused with the option that is meant."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.counted_steps import CountedSteps
from cifar_fixtures.recipes import export_recipe
from PIL import Image

from cifar_eval.models.input_mapping import INPUT_MAPPINGS
from cifar_export.checkpoint.attempt import likeliest
from cifar_export.checkpoint.contract_search import Reading
from cifar_export.pipeline import export
from cifar_export.planning import plan
from cifar_export.recipe import ExportRecipe
from cifar_export.stages.source import open_source
from cifar_runtime import Classifier
from cifar_runtime.artefact import open_artefact
from cifar_runtime.errors import ArtefactError, InputError

Save = Callable[[Any, Path], None]
COMMAND = Path(sys.executable).with_name("cifar-export")
# Sorted, as Keras reads folders; the brightness of each, 0..255.
BRIGHTNESS = {"dark": 40, "light": 200, "medium": 120}
SIZE = 16


def pictures(folder: Path, *, a_class: int, seed: int = 0) -> Path:
    """Plain noisy pictures, their blue channel darker, in a folder a class."""
    random = np.random.default_rng(seed)
    for name, brightness in BRIGHTNESS.items():
        (folder / name).mkdir(parents=True)
        for number in range(a_class):
            level = brightness + random.integers(-25, 26)
            pixels = level + random.integers(-15, 16, (SIZE, SIZE, 3)) - np.array([0, 0, 10])
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(
                folder / name / f"{number}.png"
            )
    return folder


def nearest_brightness(mapping: str, *, order: tuple[str, ...] = tuple(BRIGHTNESS)) -> Any:
    """A classifier of such pictures: the class of nearest brightness, which is linear in it."""
    import keras
    from keras import layers

    plain = np.array([[[[BRIGHTNESS[name]] * 3]] for name in order], np.uint8).reshape(-1, 1, 1, 3)
    centres = INPUT_MAPPINGS[mapping].inputs(plain).reshape(len(order), 3)
    head = layers.Dense(len(order), activation="softmax", name="head")
    model = keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), layers.GlobalAveragePooling2D(), head], name="nearest"
    )
    scale = 40 / np.ptp(centres) ** 2
    head.set_weights([2 * scale * centres.T, -scale * (centres**2).sum(axis=1)])
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("own") / "pictures", a_class=40)


def recipe_of(model: Any, save: Save, folder: Path, tmp_path: Path, **options: Any) -> ExportRecipe:
    save(model, tmp_path / "mine.keras")
    return export_recipe(
        checkpoint=tmp_path / "mine.keras", output=tmp_path / "out", eval_data=folder, **options
    )


@pytest.mark.parametrize("mapping", ["0..1", "-1..1", "torch", "caffe"])
def test_a_better_input_range_is_named(
    mapping: str, save: Save, folder: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(nearest_brightness(mapping), save, folder, tmp_path)
    with pytest.raises(ArtefactError) as caught:
        open_source(recipe, lambda _: None)
    found = re.fullmatch(
        rf"{re.escape(str(tmp_path))}/mine\.keras: (\S+) % with 0\.\.255, (\S+) % with (\S+)\. "
        r"Did you mean --input-range (\S+)\?",
        str(caught.value),
    )
    assert found is not None
    assert float(found[1]) < 67
    assert float(found[2]) > 95
    assert found[3] == found[4] == mapping


def _begun_by(kind: str, tensor: Any) -> Any:
    import keras
    from keras import layers

    if kind == "normalization":
        return layers.Normalization(mean=[120.0, 120.0, 110.0], variance=[3600.0] * 3)(tensor)
    if kind == "caffe":
        return keras.applications.resnet50.preprocess_input(tensor)
    return keras.applications.mobilenet_v2.preprocess_input(tensor)


@pytest.mark.parametrize("kind", ["operations", "normalization", "caffe"])
def test_preprocessing_inside_decides_whatever_fits_the_pictures_better(
    kind: str, save: Save, folder: Path, tmp_path: Path
) -> None:
    """Such a network takes raw pixels, even where these pictures are decided better with others."""
    import keras
    from keras import layers

    inputs = keras.Input((SIZE, SIZE, 3))
    features = layers.GlobalAveragePooling2D()(_begun_by(kind, inputs))
    head = layers.Dense(3, activation="softmax")
    model = keras.Model(inputs, head(features))
    plain = np.array([[[[level] * 3]] for level in BRIGHTNESS.values()], np.uint8)
    fed = INPUT_MAPPINGS["0..1"].inputs(plain.reshape(3, 1, 1, 3) + np.zeros((1, SIZE, SIZE, 1)))
    centres = np.asarray(keras.Model(inputs, features)(fed))
    scale = 40 / np.ptp(centres, axis=0).max() ** 2
    head.set_weights([2 * scale * centres.T, -scale * (centres**2).sum(axis=1)])
    source = open_source(recipe_of(model, save, folder, tmp_path), lambda _: None)
    assert (source.reference.argmax(axis=1) == source.split.labels).mean() < 0.7


def test_of_ranges_that_are_as_good_the_commonest_is_named() -> None:
    def reading(mapping: str, right: int) -> Reading:
        correct = np.arange(400) < right
        return Reading(mapping=mapping, order=tuple(BRIGHTNESS), correct=correct)

    readings = [reading("0..255", 160), reading("0..1", 377), reading("torch", 379)]
    assert likeliest(readings).mapping == "0..1"
    readings[1] = reading("0..1", 340)
    assert likeliest(readings).mapping == "torch"


def test_the_right_one_is_not_doubted(save: Save, folder: Path, tmp_path: Path) -> None:
    for mapping in INPUT_MAPPINGS:
        recipe = recipe_of(nearest_brightness(mapping), save, folder, tmp_path, input_range=mapping)
        said: list[str] = []
        source = open_source(recipe, said.append)
        assert (source.reference.argmax(axis=1) == source.split.labels).mean() > 0.95
        assert not [line for line in said if "with" in line and "%" in line]


def test_an_explicit_range_is_kept_with_a_warning(save: Save, folder: Path, tmp_path: Path) -> None:
    recipe = recipe_of(nearest_brightness("0..1"), save, folder, tmp_path, input_range="0..255")
    said = CountedSteps()
    open_source(recipe, said)
    done, total = said.counts_after("trying other input ranges on ")[-1]
    assert 1 < done == total < len(INPUT_MAPPINGS)
    (warning,) = (line for line in said.counts if "as was stated" in line)
    assert re.search(
        r"mine.keras: 33.3 % with 0..255, as was stated, (100.0|9\S+) % with 0..1;", warning
    )


def test_a_guess_that_another_range_betters_by_little_is_kept_with_a_warning(
    save: Save, folder: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(_of_any_scale(brighter=1.01), save, folder, tmp_path)
    said: list[str] = []
    open_source(recipe, said.append)
    (warning,) = (line for line in said if "little for a wrong range" in line)
    found = re.search(r"mine.keras: (\S+) % with 0\.\.255, (\S+) % with 0\.\.1, ", warning)
    assert found is not None
    assert float(found[1]) <= float(found[2]) < float(found[1]) + 8
    assert warning.endswith("exported with 0..255, or else give --input-range 0..1")


def _of_any_scale(*, brighter: float) -> Any:
    """A bad classifier of brightness that takes 0..255, and 0..1 for so much brighter, which mends it a little."""
    import keras
    from keras import layers, ops

    image = keras.Input((SIZE, SIZE, 3))
    is_raw = ops.max(image, axis=(1, 2, 3), keepdims=True) > 1.5
    scaled = ops.where(is_raw, image / 255, image * brighter)
    brightness = layers.GlobalAveragePooling2D()(scaled)
    head = layers.Dense(3, activation="softmax", name="head")
    model = keras.Model(image, head(brightness), name="any_scale")
    centres = np.array([[40.0], [220.0], [180.0]]) / 255 * np.ones((1, 3))
    head.set_weights([40 * centres.T, -20 * (centres**2).sum(axis=1)])
    return model


@pytest.mark.parametrize(
    ("order", "hint"),
    [
        (("medium", "light", "dark"), "Did you mean no --labels, which is the sorted order"),
        (("light", "medium", "dark"), "Did you mean no --labels, which is the sorted order"),
    ],
)
def test_a_file_of_labels_in_another_order_is_refused(
    order: tuple[str, ...], hint: str, save: Save, folder: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(order))
    recipe = recipe_of(nearest_brightness("0..255"), save, folder, tmp_path, labels=labels)
    with pytest.raises(ArtefactError) as caught:
        open_source(recipe, lambda _: None)
    assert hint in str(caught.value)
    assert caught.value.exit_code == 4


def test_an_order_that_no_rule_makes_is_learned_from_half_of_the_pictures(
    save: Save, folder: Path, tmp_path: Path
) -> None:
    model = nearest_brightness("0..255", order=("light", "dark", "medium"))
    recipe = recipe_of(model, save, folder, tmp_path)
    with pytest.raises(ArtefactError, match=r"Did you mean --labels in the order light, dark, med"):
        open_source(recipe, lambda _: None)


def test_ten_pictures_prove_nothing_and_that_is_said(save: Save, tmp_path: Path) -> None:
    few = pictures(tmp_path / "few", a_class=4)
    recipe = recipe_of(nearest_brightness("0..1"), save, few, tmp_path)
    said: list[str] = []
    open_source(recipe, said.append)
    # 1 - 0.05 ** (1 / 12) is 0.2209; log(0.05) / log(0.995) is 597.6.
    assert (
        "warning: 12 images of few cannot prove a drop of 0.5 points or less: without one loss among them it may "
        "be 22 points; 598 images could"
    ) in said


def test_the_folder_alone_is_enough_for_float_and_int8(
    save: Save, folder: Path, tmp_path: Path
) -> None:
    """In a process of its own; a range with a minus may stand apart."""
    save(nearest_brightness("-1..1"), tmp_path / "mine.keras")
    ended = subprocess.run(
        [
            *(COMMAND, tmp_path / "mine.keras", "--eval-data", folder, "--quantize", "none,int8"),
            *("--input-range", "-1..1", "-o", tmp_path / "out"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert "classes in the order of the scores: dark, light, medium" in ended.stderr
    found = re.search(
        r"(\d+) images of \S+, chosen by their content, set .* other (\d+)", ended.stderr
    )
    assert found is not None
    assert int(found[1]) + int(found[2]) == 120
    card = open_artefact(tmp_path / "out" / "mine-int8.tflite").card
    used = set(card["provenance"]["calibration"]["ids"])
    assert len(used) == int(found[1])
    assert {Path(name).parts[0] for name in used} == set(BRIGHTNESS)
    assert card["provenance"]["parity"]["split"] == "pictures[half]"
    assert Classifier(tmp_path / "out" / "mine-int8.tflite").labels == tuple(BRIGHTNESS)


def test_a_picture_that_is_there_twice_is_in_one_half(save: Save, tmp_path: Path) -> None:
    root = pictures(tmp_path / "twice", a_class=12)
    for path in sorted(root.rglob("*.png")):
        (path.parent / f"again-{path.name}").write_bytes(path.read_bytes())
    recipe = recipe_of(nearest_brightness("0..255"), save, root, tmp_path, quantize=("int8",))
    source = open_source(recipe, lambda _: None)
    assert source.calibration is not None
    given = source.calibration.images[: len(source.calibration.ids)]
    measured = {image.tobytes() for image in np.asarray(source.split.images)}
    assert not measured & {image.tobytes() for image in given}
    assert len(given) + len(source.split.labels) == 72


@pytest.mark.parametrize("given", ["root", "test"])
def test_a_train_folder_sets_the_ranges(given: str, save: Save, tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        pictures(tmp_path / "own" / part, a_class=4, seed=len(part))
    folder = tmp_path / "own" / ("" if given == "root" else given)
    recipe = recipe_of(nearest_brightness("0..255"), save, folder, tmp_path, quantize=("int8",))
    (planned,) = plan(recipe)
    assert planned.calibration == f"512 images of {tmp_path / 'own' / 'train'}, minmax"
    (result,) = export(recipe)
    assert (result.split, result.num_images) == ("test", 12)


def test_a_folder_of_other_classes_is_refused(save: Save, tmp_path: Path) -> None:
    root = pictures(tmp_path / "more", a_class=2)
    (root / "none").mkdir()
    with pytest.raises(InputError) as caught:
        open_source(recipe_of(nearest_brightness("0..1"), save, root, tmp_path), lambda _: None)
    assert str(caught.value).startswith(
        f"{root}: has 4 class folders (dark, light, medium, none), expected 3, one for each of the model's scores. "
        "Give --labels FILE"
    )


def with_head(units: int, activation: str | None) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    head = layers.Dense(units, activation=activation)
    parts = [keras.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 255), layers.GlobalMaxPooling2D()]
    return keras.Sequential([*parts, head], name="headed")


def test_scores_that_are_not_of_classes_are_refused_at_opening(
    save: Save, folder: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(with_head(1, None), save, folder, tmp_path)
    with pytest.raises(ArtefactError, match="gives one number without a sigmoid") as caught:
        plan(recipe)
    assert caught.value.exit_code == 4
    assert caught.value.hint


@pytest.mark.parametrize("head", ["dense", "layer", "nested"])
def test_one_sigmoid_is_two_classes(head: str, save: Save, tmp_path: Path) -> None:
    import keras
    from keras import layers

    root = pictures(tmp_path / "binary", a_class=20)
    for path in (root / "medium").iterdir():
        path.unlink()
    (root / "medium").rmdir()
    dense = layers.Dense(1, activation=None if head == "layer" else "sigmoid")
    same = layers.DepthwiseConv2D(1, depthwise_initializer="ones")
    parts = [keras.Input((SIZE, SIZE, 3)), same, layers.GlobalAveragePooling2D(), dense]
    model = keras.Sequential([*parts, layers.Activation("sigmoid")] if head == "layer" else parts)
    dense.set_weights([np.full((3, 1), 0.02), np.array([-7.2])])  # 0 at a brightness of 120
    if head == "nested":
        model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), model])
    recipe = recipe_of(
        model, save, root, tmp_path, formats=("tflite", "onnx"), quantize=("none", "int8")
    )
    results = export(recipe)
    assert [result.accuracy for result in results] == [1.0] * 4
    images = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3), dtype=np.uint8) // 2 + 60
    second = np.asarray(model(images.astype(np.float32)))[:, 0]
    expected = np.stack([1 - second, second], axis=1)
    for result in results:
        classifier = Classifier(result.path)
        assert classifier.labels == ("dark", "light")
        tolerance = 0.1 if "int8" in result.name else 1e-5
        np.testing.assert_allclose(classifier.scores(images), expected, atol=tolerance)
        assert (
            json.loads(result.path.with_suffix(result.path.suffix + ".json").read_text())[
                "contract"
            ]["output"]["kind"]
            == "probabilities"
        )
