"""A model of whose labels any number may hold goes the whole road, and is refused where that would mislead."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import export_recipe
from PIL import Image

from cifar_eval import open_model
from cifar_export.firmware.write import write_firmware
from cifar_export.pipeline import export
from cifar_export.planning import plan
from cifar_export.publish.hugging_face import write_repository
from cifar_export.recipe import ConfidenceRecipe, ExportRecipe, QatRecipe, RobustnessRecipe
from cifar_export.stages.source import open_source
from cifar_export.web.site import write_site
from cifar_runtime import Classifier
from cifar_runtime.commands.classify import main as classify
from cifar_runtime.errors import ArtefactError, CifarEdgeError, InputError, UsageError

Save = Callable[[Any, Path], None]
SIZE, LABELS = 16, ("blue", "green", "red")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of pictures in which each of three channels is bright or dark by itself."""
    root = tmp_path_factory.mktemp("lights")
    random, lines = np.random.default_rng(0), ["path,label"]
    for number in range(160):
        lit = [bool(number >> bit & 1) for bit in range(3)]  # red, green, blue
        pixels = random.integers(0, 90, (SIZE, SIZE, 3)) + np.where(lit, 150, 0)
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"{number}.png")
        names = [name for name, is_lit in zip(("red", "green", "blue"), lit, strict=True) if is_lit]
        lines.append(f"{number}.png,{';'.join(names)}")
    (root / "lights.csv").write_text("\n".join(lines) + "\n")
    return root / "lights.csv"


def lights(activation: str | None, *, order: tuple[int, ...] = (2, 1, 0)) -> Any:
    """A model that finds bright channels, by default in the sorted order of their names, exactly at half."""
    import keras
    from keras import layers

    head = layers.Dense(3, activation=activation, name="head")
    parts = [keras.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 255)]
    same = layers.DepthwiseConv2D(1, depthwise_initializer="ones")
    model = keras.Sequential([*parts, same, layers.GlobalAveragePooling2D(), head], name="lights")
    head.set_weights([20 * np.eye(3)[:, list(order)], np.full(3, -9.4)])
    return model


def recipe_of(model: Any, save: Save, pictures: Path, folder: Path, **options: Any) -> ExportRecipe:
    save(model, folder / "mine.keras")
    options = {"eval_data": pictures, **options}
    return export_recipe(checkpoint=folder / "mine.keras", output=folder / "out", **options)


def test_any_number_of_labels_is_exported_and_classified(
    save: Save, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of(
        lights("sigmoid"),
        save,
        pictures,
        tmp_path,
        formats=("tflite", "onnx"),
        quantize=("none", "int8"),
    )
    results = export(recipe)
    assert [(one.accuracy, one.agreement, one.measure) for one in results] == [
        (1.0, 1.0, "exact label sets")
    ] * 4
    for result in results:
        card = json.loads(result.path.with_name(f"{result.path.name}.json").read_text())
        output = card["contract"]["output"]
        assert (output["kind"], output["label_threshold"]) == ("independent-probabilities", 0.5)
        parity = card["provenance"]["parity"]
        assert [one["label"] for one in parity["labels"]] == list(LABELS)
        assert all(one["candidate_found"] == one["holds"] for one in parity["labels"])
        classifier = Classifier(result.path)
        holding = [
            [label for label, _ in classifier.classify(pictures.with_name(name)).holding or ()]
            for name in ("0.png", "1.png", "6.png", "7.png")
        ]
        assert [sorted(one) for one in holding] == [[], ["red"], ["blue", "green"], list(LABELS)]
    dark, two = str(pictures.with_name("0.png")), str(pictures.with_name("6.png"))
    model = ["-m", str(results[0].path)]
    capsys.readouterr()
    assert classify([dark, two, *model]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows[0][1] == "none"
    assert sorted(row[1] for row in rows[1:]) == ["blue", "green"]
    assert classify([two, *model, "--jsonl"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert sorted(one["label"] for one in line["holding"]) == ["blue", "green"]
    for use in (
        open_model,
        lambda path: write_site(path, tmp_path / "site"),
        lambda path: write_firmware(path, tmp_path / "c", engine="c"),
    ):
        with pytest.raises(ArtefactError, match="any number may hold, expected classes"):
            use(results[1].path)
    write_repository([result.path for result in results], tmp_path / "hub")
    text = (tmp_path / "hub" / "README.md").read_text()
    assert "exact label sets %" in text
    assert "op-1" not in text


def test_logits_of_labels_are_asked_about_and_take_a_sigmoid(
    save: Save, pictures: Path, tmp_path: Path
) -> None:
    import keras

    model = lights(None)
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    recipe = recipe_of(model, save, pictures, tmp_path)
    with pytest.raises(ArtefactError) as caught:
        plan(recipe)
    assert caught.value.message.endswith("logits of labels of which any number may hold.")
    assert "--output-kind independent-probabilities" in caught.value.hint
    stated = recipe_of(
        model,
        save,
        pictures,
        tmp_path,
        output_kind="independent-probabilities",
        label_threshold=0.25,
    )
    (planned,) = plan(stated)
    assert planned.gives == "float32 independent-probabilities of 3 labels, held from 0.25 on"
    (result,) = export(stated)
    assert Classifier(result.path).artefact.contract.output.label_threshold == 0.25
    assert result.accuracy == 1.0


def test_another_order_of_the_labels_is_named(save: Save, pictures: Path, tmp_path: Path) -> None:
    recipe = recipe_of(lights("sigmoid", order=(0, 1, 2)), save, pictures, tmp_path)
    with pytest.raises(
        ArtefactError, match=r"100\.0 % with 0\.\.255 and the order red, green, blue"
    ):
        open_source(recipe, lambda _: None)


def test_what_is_of_one_label_an_image_is_refused_at_opening(
    save: Save, pictures: Path, tmp_path: Path
) -> None:
    expected: list[tuple[dict[str, Any], type[CifarEdgeError], str]] = [
        ({"eval_data": pictures.parent}, InputError, "gives each picture one label"),
        ({"eval_data": None}, UsageError, "no images say which do"),
        ({"qat": QatRecipe(), "quantize": ("int8",)}, UsageError, "--qat: is of models of classes"),
        ({"robustness": RobustnessRecipe(images=9)}, UsageError, "--robustness: is of models"),
        (
            {"confidence": ConfidenceRecipe(data=pictures.parent)},
            UsageError,
            "--confidence: is of models",
        ),
        (
            {"deliveries": ("c",), "quantize": ("int8",)},
            UsageError,
            "--format c: is of models of classes",
        ),
    ]
    for options, error, what in expected:
        recipe = recipe_of(lights("sigmoid"), save, pictures, tmp_path, **options)
        with pytest.raises(error, match=what) as caught:
            plan(recipe)
        assert caught.value.hint
    one_label = recipe_of(lights("softmax"), save, pictures, tmp_path, label_threshold=0.3)
    with pytest.raises(UsageError, match=r"--label-threshold 0\.3: mine\.keras gives probab"):
        plan(one_label)
