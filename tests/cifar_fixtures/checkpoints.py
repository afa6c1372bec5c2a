"""A small classifier, trained for a second on the shipped calibration images, with the notebook's order of layers."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_data import packaged


@pytest.fixture(scope="session")
def small_model() -> Any:
    """Rescaling, then Conv -> ReLU -> BatchNorm -> MaxPool twice, with two negative gammas and one of zero."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 64, offset=-2.0, name="rescaling"),
            layers.Conv2D(16, 5, activation="relu"),
            layers.BatchNormalization(momentum=0.8),
            layers.MaxPooling2D(2),
            layers.Conv2D(24, 3, activation="relu"),
            layers.BatchNormalization(momentum=0.8),
            layers.MaxPooling2D(4),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.layers[2].gamma.assign(np.where(np.arange(16) < 2, -1.0, np.arange(16) != 2))
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    sample = packaged.calibration_sample()
    model.fit(sample.images.astype(np.float32), sample.labels, batch_size=32, epochs=6, verbose=0)
    return model


@pytest.fixture(scope="session")
def checkpoint(
    small_model: Any, save: Callable[[Any, Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The small classifier as a .keras file."""
    path = tmp_path_factory.mktemp("checkpoint") / "small.keras"
    save(small_model, path)
    return path


@pytest.fixture(scope="session")
def save() -> Callable[[Any, Path], None]:
    """Saves a Keras model; Keras itself meets a deprecation of numpy there."""

    def save_quietly(model: Any, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="__array__ implementation", category=DeprecationWarning
            )
            model.save(path)

    return save_quietly
