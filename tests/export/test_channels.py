"""Grey pictures, transparency, integer inputs, inputs of any size, several outputs: exported, or refused in a line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import export_recipe
from numpy.typing import NDArray
from PIL import Image

from cifar_export.checkpoint.open import open_checkpoint
from cifar_export.pipeline import export
from cifar_export.planning import plan
from cifar_export.web.site import write_site
from cifar_runtime import Classifier
from cifar_runtime.artefact import open_artefact
from cifar_runtime.errors import ArtefactError, CifarEdgeError, InputError, UsageError
from cifar_runtime.golden import replay

Save = Callable[[Any, Path], None]
SIZE = 28


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scikit-learn's handwritten digits as grey pictures of 28x28: ``train`` and ``test``, a folder a digit."""
    from sklearn.datasets import load_digits

    root = tmp_path_factory.mktemp("digits")
    images, targets = load_digits().images, load_digits().target
    for index, (image, target) in enumerate(zip(images, targets, strict=True)):
        folder = root / ("test" if index % 3 == 0 else "train") / str(target)
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((image * 255 / 16).astype(np.uint8))
        picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR).save(folder / f"{index}.png")
    return root


def read(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    paths = sorted(folder.rglob("*.png"))
    pixels = np.stack([np.asarray(Image.open(path), np.float32)[..., None] for path in paths])
    return pixels, np.array([int(path.parent.name) for path in paths])


@pytest.fixture(scope="module")
def grey(save: Save, digits: Path) -> Path:
    """A small network for one channel, trained on two thirds of them."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            *(keras.Input((SIZE, SIZE, 1)), layers.Rescaling(1 / 255)),
            *(layers.Conv2D(8, 5, 2, activation="relu"), layers.Conv2D(16, 3, 2)),
            *(layers.BatchNormalization(), layers.ReLU(), layers.Flatten()),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(*read(digits / "train"), batch_size=64, epochs=6, verbose=0)
    save(model, digits / "grey.keras")
    return digits / "grey.keras"


def test_a_network_of_grey_pictures_is_exported_four_ways(
    grey: Path, digits: Path, tmp_path: Path
) -> None:
    import keras

    model = keras.saving.load_model(grey)
    pixels, labels = read(digits / "test")
    expected = model.predict(pixels, verbose=0).argmax(axis=1)
    assert (expected == labels).mean() > 0.9
    recipe = export_recipe(
        checkpoint=grey,
        output=tmp_path,
        eval_data=digits / "test",
        calibration_data=digits / "train",
        formats=("tflite", "onnx"),
        quantize=("none", "int8"),
        max_accuracy_drop=0.01,
    )
    for result in export(recipe):
        classifier = Classifier(result.path)
        contract = classifier.artefact.contract.input
        assert (contract.shape, contract.colour_order) == ((SIZE, SIZE, 1), "grey")
        scores = classifier.scores(pixels.astype(np.uint8))
        assert (scores.argmax(axis=1) == expected).mean() >= 0.99
        assert replay(classifier).bit_exact
        picture = digits / "test" / "0" / "0.png"
        assert classifier.classify(picture).label == "0"
        assert classifier.classify(np.asarray(Image.open(picture))[..., None]).label == "0"
        assert classifier.classify(Image.open(picture).convert("RGB")).label == "0"


def test_the_firmware_and_the_plan_know_the_channels(
    grey: Path, digits: Path, tmp_path: Path
) -> None:
    recipe = export_recipe(
        checkpoint=grey, output=tmp_path, eval_data=digits / "test", quantize=("int8",)
    )
    (planned,) = plan(recipe)
    assert planned.takes == "int8 28x28x1 grey, pixel - 128"
    (result,) = export(recipe)
    from cifar_export.firmware.write import write_firmware

    report = write_firmware(result.path, tmp_path / "c", engine="c")
    assert report.num_vectors == 8
    header = (tmp_path / "c" / "contract.h").read_text()
    assert "#define CONTRACT_CHANNELS 1" in header
    assert "order its bytes\ngrey, row by row" in header.replace(" * ", "").replace("   ", "")


def test_a_page_of_a_network_of_grey_pictures_is_refused(
    grey: Path, digits: Path, tmp_path: Path
) -> None:
    recipe = export_recipe(
        checkpoint=grey, output=tmp_path, eval_data=digits / "test", formats=("onnx",)
    )
    (result,) = export(recipe)
    with pytest.raises(ArtefactError, match="takes grey pictures of 1 channels, expected RGB"):
        write_site(result.path, tmp_path / "site")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_range": "torch"}, "--input-range torch: grey.keras takes float32 pictures of 1 c"),
        ({"input_size": (32, 32)}, "--input-size 32x32: grey.keras takes 28x28, height first."),
        ({"output_name": "cat"}, "--output-name cat: grey.keras has no such output, expected one"),
    ],
)
def test_what_does_not_fit_the_channels_is_refused_at_opening(
    grey: Path, digits: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    recipe = export_recipe(checkpoint=grey, output=tmp_path, eval_data=digits / "test", **options)
    with pytest.raises(UsageError) as caught:
        plan(recipe)
    assert str(caught.value).startswith(message)


LABELS = ("dark", "light")


def plain(root: Path, channels: int) -> Path:
    """Plain noisy pictures, dark or light in every channel."""
    random = np.random.default_rng(0)
    for name, level in zip(LABELS, (60, 190), strict=True):
        (root / name).mkdir(parents=True)
        for number in range(24):
            pixels = random.integers(level - 30, level + 30, (20, 20, channels))
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain(tmp_path_factory.mktemp("plain") / "pictures", 3)


def brightness_head(channels: int, name: str = "head") -> Any:
    """Dense(2) over means of channels, which looks at the last one alone."""
    from keras import layers

    head = layers.Dense(2, activation="softmax", name=name)
    head.build((None, channels))
    kernel = np.zeros((channels, 2), np.float32)
    kernel[-1] = (-0.1, 0.1)
    head.set_weights([kernel, np.array([12.5, -12.5], np.float32)])
    return head


def exported(model: Any, save: Save, pictures: Path, tmp_path: Path, **options: Any) -> Classifier:
    save(model, tmp_path / "mine.keras")
    recipe = export_recipe(
        checkpoint=tmp_path / "mine.keras", output=tmp_path / "out", eval_data=pictures, **options
    )
    (result,) = export(recipe)
    assert result.accuracy == 1.0
    return Classifier(result.path)


@pytest.mark.parametrize("model_format", ["tflite", "onnx"])
def test_transparency_reaches_a_network_of_four_channels(
    model_format: str, save: Save, tmp_path: Path
) -> None:
    import keras
    from keras import layers

    model = keras.Sequential(
        [keras.Input((20, 20, 4)), layers.GlobalAveragePooling2D(), brightness_head(4)]
    )
    clear = plain(tmp_path / "clear", 4)
    classifier = exported(model, save, clear, tmp_path, formats=(model_format,))
    assert classifier.artefact.contract.input.colour_order == "RGBA"
    opaque = Image.new("RGB", (20, 20), (0, 0, 0))
    assert classifier.classify(opaque).label == "light"  # an alpha of 255
    assert classifier.classify(np.zeros((20, 20, 4), np.uint8)).label == "dark"


@pytest.mark.parametrize("quantize", ["none", "int8"])
def test_an_input_of_integers_takes_pixels(
    quantize: str, save: Save, pictures: Path, tmp_path: Path
) -> None:
    import keras
    from keras import layers

    inputs = keras.Input((20, 20, 3), dtype="uint8")
    means = layers.GlobalAveragePooling2D()(layers.Rescaling(1.0)(inputs))
    model = keras.Model(inputs, brightness_head(3)(means))
    options = {"quantize": (quantize,), "min_agreement": 0.9}
    classifier = exported(model, save, pictures, tmp_path, **options)
    assert classifier.classify(np.full((20, 20, 3), 200, np.uint8)).label == "light"
    recipe = export_recipe(
        checkpoint=tmp_path / "mine.keras",
        output=tmp_path / "out",
        eval_data=pictures,
        input_range="0..1",
    )
    with pytest.raises(UsageError, match=r"--input-range 0\.\.1: mine\.keras takes uint8 pictures"):
        plan(recipe)


def test_an_input_of_any_size_needs_one(save: Save, pictures: Path, tmp_path: Path) -> None:
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            *(keras.Input((None, None, 3)), layers.Conv2D(3, 3, kernel_initializer="zeros")),
            *(layers.GlobalAveragePooling2D(), brightness_head(3)),
        ]
    )
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    kernel[1, 1] = np.eye(3)
    model.layers[0].set_weights([kernel, np.zeros(3)])
    save(model, tmp_path / "any.keras")
    with pytest.raises(ArtefactError) as caught:
        open_checkpoint(tmp_path / "any.keras")
    assert str(caught.value) == (
        f"{tmp_path / 'any.keras'}: takes pictures of any size, expected one: an artefact has a fixed input. "
        "Give --input-size HEIGHTxWIDTH, that of the pictures it was trained on."
    )
    classifier = exported(model, save, pictures, tmp_path, input_size=(24, 18))
    assert classifier.artefact.contract.input.shape == (24, 18, 3)
    assert classifier.artefact.card["provenance"]["recipe"]["input_size"] == [24, 18]


def test_one_of_several_outputs_is_exported(save: Save, pictures: Path, tmp_path: Path) -> None:
    import keras
    from keras import layers

    inputs = keras.Input((20, 20, 3))
    means = layers.GlobalAveragePooling2D(name="means")(inputs)
    model = keras.Model(inputs, {"kind": brightness_head(3)(means), "embedding": means})
    save(model, tmp_path / "two.keras")
    with pytest.raises(ArtefactError) as caught:
        open_checkpoint(tmp_path / "two.keras")
    assert "has 2 outputs (" in caught.value.message
    assert "kind" in caught.value.hint
    classifier = exported(model, save, pictures, tmp_path, output_name="kind")
    assert classifier.artefact.contract.output.kind == "probabilities"
    assert open_artefact(classifier.artefact.path).card["provenance"]["recipe"]["output_name"] == (
        "kind"
    )


def test_a_picture_of_other_channels_than_the_network_takes_is_refused(
    grey: Path, digits: Path, tmp_path: Path
) -> None:
    recipe = export_recipe(checkpoint=grey, output=tmp_path, eval_data=digits / "test")
    (result,) = export(recipe)
    with pytest.raises(InputError, match=r"expected uint8 of shape \(height, width, 3 or 1\)"):
        Classifier(result.path).classify(np.zeros((28, 28, 4), np.uint8))
    assert issubclass(InputError, CifarEdgeError)
