"""Confidence and robustness in a card, for a model of three colours with images of its own; and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import changed, export_recipe
from PIL import Image

import cifar_runtime
from cifar_data import packaged
from cifar_data.cifar10.splits import LABELS as CIFAR_LABELS
from cifar_data.image_folder import read_image_folder
from cifar_eval.accuracy import Accuracy
from cifar_eval.confidence import fit_confidence, measure_confidence
from cifar_eval.robustness.corruptions import corrupted
from cifar_export.checkpoint.open import open_checkpoint
from cifar_export.commands.export import main
from cifar_export.evidence.confidence_card import ConfidenceImages, load_confidence_images
from cifar_export.evidence.gather import EvidenceImages, gather_evidence
from cifar_export.evidence.outliers import made_outliers, photograph_outliers
from cifar_export.evidence.robustness_card import load_robustness_images
from cifar_export.pipeline import export
from cifar_export.recipe import ConfidenceRecipe, ExportRecipe, RobustnessRecipe
from cifar_export.result import ExportResult
from cifar_runtime import Classifier
from cifar_runtime.artefact import card_path, open_artefact
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import InputError, UsageError

Save = Callable[[Any, Path], None]
LABELS = ("red", "green", "blue")


def pixels(side: int) -> InputContract:
    return InputContract(
        shape=(side, side, 3),
        dtype="float32",
        multiplier=1.0,
        offset=0.0,
        scale=None,
        zero_point=None,
        resize_filter="bicubic",
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train``, ``fit`` and ``test``: noise with one channel a little brighter, in a folder a class."""
    root = tmp_path_factory.mktemp("colours")
    random = np.random.default_rng(0)
    for part, count in (("train", 4), ("fit", 30), ("test", 10)):
        for channel, name in enumerate(LABELS):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                picture = random.integers(0, 230, (16, 16, 3)) * random.uniform(0.2, 1.1)
                picture[..., channel] += 9
                image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
                image.save(root / part / name / f"{number}.png")
    (root / "labels.txt").write_text("\n".join(LABELS) + "\n")
    return root


