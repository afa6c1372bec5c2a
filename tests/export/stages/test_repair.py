"""An int8 model that misses its gate is repaired: what costs decisions becomes float32, as the card says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.counted_steps import CountedSteps
from cifar_fixtures.recipes import export_recipe
from PIL import Image

from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.keras_graph.trace import functional_from
from cifar_export.pipeline import export
from cifar_export.recipe import ExportRecipe, RepairRecipe
from cifar_export.result import ExportGateError
from cifar_export.targets.onnx_float import onnx_float32
from cifar_export.targets.onnx_int8 import prepared_bytes
from cifar_export.targets.onnx_repair import onnx_groups
from cifar_export.targets.tflite import tflite_int8
from cifar_export.targets.tflite_repair import TfliteMixedPrecision
from cifar_runtime import Classifier
from cifar_runtime.artefact import open_artefact
from cifar_runtime.errors import UsageError
from cifar_runtime.formats.graph import graph_from_bytes
from cifar_runtime.formats.known_formats import ModelFormat
from cifar_runtime.formats.tflite_graph import tflite_graph
from cifar_runtime.golden import replay

Save = Callable[[Any, Path], None]
LABELS = ("dark", "light")
SIZE = 16


def plain(root: Path, count: int, seed: int) -> Path:
    random = np.random.default_rng(seed)
    for name, (low, high) in zip(LABELS, ((20, 115), (140, 235)), strict=True):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(low, high) + random.integers(-15, 15, (SIZE, SIZE, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
                root / name / f"{number}.png"
            )
    return root


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train`` and ``test`` with dark and light pictures."""
    root = tmp_path_factory.mktemp("pictures")
    plain(root / "train", 60, 1)
    plain(root / "test", 150, 2)
    return root


