"""Where a transfer run begins: a backbone's weights, and a head fitted on its features of the training pictures.

Both are kept in the run folder, so that the run resumes without the file or the download that they came from.
"""

import contextlib
import hashlib
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_eval.models.keras import open_checkpoint
from cifar_eval.models.keras_archive import read_checkpoint
from cifar_runtime.errors import InputError
from cifar_runtime.system.files import replace_atomically
from cifar_train.networks import build
from cifar_train.networks.backbones import BACKBONES, Backbone, hold_batch_norm, keras_backbone
from cifar_train.recipe import TrainRecipe

FILE_NAME = "initial.weights.h5"
IMAGENET = "imagenet"
_BATCH_SIZE = 64
_WHOLE_MODEL = ".keras"


def begin_transfer(
    recipe: TrainRecipe, weights: str, train: Split, folder: Path, *, resume: bool
) -> TrainRecipe:
    """The recipe that names the weights it begins with, once they lie in the run folder.

    First the head alone is fitted, by logistic regression on the backbone's features, classes weighing the same; the
    run then trains everything but BatchNorm, which stays in inference mode.

    Args:
        recipe: of a backbone.
        weights: ``imagenet``, or the path of a weights file of the backbone without its top, or of another run's model.
        train: the pictures to train on.
        folder: the run folder.
        resume: take the weights that lie there.

    Raises:
        InputError: the weights cannot be downloaded, or the file is missing or of another network.
    """
    path = folder / FILE_NAME
    if not (resume and path.is_file()):
        model = _begun_model(recipe, weights, train)
        folder.mkdir(parents=True, exist_ok=True)
        replace_atomically(path, lambda draft: _save(model, draft))
    return replace(recipe, initial_sha256=_sha256(path))


def load_initial(model: Any, recipe: TrainRecipe, folder: Path) -> None:
    """Gives a fresh model the weights that its run begins with.

    Raises:
        InputError: they are missing, or are others than the recipe names.
    """
    path = folder / FILE_NAME
    if not path.is_file() or _sha256(path) != recipe.initial_sha256:
        raise InputError(
            f"{path}: is not what the run began with, expected sha256 {str(recipe.initial_sha256)[:12]}….",
            hint="Start over with --force.",
        )
    hold_batch_norm(model)
    model.load_weights(path)


def _begun_model(recipe: TrainRecipe, weights: str, train: Split) -> Any:
    import keras

    backbone = next(name for name in BACKBONES if name == recipe.architecture)
    keras.utils.set_random_seed(recipe.seed)
    pretrained = _pretrained(backbone, weights, train.image_shape)
    model = build(recipe.architecture, input_shape=train.image_shape, num_classes=train.num_classes)
    head = model.layers[-1]
    model.set_weights([*pretrained.get_weights(), *head.get_weights()])
    features = keras.Model(model.input, pretrained_features(model))
    starts = range(0, len(train.labels), _BATCH_SIZE)
    seen = [
        np.asarray(
            features.predict_on_batch(train.images[at : at + _BATCH_SIZE].astype(np.float32))
        )
        for at in starts
    ]
    head.set_weights(fitted_head(np.concatenate(seen), train.labels))
    return model


def pretrained_features(model: Any) -> Any:
    """The tensor that a backbone's dropout takes: its mean features."""
    return model.layers[-2].input


def fitted_head(
    features: NDArray[np.float32], labels: NDArray[np.int64]
) -> list[NDArray[np.float32]]:
    """Weights, (features, classes), and biases of a dense layer that tells all labels apart.

    Args:
        features: float32, shape (n, features).
        labels: int64, shape (n,); each of 0..classes-1 occurs.
    """
    from sklearn.linear_model import LogisticRegression

    spread = float(features.std()) or 1.0
    fitted = LogisticRegression(class_weight="balanced", max_iter=2000)
    fitted.fit(features / spread, labels)
    weights, biases = fitted.coef_ / spread, fitted.intercept_
    if len(weights) == 1:  # of two classes, scikit-learn gives the difference
        weights, biases = np.concatenate([-weights, weights]) / 2, np.array([-1, 1]) * biases / 2
    return [weights.T.astype(np.float32), biases.astype(np.float32)]


def _pretrained(backbone: Backbone, weights: str, shape: tuple[int, int, int]) -> Any:
    if weights != IMAGENET and not Path(weights).is_file():
        raise InputError(
            f"{weights}: is no weights file of {backbone}.",
            hint="Check the path, or give --weights imagenet or none.",
        )
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where Keras reports a download
            if weights.endswith(_WHOLE_MODEL):
                return _backbone_of(backbone, weights, shape)
            return keras_backbone(backbone, weights=weights, input_shape=shape)
    except Exception as cause:  # Keras raises plain Exceptions where a download fails
        if weights != IMAGENET:
            raise InputError(
                f"{weights}: cannot be read as weights of {backbone} without its top: {_first_line(cause)}.",
                hint=f"Give the model.keras of a run with --network {backbone}, or a file that keras.applications' "
                "backbone wrote with save_weights, include_top=False.",
            ) from cause
        raise _not_downloaded(backbone, cause) from cause


def _backbone_of(backbone: Backbone, path: str, shape: tuple[int, int, int]) -> Any:
    """The backbone of another run's model, which may be of another size and other classes."""
    model = keras_backbone(backbone, weights=None, input_shape=shape)
    trained = open_checkpoint(read_checkpoint(Path(path)), path=Path(path))
    model.set_weights(trained.get_weights()[: -len(trained.layers[-1].weights)])
    return model


def _not_downloaded(backbone: Backbone, cause: Exception) -> InputError:
    address = re.search(r"https?://[^\s:]+", str(cause))
    if address is None:
        raise cause
    name = address.group().rsplit("/", 1)[-1]
    return InputError(
        f"{backbone}: its ImageNet weights cannot be downloaded: {_first_line(cause)}.",
        hint=f"With a network, fetch {address.group()}; then copy it to ~/.keras/models/{name} here, or give "
        f"--weights {name}. --weights none begins with fresh weights.",
    )


def _first_line(cause: Exception) -> str:
    return (str(cause).splitlines() or [type(cause).__name__])[0].rstrip(".")


def _save(model: Any, draft: Path) -> None:
    """Keras wants the whole suffix, which a temporary name has not."""
    whole = draft.with_name(f"{draft.name}.weights.h5")
    try:
        model.save_weights(whole)
        whole.replace(draft)
    finally:
        whole.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
