"""A model that knows nothing of CIFAR-10: other sizes, labels, input range and images; and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import changed, export_recipe
from PIL import Image

from cifar_eval.models.input_mapping import INPUT_MAPPINGS
from cifar_export.checkpoint.io_layers import adapted
from cifar_export.pipeline import export
from cifar_export.recipe import ExportRecipe
from cifar_export.result import ExportRefusedError
from cifar_runtime import Classifier
from cifar_runtime.artefact import open_artefact
from cifar_runtime.errors import ArtefactError, InputError, UsageError

Save = Callable[[Any, Path], None]
LABELS = ("ash", "birch", "cedar", "elm", "fir")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train`` and ``test`` with a folder a class: pictures of stripes, told apart by width and colour."""
    root = tmp_path_factory.mktemp("own")
    random = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 8)):
        for index, name in enumerate(LABELS):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                stripes = np.arange(120) // (3 + 4 * index) % 2 * 160
                noise = random.integers(0, 90, (100, 120, 3))
                pixels = (stripes[None, :, None] + noise) * (np.arange(3) != index % 3)
                picture = Image.fromarray(pixels.astype(np.uint8))
                picture.save(root / part / name / f"{number}.png")
    (root / "labels.txt").write_text("\n".join(LABELS) + "\n")
    return root


@pytest.fixture(scope="module")
def mobilenet(save: Save, folders: Path) -> Path:
    """keras.applications' MobileNetV2, random weights, 96x96, five classes, taking -1..1."""
    import keras

    keras.utils.set_random_seed(4)
    model = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), alpha=0.35, weights=None, classes=len(LABELS)
    )
    path = folders / "tree.keras"
    save(model, path)
    return path


def _recipe(checkpoint: Path, folders: Path, **changes: Any) -> ExportRecipe:
    settings: dict[str, Any] = {
        "labels": folders / "labels.txt",
        "input_range": "-1..1",
        "calibration_data": folders / "train",
        "eval_data": folders / "test",
        "output": folders / "out",
        **changes,
    }
    return export_recipe(checkpoint=checkpoint, **settings)


def test_mobilenet_v2_is_exported_with_its_own_labels_and_images(
    mobilenet: Path, folders: Path
) -> None:
    import keras

    results = export(
        _recipe(
            mobilenet,
            folders,
            formats=("tflite", "onnx"),
            quantize=("none", "int8"),
            max_accuracy_drop=1.0,  # random weights decide at random: only the float pair must agree
            min_agreement=0.0,
        )
    )
    assert [result.path.name for result in results] == [
        f"tree-{precision}.{fmt}" for fmt in ("tflite", "onnx") for precision in ("float32", "int8")
    ]
    picture = np.random.default_rng(1).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8)
    expected = keras.saving.load_model(mobilenet)(picture.astype(np.float32) / 127.5 - 1)
    for result in results:
        contract = open_artefact(result.path).contract
        assert (contract.input.shape, contract.labels) == ((96, 96, 3), LABELS)
        assert (result.split, result.num_images) == ("test", 40)
        tolerance = 0.05 if "int8" in result.name else 1e-4
        scores = Classifier(result.path).scores(picture)
        np.testing.assert_allclose(scores, np.asarray(expected), rtol=0, atol=tolerance)


def _contract(folder: Path, **parts: Any) -> str:
    """A contract of the MobileNet above, with parts of it changed, as a file."""
    document = {
        "input": {"multiplier": 1 / 127.5, "offset": -1.0, "resize_filter": "lanczos"},
        "output": {
            "temperature": 1.5,
            "abstention_threshold": 0.3,
            "abstention_score": "generalized-entropy",
        },
        "labels": LABELS,
    }
    path = folder / "trees.json"
    path.write_text(json.dumps({**document, **parts}))
    return str(path)