@pytest.fixture(scope="module")
def recipe(folders: Path, save: Save) -> ExportRecipe:
    """A network that compares the channels' means, far too sure of itself."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 64, offset=-2.0),
            layers.Conv2D(6, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    kernel = np.zeros((3, 3, 3, 6), np.float32)
    for channel in range(3):
        kernel[:, :, channel, channel] = 1 / 9
        kernel[:, :, channel, 3 + channel] = -1 / 9
    model.layers[1].set_weights([kernel, np.full(6, 2.0, np.float32)])
    plus_minus = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    model.layers[-1].set_weights([12 * plus_minus, np.zeros(3, np.float32)])
    path = folders / "colour.keras"
    save(model, path)
    return export_recipe(
        checkpoint=path,
        output=folders / "out",
        formats=("tflite", "onnx"),
        quantize=("int8",),
        labels=folders / "labels.txt",
        calibration_data=folders / "train",
        eval_data=folders / "test",
        confidence=ConfidenceRecipe(coverage=0.8, data=folders / "fit"),
        robustness=RobustnessRecipe(images=12),
        max_accuracy_drop=0.1,
        min_agreement=0.8,
    )


@pytest.fixture(scope="module")
def results(recipe: ExportRecipe) -> tuple[ExportResult, ...]:
    return export(recipe)


def card(result: ExportResult) -> dict[str, Any]:
    return json.loads(card_path(result.path).read_text())  # type: ignore[no-any-return]


def test_the_contract_holds_what_fits_the_artefacts_own_scores(
    results: tuple[ExportResult, ...], folders: Path
) -> None:
    for result in results:
        contract = open_artefact(result.path).contract
        split = read_image_folder(folders / "fit", labels=LABELS, contract=contract.input)
        images, classes = split.images, split.labels
        scores = Classifier(result.path).scores(images)
        plain = replace(contract.output, temperature=None, abstention_threshold=None)
        fit = fit_confidence(scores, classes, plain, coverage=0.8)
        assert contract.output == fit.applied_to(plain)
        confidence = card(result)["provenance"]["confidence"]
        assert confidence["temperature"] == fit.temperature
        assert confidence["abstention_threshold"] == fit.abstention_threshold
        worth = measure_confidence(scores, classes, plain, coverage=0.8)
        assert confidence["measured"] == worth.to_json()
        assert confidence["images"]["split"] == "fit"
        assert confidence["images"]["num_images"] == worth.seen == 90
        assert worth.ece_after < worth.ece_before


def test_a_picture_below_the_threshold_is_answered_unsure(
    results: tuple[ExportResult, ...], folders: Path
) -> None:
    """On the images that chose the threshold the runtime itself leaves 80 % their answer."""
    for result in results:
        paths = sorted((folders / "fit").rglob("*.png"))
        answers = Classifier(result.path).classify_batch(paths)
        answered = sum(not one.abstained for one in answers)
        assert 72 <= answered < 90  # 80 % of 90, or more where int8 probabilities are equal


def test_outliers_are_counted_as_the_runtime_answers_them(
    results: tuple[ExportResult, ...],
) -> None:
    outliers = made_outliers(pixels(16))
    for result in results:
        classifier = Classifier(result.path)
        found = card(result)["provenance"]["confidence"]["false_acceptance"]
        assert [(one["source"], one["seen"]) for one in found] == [
            ("noise", 500),
            ("textures", 500),
        ]
        for entry, source in zip(found, outliers, strict=True):
            answers = classifier.classify_batch(list(source.images))
            assert entry["accepted"] == sum(not answer.abstained for answer in answers)


def test_the_card_says_what_another_coverage_would_have_given(
    results: tuple[ExportResult, ...],
) -> None:
    for result in results:
        found = card(result)["provenance"]["confidence"]
        others = found["other_coverages"]
        assert [one["coverage"] for one in others] == [0.99, 0.95, 0.9, 0.8, 0.7]
        for name in ("abstention_threshold", "answered"):
            values = [one[name] for one in others]
            assert values == sorted(values, reverse=name == "answered")
        chosen = others[3]  # the recipe's own coverage
        assert chosen["abstention_threshold"] == found["abstention_threshold"]
        assert chosen["answered"] == found["measured"]["answered"]
        assert chosen["accepted"] == [one["accepted"] for one in found["false_acceptance"]]


def test_the_card_holds_accuracy_under_corruptions_of_both_models(
    results: tuple[ExportResult, ...], recipe: ExportRecipe, folders: Path
) -> None:
    import keras

    split = read_image_folder(folders / "test", labels=LABELS, contract=pixels(16), limit=12)
    images, classes = split.images, split.labels
    keras_model = keras.saving.load_model(recipe.source.checkpoint)
    damaged = corrupted(images, "gaussian_noise", 2, seed=0)
    expected = keras_model.predict(damaged.astype(np.float32), verbose=0).argmax(axis=1)
    for result in results:
        found = card(result)["provenance"]["robustness"]
        assert (found["images"]["split"], found["images"]["num_images"]) == ("test[:12]", 12)
        decided = Classifier(result.path).scores(damaged).argmax(axis=1)
        noise = found["artefact"]["corruptions"][0]
        assert noise["correct"][1] == int((decided == classes).sum())
        assert noise["agreeing"][1] == int((decided == expected).sum())
        checkpoint = found["checkpoint"]["corruptions"][0]
        assert checkpoint["correct"][1] == int((expected == classes).sum())
        assert checkpoint["agreeing"] is None


def test_the_cards_fit_their_schema_and_say_it_in_a_sentence(
    results: tuple[ExportResult, ...],
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    folder = Path(cifar_runtime.__file__).parent / "schemas"
    schema = json.loads((folder / "artefact.schema.json").read_text())
    for result in results:
        document = card(result)
        jsonschema.Draft202012Validator(schema).validate(document)
        confidence, robustness = result.remarks
        temperature = document["contract"]["output"]["temperature"]
        assert confidence.startswith(f"temperature {temperature:g}, unsure below ")
        assert " of 90 images of fit, " in confidence
        assert robustness.startswith("under 6 corruptions, five severities each, ")
        document["provenance"]["confidence"]["measured"]["ece_after"] = 2
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate(document)


def test_the_same_export_again_gives_the_same_bytes(
    results: tuple[ExportResult, ...], recipe: ExportRecipe, tmp_path: Path
) -> None:
    (again,) = export(changed(recipe, formats=("tflite",), output=tmp_path))
    assert again.sha256 == results[0].sha256


def test_images_that_the_gate_measures_do_not_fit_confidence(
    recipe: ExportRecipe, folders: Path, tmp_path: Path
) -> None:
    """Copied into another folder under another name, they are still known by their pixels."""
    for name in LABELS:
        (tmp_path / name).mkdir()
    (tmp_path / "red" / "copied.png").write_bytes((folders / "test/red/3.png").read_bytes())
    (tmp_path / "red" / "own.png").write_bytes((folders / "fit/red/3.png").read_bytes())
    with pytest.raises(InputError) as caught:
        export(changed(recipe, confidence=ConfidenceRecipe(data=tmp_path)))
    assert str(caught.value) == (
        f"{tmp_path}: 1 of its 2 images are among those that the gate measures (test), expected other ones. "
        "Give --confidence-data DIR images that --eval-data lacks."
    )
    (tmp_path / "red" / "copied.png").unlink()
    with pytest.raises(InputError, match="expected two halves to fit on one and measure on the"):
        export(changed(recipe, confidence=ConfidenceRecipe(data=tmp_path)))


@pytest.mark.parametrize("stated", ["temperature", "abstention_threshold"])
def test_what_a_contract_states_is_not_fitted(
    recipe: ExportRecipe, stated: str, tmp_path: Path
) -> None:
    path = tmp_path / "contract.json"
    image = {"multiplier": 1.0, "offset": 0.0}
    path.write_text(json.dumps({"input": image, "output": {stated: 0.5}, "labels": LABELS}))
    with pytest.raises(UsageError) as caught:
        export(changed(recipe, labels=None, contract=path))
    assert str(caught.value) == (
        f"{path}: states a temperature or an abstention threshold, and --confidence would fit both. "
        "Leave --confidence out, or these two out of the contract."
    )


def test_without_the_fetched_data_set_confidence_is_exit_code_3(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path / "cache"))
    line = [str(checkpoint), "-o", str(tmp_path / "out"), "--confidence", "-q"]
    assert main(line) == 3
    assert capfd.readouterr() == (
        "",
        f"cifar-export: CIFAR-10 is not in {tmp_path / 'cache' / 'cifar10'}. "
        "Run cifar-data fetch, once, while online.\n",
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.full_data
def test_cifar_10s_validation_split_fits_and_photographs_are_among_the_outliers() -> None:
    images = load_confidence_images(
        ConfidenceRecipe(),
        labels=CIFAR_LABELS,
        contract=pixels(32),
        gate=packaged.test_sample(),
        held_out="validation split",
    )
    assert (images.split.name, len(images.split.labels)) == ("validation", 5000)
    assert [one.source for one in images.outliers] == ["noise", "textures", "photographs"]


@pytest.mark.full_data
def test_a_checkpoint_that_held_out_other_images_is_judged_on_those() -> None:
    """The notebook's learned from most of the validation split: it is right on 92 % of that, on 67 % of the rest."""
    models = Path(__file__).parents[3] / "models"
    assert open_checkpoint(models / "seed-cnn.keras").validation_rule == "validation split"
    rule = open_checkpoint(models / "notebook.keras").validation_rule
    gate, contract = packaged.test_sample(), pixels(32)
    fitted = load_confidence_images(
        ConfidenceRecipe(), labels=CIFAR_LABELS, contract=contract, gate=gate, held_out=rule
    )
    assert (fitted.split.name, len(fitted.split.labels)) == ("last fifth of official-train", 10_000)
    damaged = load_robustness_images(
        RobustnessRecipe(images=20),
        gate=gate,
        held_out=rule,
        reference=lambda images: np.eye(10)[[0] * len(images)],
    )
    assert damaged.split.name == "last fifth of official-train[:20]"
    assert set(damaged.split.ids) <= set(range(40_000, 50_000))


