"""Golden vectors ride in a small file: averaged over a grid where whole pictures would outweigh the network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import export_recipe
from PIL import Image

from cifar_export.pipeline import export
from cifar_export.recipe import ExportRecipe
from cifar_runtime import Classifier
from cifar_runtime.errors import InputError
from cifar_runtime.golden import golden_from_card, replay
from cifar_runtime.inspection.info import graph_of

Save = Callable[[Any, Path], None]
LABELS = ("flower", "temple")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts of two photographs, a folder each: as hard to compress as what people have."""
    from sklearn.datasets import load_sample_images

    root = tmp_path_factory.mktemp("photographs") / "parts"
    random = np.random.default_rng(0)
    for name, photograph in zip(LABELS, reversed(load_sample_images().images), strict=True):
        (root / name).mkdir(parents=True)
        for number in range(30):
            top, left = random.integers(0, 400), random.integers(0, 600)
            part = Image.fromarray(photograph[top : top + 256, left : left + 256])
            part.resize((64, 64)).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def checkpoint(save: Save, folder: Path) -> Path:
    """A network of 2,930 parameters, random weights, for 64x64 pictures."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            *(keras.Input((64, 64, 3)), layers.Rescaling(1 / 255)),
            *(layers.Conv2D(16, 3, 2, activation="relu"), layers.Conv2D(16, 3, activation="relu")),
            *(layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax")),
        ]
    )
    path = folder.parent / "tiny.keras"
    save(model, path)
    return path


def recipe_of(checkpoint: Path, folder: Path, output: Path, **options: Any) -> ExportRecipe:
    limits = {"max_accuracy_drop": 1.0, "min_agreement": 0.0}
    return export_recipe(
        checkpoint=checkpoint, output=output, eval_data=folder, **{**limits, **options}
    )


def test_a_file_stays_under_its_weights_a_tenth_and_32_kib(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(
        *(checkpoint, folder, tmp_path), formats=("tflite", "onnx"), quantize=("none", "int8")
    )
    for result in export(recipe):
        classifier = Classifier(result.path)
        golden = golden_from_card(classifier.artefact.card)
        weights = graph_of(classifier.artefact).parameter_bytes
        assert result.size_bytes == result.path.stat().st_size <= 1.1 * weights + 32 * 1024
        assert golden.images.shape == (8, 64, 64, 3)
        assert golden.grid is not None
        assert 16 <= min(golden.grid) < 64
        assert replay(classifier).bit_exact


def test_a_number_of_whole_pictures_can_be_asked_for(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    (result,) = export(recipe_of(checkpoint, folder, tmp_path, golden=3))
    classifier = Classifier(result.path)
    golden = golden_from_card(classifier.artefact.card)
    files = {np.asarray(Image.open(path)).tobytes() for path in folder.rglob("*.png")}
    assert (len(golden.images), golden.grid) == (3, (64, 64))
    assert {image.tobytes() for image in golden.images} <= files
    assert classifier.artefact.card["provenance"]["recipe"]["golden"] == 3
    assert replay(classifier).num_vectors == 3


def test_more_than_there_are_images_is_refused(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        export(recipe_of(checkpoint, folder, tmp_path, golden=61))
    assert str(caught.value) == (
        "--golden 61: parts has 60 images of 64 x 64 x 3, expected at most 60 golden vectors of them. "
        "Give a smaller --golden, or more images."
    )