def test_a_contract_states_input_mapping_resize_labels_and_confidence(
    mobilenet: Path, folders: Path, tmp_path: Path
) -> None:
    """And the model is the one that the options state one by one."""
    settings: dict[str, Any] = {"output": tmp_path, "resize_filter": "lanczos", "force": True}
    (by_options,) = export(_recipe(mobilenet, folders, **settings))
    expected = Classifier(by_options.path)
    picture = np.random.default_rng(2).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8)
    scores = expected.scores(picture)
    stated = {"labels": None, "input_range": None, "resize_filter": None}
    (by_contract,) = export(
        _recipe(mobilenet, folders, **{**settings, **stated}, contract=_contract(tmp_path))
    )
    found = Classifier(by_contract.path)
    np.testing.assert_array_equal(found.scores(picture), scores)
    wanted, contract = expected.artefact.contract, found.artefact.contract
    assert (contract.input, contract.labels) == (wanted.input, wanted.labels)
    assert (contract.output.temperature, contract.output.abstention_threshold) == (1.5, 0.3)
    assert contract.output.abstention_score == "generalized-entropy"
    assert found.artefact.card["provenance"]["recipe"]["contract"] == "trees.json"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"labels": LABELS[:4]}, "does not fit tree.keras: its number of labels is 4, expected 5."),
        (
            {"input": {"shape": [32, 32, 3], "multiplier": 1, "offset": 0}},
            "does not fit tree.keras: its input.shape is (32, 32, 3), expected (96, 96, 3).",
        ),
        (
            {"input": {"dtype": "int8", "scale": 1, "zero_point": 0, "multiplier": 1, "offset": 0}},
            "does not fit tree.keras: its input.dtype is int8, expected float32.",
        ),
        (
            {"input": {"multiplier": 1}},
            "does not fit tree.keras: the contract is incomplete or has an unknown field: ",
        ),
        ({"output": {"kind": "logits"}}, "states logits, but the checkpoint gives probabilities."),
    ],
)
def test_a_contract_of_another_checkpoint_is_refused(
    parts: dict[str, Any], message: str, mobilenet: Path, folders: Path, tmp_path: Path
) -> None:
    contract = _contract(tmp_path, **parts)
    with pytest.raises(ArtefactError) as caught:
        export(_recipe(mobilenet, folders, labels=None, input_range=None, contract=contract))
    assert caught.value.message.startswith(f"{contract}: {message}")
    assert caught.value.hint


def test_the_built_in_contract_of_0_to_1_is_that_input_range(save: Save, tmp_path: Path) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(8, 5, strides=4, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    save(model, tmp_path / "unit.keras")
    recipe = export_recipe(
        checkpoint=tmp_path / "unit.keras", output=tmp_path, eval_split="test-sample"
    )
    (by_range,) = export(changed(recipe, input_range="0..1"))
    (by_name,) = export(changed(recipe, contract="cifar10-unit", force=True))
    assert by_name.accuracy == by_range.accuracy
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        Classifier(by_name.path).scores(images),
        np.asarray(model(images.astype(np.float32) / 255)),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"eval_data": None}, UsageError, "there are no images to verify the export on"),
        ({"labels": Path("absent.txt")}, InputError, "absent.txt: cannot be read"),
    ],
)
def test_what_is_missing_is_asked_for(
    changes: dict[str, Any], error: type[Exception], message: str, mobilenet: Path, folders: Path
) -> None:
    with pytest.raises(error, match=message):
        export(_recipe(mobilenet, folders, **changes))