@pytest.mark.parametrize(("right", "warned"), [(60, True), (90, False)])
def test_a_model_that_knows_the_images_of_its_confidence_is_told_of(
    results: tuple[ExportResult, ...],
    recipe: ExportRecipe,
    folders: Path,
    right: int,
    warned: bool,
) -> None:
    path = results[0].path
    contract = open_artefact(path).contract
    fit = read_image_folder(folders / "fit", labels=LABELS, contract=contract.input)
    images = EvidenceImages(confidence=ConfidenceImages(split=fit, outliers=()), robustness=None)
    gate = Accuracy(correct=right, seen=100, split="test")
    *_, last = gather_evidence(path, contract, images, recipe, gate=gate).remarks
    words = f"set its temperature and threshold ({fit.name}), on 60.00% of those that the gate measures (test)"
    assert (words in last) is warned


def test_outliers_are_the_same_every_time_and_none_is_plain() -> None:
    first, again = made_outliers(pixels(32)), made_outliers(pixels(32))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        assert (one.images.dtype, one.images.shape) == (np.uint8, (500, 32, 32, 3))
        assert len(np.unique(one.images.reshape(500, -1), axis=0)) == 500
        assert np.ptp(one.images, axis=(1, 2)).max(axis=1).min() > 0


def test_photographs_are_cut_into_tiles_that_show_all_of_them() -> None:
    """Two of 427 x 640 pixels: 13 x 20 tiles of 32, 6 x 10 of 64 and 3 x 5 of 128 each."""
    from sklearn.datasets import load_sample_images

    photographs = photograph_outliers(pixels(32))
    assert photographs.images.shape == (2 * (13 * 20 + 6 * 10 + 3 * 5), 32, 32, 3)
    china = load_sample_images().images[0]
    np.testing.assert_array_equal(photographs.images[21], china[32:64, 32:64])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"confidence": ConfidenceRecipe()},
            "test: its images are what the gate measures, so confidence cannot be fitted on them. "
            "Give --confidence-data DIR with other labelled images.",
        ),
        (
            {"confidence": ConfidenceRecipe(data=Path("test"))},
            "test: its images are what the gate measures, so confidence cannot be fitted on them. "
            "Give --confidence-data DIR with other labelled images.",
        ),
        (
            {"robustness": RobustnessRecipe(images=None)},
            "robustness on the packaged sample, which is CIFAR-10's, but the gate measures on test. "
            "Give --robustness N: so many of that folder's images.",
        ),
    ],
)
def test_a_users_folder_for_the_gate_measures_and_does_not_fit(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        export_recipe(
            checkpoint=Path("m.keras"), output=Path("out"), eval_data=Path("test"), **changes
        )
    assert str(caught.value) == message


@pytest.mark.parametrize("coverage", [0.0, -0.1, 1.5])
def test_coverage_is_a_share_above_zero(coverage: float) -> None:
    with pytest.raises(UsageError, match="expected a share above 0, up to 1"):
        ConfidenceRecipe(coverage=coverage)


def test_robustness_takes_an_image_or_more() -> None:
    with pytest.raises(UsageError, match="robustness on 0 images, expected 1 or more"):
        RobustnessRecipe(images=0)