def outlier_model() -> Any:
    """Decides by a unit of -1..1 beside one of up to 100,000 in the same tensor, which leaves int8 nothing of it."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            *(keras.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 255)),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="many"),
            layers.Conv2D(3, 1, name="few"),
            *(layers.GlobalAveragePooling2D(), layers.Dense(2, activation="swish", name="odd")),
            layers.Dense(2, activation="softmax", name="head"),
        ]
    )
    many, few = (np.zeros_like(model.get_layer(name).get_weights()[0]) for name in ("many", "few"))
    many[1, 1, :, :3] = few[0, 0, :3] = np.eye(3)
    model.get_layer("many").set_weights([many, np.zeros(16)])
    model.get_layer("few").set_weights([few, np.zeros(3)])
    model.get_layer("odd").set_weights(
        [np.array([[1e5 / 3, 2.0]] * 3, np.float32), np.array([0, -3.0], np.float32)]
    )
    model.get_layer("head").set_weights(
        [np.array([[0, 0], [-60, 60]], np.float32), np.array([7.0, -7.0], np.float32)]
    )
    return model


def recipe_of(model: Any, save: Save, pictures: Path, output: Path, **options: Any) -> ExportRecipe:
    output.mkdir(exist_ok=True)
    save(model, output / "odd.keras")
    return export_recipe(
        checkpoint=output / "odd.keras",
        output=output / "out",
        eval_data=pictures / "test",
        calibration_data=pictures / "train",
        **{"formats": ("onnx",), **options},
    )


@pytest.mark.parametrize("quantize", ["int8", "int8-float-io", "int8-uint8-io"])
@pytest.mark.parametrize(("model_format", "convolution"), [("onnx", "Conv"), ("tflite", "CONV_2D")])
def test_what_int8_destroys_is_moved_and_named(
    model_format: ModelFormat,
    convolution: str,
    quantize: str,
    save: Save,
    pictures: Path,
    tmp_path: Path,
) -> None:
    recipe = recipe_of(
        outlier_model(), save, pictures, tmp_path, quantize=(quantize,), formats=(model_format,)
    )
    with pytest.raises(ExportGateError):
        export(recipe)
    (result,) = export(replace(recipe, repair=RepairRecipe()))
    assert result.accuracy > 0.99
    (remark,) = result.remarks
    assert remark.startswith("repaired: ")
    card = open_artefact(result.path).card["provenance"]
    repair = card["conversion"]["repair"]
    assert card["recipe"]["repair"] == {"budget": 0.1}
    assert repair["before"]["agreement"] < 0.9
    assert repair["moved"][-1]["agreement"] > 0.99
    assert 0 < repair["macs_share"] <= 0.1
    assert repair["calibration_flips"] > repair["moved"][0]["calibration_flips_alone"] == 0
    operators = graph_from_bytes(result.path.read_bytes(), model_format).operator_counts
    assert operators[convolution] == 2
    classifier = Classifier(result.path)
    assert replay(classifier).bit_exact
    for label in LABELS:
        assert classifier.classify(pictures / "test" / label / "0.png").label == label


@pytest.mark.parametrize("model_format", ["onnx", "tflite"])
def test_a_budget_that_is_too_small_leaves_the_gate_as_it_was(
    model_format: ModelFormat, save: Save, pictures: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(
        outlier_model(), save, pictures, tmp_path, quantize=("int8",), formats=(model_format,)
    )
    said = CountedSteps()
    with pytest.raises(ExportGateError):
        export(replace(recipe, repair=RepairRecipe(budget=1e-9)), progress=said)
    *_, (done, total) = said.counts_after(
        f"odd-int8.{model_format} misses its gate: measuring what "
    )
    assert done == total > 1
    assert [line for line in said.counts if "--repair-budget allows more" in line]
    assert not list((tmp_path / "out").glob(f"*.{model_format}"))


def test_named_operators_of_a_tflite_file_are_in_float32_and_its_ends_stay(
    pictures: Path,
) -> None:
    images = np.stack(
        [np.asarray(Image.open(path)) for path in sorted(pictures.glob("train/*/?.png"))]
    )
    images[0], images[1] = 0, 255
    feed = RepresentativeDataset(images=images, multiplier=1.0, offset=0.0)
    model = functional_from(outlier_model())
    mixed = TfliteMixedPrecision(model, feed, model_name="odd")
    plain_graph = tflite_graph(tflite_int8(model, feed).data)
    assert tflite_graph(mixed.convert((), io="int8").data) == plain_graph
    for place, (title, io) in enumerate(
        [
            ("CONV_2D (1 of 4)", "int8"),
            ("CONV_2D + MEAN (2 of 4)", "uint8"),
            ("FULLY_CONNECTED + LOGISTIC + MUL (3 of 4)", "float32"),
            ("FULLY_CONNECTED + SOFTMAX (4 of 4)", "int8"),
        ]
    ):
        move = mixed.moves[place]
        assert [group.title for group in move] == [title]
        graph = tflite_graph(mixed.convert(move, io=io).data)
        computing = [one for one in graph.operators if "QUANTIZE" not in one.name]
        floats = [one.name for one in computing if graph.tensors[one.outputs[0]].dtype == "float32"]
        assert floats == title.split(" (")[0].split(" + ")
        assert len(computing) == len(plain_graph.operators)
        assert {graph.tensors[end].dtype for end in (*graph.inputs, *graph.outputs)} == {io}


def test_groups_are_all_operators_and_their_shares_add_up() -> None:
    float_model = onnx_float32(functional_from(outlier_model()))
    prepared = prepared_bytes(float_model)
    groups = onnx_groups(prepared)
    names = [name for group in groups for name in group.nodes]
    assert len(names) == len(set(names)) == len(graph_from_bytes(prepared, "onnx").operators)
    assert sum(group.macs_share for group in groups) == pytest.approx(1.0)
    assert [sorted(group.takes) for group in groups] == [[], [0], [1], [2]]
    # 3x3x3x16, 16x3 of each of 256 pixels; 3x2 and 2x2 once.
    macs = np.array([256 * 432, 256 * 48, 6, 4])
    np.testing.assert_allclose([group.macs_share for group in groups], macs / macs.sum())


def test_repairing_what_is_not_made_is_refused(save: Save, pictures: Path, tmp_path: Path) -> None:
    recipe = recipe_of(outlier_model(), save, pictures, tmp_path, quantize=("none",))
    with pytest.raises(UsageError, match="none is asked for"):
        replace(recipe, repair=RepairRecipe())
    with pytest.raises(UsageError, match="expected a share above 0"):
        RepairRecipe(budget=0)