def test_labels_that_do_not_fit_are_refused(mobilenet: Path, folders: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("ash\nbirch\n")
    with pytest.raises(InputError) as caught:
        export(_recipe(mobilenet, folders, labels=few))
    assert str(caught.value) == (
        f"{few}: names 2 different classes, expected 5, one a line, as the model has scores. "
        "List them in the order of the scores."
    )


def test_fewer_images_than_golden_vectors_are_refused(
    mobilenet: Path, folders: Path, tmp_path: Path
) -> None:
    for name in LABELS:
        (tmp_path / name).mkdir()
        shutil.copy(folders / "test" / name / "0.png", tmp_path / name)
    with pytest.raises(InputError, match=r"holds 5 images, expected 8 or more: .* a few hundred"):
        export(_recipe(mobilenet, folders, eval_data=tmp_path))


def test_too_few_images_for_two_halves_are_refused(
    mobilenet: Path, folders: Path, tmp_path: Path
) -> None:
    for name in LABELS:
        shutil.copytree(
            folders / "test" / name,
            tmp_path / name,
            ignore=lambda *_: ["0.png", *(f"{number}.png" for number in range(3, 8))],
        )
    with pytest.raises(
        InputError, match=r"holds 10 images, of which .* Give --calibration-data DIR"
    ):
        export(
            _recipe(
                mobilenet, folders, eval_data=tmp_path, calibration_data=None, quantize=("int8",)
            )
        )


@pytest.mark.parametrize("head", ["dense", "layer", "none"])
@pytest.mark.parametrize("input_range", ["0..255", "0..1", "-1..1", "torch", "caffe"])
@pytest.mark.parametrize("kind", [None, "probabilities", "logits"])
def test_an_adapted_model_computes_the_same(head: str, input_range: Any, kind: Any) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    parts = [
        keras.Input((16, 16, 3)),
        layers.Rescaling(1 / 64),
        layers.Conv2D(4, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(5, activation="softmax" if head == "dense" else None),
    ]
    model = keras.Sequential([*parts, layers.Softmax()] if head == "layer" else parts)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.float32)
    modes = {"-1..1": "tf", "torch": "torch", "caffe": "caffe"}
    inputs = pixels / (255 if input_range == "0..1" else 1)
    if input_range in modes:
        preprocess = keras.applications.imagenet_utils.preprocess_input
        inputs = preprocess(pixels.copy(), mode=modes[input_range])
    mapping = INPUT_MAPPINGS[input_range]
    np.testing.assert_allclose(mapping.inputs(pixels.astype(np.uint8)), inputs, atol=2e-5)
    given = np.asarray(model(inputs))
    found = np.asarray(adapted(model, mapping=mapping, output_kind=kind)(pixels))
    is_softmax = {None: head != "none", "probabilities": True, "logits": False}[kind]
    assert np.allclose(found.sum(axis=1), 1) == is_softmax
    np.testing.assert_allclose(
        _softmax(found, is_softmax), _softmax(given, head != "none"), atol=1e-5
    )


def _softmax(scores: Any, is_softmax: bool) -> Any:
    return scores if is_softmax else np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def test_logits_of_another_activation_are_refused() -> None:
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Flatten(),
            layers.Dense(2, activation="sigmoid", name="end"),
        ],
        name="odd",
    )
    with pytest.raises(ArtefactError) as caught:
        adapted(model, output_kind="logits")
    assert str(caught.value) == (
        "odd: its last layer 'end' has the activation sigmoid, expected a softmax to strip for logits. "
        "Leave --output-kind out."
    )


def test_a_format_that_refuses_the_model_does_not_keep_the_others_from_being_made(
    save: Save, tmp_path: Path
) -> None:
    """ONNX has an operator for the error function, TensorFlow Lite has none."""
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, strides=4)(inputs)
    x = keras.ops.erf(x)
    outputs = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
    save(keras.Model(inputs, outputs), tmp_path / "net.keras")
    recipe = export_recipe(
        checkpoint=tmp_path / "net.keras",
        output=tmp_path / "out",
        formats=("tflite", "onnx"),
        eval_split="test-sample",
    )
    with pytest.raises(ExportRefusedError) as caught:
        export(recipe)
    assert [result.path.name for result in caught.value.results] == ["net-float32.onnx"]
    (failure,) = caught.value.failures
    assert (failure.name, failure.reason) == ("net-float32.tflite", "cannot be converted")
    assert caught.value.exit_code == 4
