"""A whole export: files, cards and gates, from a real small checkpoint."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import changed, export_recipe
from PIL import Image

import cifar_runtime
from cifar_data import packaged
from cifar_export.pipeline import export
from cifar_export.publish.card import licence_of
from cifar_export.recipe import ExportRecipe
from cifar_export.result import ExportConflictError, ExportGateError, ExportResult
from cifar_runtime import Classifier
from cifar_runtime.artefact import card_path, open_artefact
from cifar_runtime.formats.embedded_card import document_of_card, embedded_document
from cifar_runtime.formats.tflite_graph import tflite_graph
from cifar_runtime.golden import golden_from_card, replay
from cifar_runtime.inspection.info import graph_of

Save = Callable[[Any, Path], None]
LENIENT = {"max_accuracy_drop": 0.03, "min_agreement": 0.9}


@pytest.fixture(scope="module")
def recipe(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportRecipe:
    return export_recipe(
        checkpoint=checkpoint,
        output=tmp_path_factory.mktemp("models"),
        formats=("tflite", "onnx"),
        quantize=("none", "int8"),
        calibration_samples=128,
        eval_split="test-sample",
        **LENIENT,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def results(recipe: ExportRecipe) -> tuple[ExportResult, ...]:
    return export(recipe)


def test_every_pair_of_format_and_precision_is_published(
    results: tuple[ExportResult, ...], recipe: ExportRecipe
) -> None:
    names = [result.path.name for result in results]
    assert names == [
        "small-float32.tflite",
        "small-int8.tflite",
        "small-float32.onnx",
        "small-int8.onnx",
    ]
    cards = [card_path(result.path).name for result in results]
    assert sorted(path.name for path in recipe.publish.output.iterdir()) == sorted([*names, *cards])


def test_artefacts_decide_like_keras(results: tuple[ExportResult, ...], small_model: Any) -> None:
    sample = packaged.test_sample()
    reference = small_model.predict(sample.images.astype(np.float32), verbose=0)
    for result in results:
        scores = Classifier(result.path).scores(sample.images)
        agreement = float((scores.argmax(axis=1) == reference.argmax(axis=1)).mean())
        assert agreement == result.agreement
        assert agreement >= (0.9 if "int8" in result.name else 0.999)
        accuracy = float((scores.argmax(axis=1) == sample.labels).mean())
        assert accuracy == result.accuracy
        assert accuracy > 0.2  # twice chance: the comparison is about something


def test_a_quantized_input_is_pixel_minus_128(results: tuple[ExportResult, ...]) -> None:
    for result in results:
        contract = open_artefact(result.path).contract.input
        if "int8" in result.name:
            assert (contract.dtype, contract.scale, contract.zero_point) == ("int8", 1.0, -128)
        assert (contract.multiplier, contract.offset) == (1.0, 0.0)


def test_the_card_says_where_everything_comes_from(
    results: tuple[ExportResult, ...], checkpoint: Path
) -> None:
    for result in results:
        card = json.loads(card_path(result.path).read_text())
        data = result.path.read_bytes()
        assert card["schema"] == "cifar-edge/artefact/1"
        assert card["name"] == result.name == result.path.stem
        assert card["model"] == {
            "file": result.path.name,
            "format": result.path.suffix[1:],
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        provenance = card["provenance"]
        assert (
            provenance["checkpoint"]["sha256"]
            == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
        )
        assert provenance["parity"]["split"] == "test-sample"
        assert provenance["parity"]["seen"] == 1000
        assert provenance["folding"][0]["layer"] == "rescaling"
        prepared = provenance["preparation_for_int8"]
        if result.name.endswith("int8"):
            assert len(prepared["equalized"]) == 4
            assert len(prepared["corrected_biases"]) == 4
        else:
            assert prepared is None
        assert str(checkpoint.parent) not in json.dumps(card)


def test_every_export_carries_its_contract_and_golden_vectors(
    results: tuple[ExportResult, ...], small_model: Any
) -> None:
    for result in results:
        classifier = Classifier(result.path)
        card = classifier.artefact.card
        assert embedded_document(result.path.read_bytes(), classifier.artefact.format) == (
            document_of_card(card)
        )
        golden = golden_from_card(card)
        assert len({image.tobytes() for image in golden.images}) == 8
        reference = small_model.predict(golden.images.astype(np.float32), verbose=0)
        np.testing.assert_allclose(golden.float_scores, reference, atol=1e-5)
        assert replay(classifier).bit_exact
        assert (card["licence"], card["golden_vectors"]["tolerance"]) == (
            None,
            5 * (classifier.artefact.contract.output.scale or 0.002 / 5),
        )


def test_every_card_fits_its_schema(results: tuple[ExportResult, ...]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    folder = Path(cifar_runtime.__file__).parent / "schemas"
    schema = json.loads((folder / "artefact.schema.json").read_text())
    for result in results:
        card = json.loads(card_path(result.path).read_text())
        jsonschema.Draft202012Validator(schema).validate(card)


def test_every_export_of_one_network_has_the_same_size(results: tuple[ExportResult, ...]) -> None:
    """5x5 convolution of 16 channels to 28x28, 3x3 of 24 to 12x12, then 3x3x24 to 10.

    Behind the first pool a depthwise 1x1 convolution gives the two channels of negative gamma their sign.
    """
    macs = 28 * 28 * 16 * 75 + 14 * 14 * 2 + 12 * 12 * 24 * 9 * 16 + 9 * 24 * 10
    parameters = (16 * 75 + 16) + 2 + (24 * 144 + 24) + (2160 + 10)
    for result in results:
        graph = graph_of(open_artefact(result.path))
        assert graph.macs == macs
        # TensorFlow Lite gives the depthwise convolution a bias as well.
        assert graph.num_parameters == parameters + (2 if result.path.suffix == ".tflite" else 0)


def test_the_seed_network_has_its_known_size() -> None:
    """17.94 million multiply-accumulates; 381,066 parameters once every BatchNorm is folded."""
    import keras

    from cifar_export.keras_graph.fold import fold
    from cifar_export.targets.tflite import tflite_float32
    from cifar_train.networks import build

    keras.utils.set_random_seed(0)
    model = build("notebook", input_shape=(32, 32, 3), num_classes=10)
    model.layers[-1].bias.assign([0.5] * 10)  # the converter leaves out biases of zero
    graph = tflite_graph(tflite_float32(fold(model, rescaling="keep").model).data)
    assert (graph.num_parameters, round(graph.macs or 0, -4)) == (381_066, 17_940_000)


def test_the_licence_of_a_checkpoint_is_that_of_its_card() -> None:
    assert licence_of({"licence": "Apache-2.0"}) == "Apache-2.0"
    assert licence_of({"licence": 7}) is licence_of({}) is licence_of(None) is None


def test_calibration_images_are_named_by_id_and_digest(results: tuple[ExportResult, ...]) -> None:
    by_id = dict(
        zip(
            packaged.calibration_sample().ids.tolist(),
            packaged.calibration_sample().images,
            strict=True,
        )
    )
    for result in results:
        calibration = json.loads(card_path(result.path).read_text())["provenance"]["calibration"]
        if "int8" not in result.name:
            assert calibration is None
            continue
        images = np.stack([by_id[number] for number in calibration["ids"]])
        assert calibration["count"] == 128
        assert calibration["sha256"] == hashlib.sha256(images.tobytes()).hexdigest()


def test_a_training_card_goes_into_the_provenance_without_its_curves(
    checkpoint: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "named.keras"
    copy.write_bytes(checkpoint.read_bytes())
    (tmp_path / "named.json").write_text(
        '{"schema": "some/card", "kept_epoch": 1, "epochs": [{"number": 1}]}'
    )
    (result,) = export(
        export_recipe(checkpoint=copy, output=tmp_path / "out", eval_split="test-sample")
    )
    card = json.loads(card_path(result.path).read_text())
    assert card["provenance"]["checkpoint"]["training"] == {
        "schema": "some/card",
        "kept_epoch": 1,
    }


def test_a_card_of_another_model_is_passed_over(checkpoint: Path, tmp_path: Path) -> None:
    from cifar_export.checkpoint.open import read_training_card

    (tmp_path / "card.json").write_text(json.dumps({"model": {"sha256": "00"}}))
    assert read_training_card(tmp_path / checkpoint.name, sha256="11") is None
    assert read_training_card(tmp_path / checkpoint.name, sha256="00") == {
        "model": {"sha256": "00"}
    }


def test_the_same_export_again_is_byte_identical_and_allowed(
    results: tuple[ExportResult, ...], recipe: ExportRecipe
) -> None:
    again = export(changed(recipe, formats=("tflite",)))
    assert [result.sha256 for result in again] == [result.sha256 for result in results[:2]]


def test_a_different_artefact_is_kept_unless_forced(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "small-float32.tflite"
    target.write_bytes(b"precious")
    recipe = export_recipe(
        checkpoint=checkpoint,
        output=tmp_path,
        quantize=("none", "fp16"),
        eval_split="test-sample",
        max_accuracy_drop=0.02,  # the small model differs with the number of cores that train it
    )
    with pytest.raises(ExportConflictError) as caught:
        export(recipe)
    assert caught.value.exit_code == 4
    assert str(caught.value) == (
        f"{target}: a different artefact is there already, and was kept. "
        "Give --force to replace it, or another -o DIR."
    )
    (published,) = caught.value.results
    (kept,) = caught.value.failures
    names = (published.path.name, kept.name, kept.reason)
    assert names == ("small-fp16.tflite", target.name, "different artefact")
    assert {path.name for path in tmp_path.iterdir()} == {
        target.name,
        published.path.name,
        card_path(published.path).name,
    }
    assert target.read_bytes() == b"precious"
    (result,) = export(changed(recipe, quantize=("none",), force=True))
    assert Classifier(result.path).name == "small-float32"


def in_words(layers: list[dict[str, Any]]) -> str:
    """As the message names layers; a name that begins with a slash says nothing."""
    parts = [next(part for part in layer["name"].split(";") if part[0] != "/") for layer in layers]
    return ", ".join(
        f"#{layer['position']} {layer['operator']} {part} {layer['sqnr_db']:.1f} dB"
        for layer, part in zip(layers, parts, strict=True)
    )


def test_a_model_that_fails_its_gate_is_not_published_and_the_others_are(
    checkpoint: Path, tmp_path: Path
) -> None:
    """Calibration on black and white images alone leaves the activations without a usable range."""
    folder = tmp_path / "plain"
    folder.mkdir()
    Image.new("RGB", (32, 32), (0, 0, 0)).save(folder / "black.png")
    old = tmp_path / "out" / "small-int8.tflite"
    old.parent.mkdir()
    old.write_bytes(b"old")
    recipe = export_recipe(
        checkpoint=checkpoint,
        output=old.parent,
        quantize=("int8", "none"),
        calibration_data=folder,
        eval_split="test-sample",
        max_accuracy_drop=0.0,
        min_agreement=1.0,
        force=True,
    )
    with pytest.raises(ExportGateError) as caught:
        export(recipe)
    message = str(caught.value)
    assert caught.value.exit_code == 5
    assert message.startswith("small-int8.tflite on 1,000 images of test-sample: accuracy drop ")
    assert "limit at least 100.00%: failed" in message
    failure = json.loads((old.parent / "small-int8.tflite.failed.parity.json").read_text())
    worst = failure["layers"]["errors"]["layers"][:3]
    assert worst[0]["sqnr_db"] < 20
    starts = message[message.index("The error starts at #") :].partition(" Ranges come")[0]
    assert message.endswith(
        f"not published. Worst layers of small-int8.tflite: {in_words(worst)} (SQNR against "
        f"small-float32). {starts} Ranges come from 1 image of {folder} (brightness 0.0, contrast 0.0, detail 0.0), "
        "which look unlike those of test-sample (brightness 121.9, contrast 64.1, detail 13.8). "
        "Give --calibration-data a few hundred typical training images, or leave it out for CIFAR-10's. "
        f"Next: cifar-export {checkpoint} --quantize=int8 --max-accuracy-drop=0.0 --min-agreement=1.0 "
        f"--eval-split=test-sample --force --output={old.parent}"
    )
    assert failure["schema"] == "cifar-edge/failed-export/1"
    gates = failure["provenance"]["parity"]["gates"]
    assert [gate["passed"] for gate in gates if gate["name"] == "agreement"] == [False]
    assert [result.name for result in caught.value.results] == ["small-float32"]
    assert old.read_bytes() == b"old"
    assert not card_path(old).exists()


def test_int8_onnx_that_misses_its_gate_is_tried_with_signed_activations(
    checkpoint: Path, tmp_path: Path
) -> None:
    """A floor that nothing reaches: all ways are tried, in order."""
    said: list[str] = []
    recipe = export_recipe(
        checkpoint=checkpoint,
        output=tmp_path,
        formats=("onnx",),
        quantize=("int8",),
        eval_split="test-sample",
        min_accuracy=1.0,
    )
    with pytest.raises(ExportGateError):
        export(recipe, progress=said.append)
    missed = "onnx int8 misses its gate "
    assert [one.removeprefix(missed) for one in said if one.startswith(missed)] == [
        "with uint8 activations, correcting biases for its weights",
        "with uint8 activations, trying int8",
        "as it was prepared, trying it without that",
    ]


def test_a_network_with_zero_padding_leaves_its_rescaling_to_the_contract(
    save: Save, tmp_path: Path
) -> None:
    """Its int8 input has the scale 1/64 exactly; the float file keeps raw pixels."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 64, offset=-2.0),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.AveragePooling2D(8),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    path = tmp_path / "padded.keras"
    save(model, path)
    results = export(
        export_recipe(
            checkpoint=path,
            output=tmp_path / "out",
            formats=("tflite", "onnx"),
            quantize=("none", "int8"),
            calibration_samples=64,
            eval_split="test-sample",
            **LENIENT,  # type: ignore[arg-type]
        )
    )
    for result in results:
        contract = open_artefact(result.path).contract
        is_int8 = "int8" in result.name
        expected = (1 / 64, -2.0, 1 / 64, 0) if is_int8 else (1.0, 0.0, None, None)
        found = contract.input
        assert (found.multiplier, found.offset, found.scale, found.zero_point) == expected
        assert contract.output.kind == "logits"
