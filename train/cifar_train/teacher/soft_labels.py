"""Soft labels: what teachers say of the training images, computed once and stored with a card.

``NAME.npy`` holds log-probabilities, float16, shape (n, num_classes), in the order of the split's ids, or as many for
each of several views, shape (views, n, num_classes). ``NAME.json`` beside it says who made them from what. A
temperature is applied when they are used.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_eval.models.keras import open_checkpoint
from cifar_eval.models.keras_archive import read_checkpoint
from cifar_runtime.documents import from_document
from cifar_runtime.errors import ArtefactError, InputError, json_error_reason
from cifar_runtime.system.files import write_atomically
from cifar_train.recipe import Augmentation, Fold, LabelledViewsRecipe

SCHEMA = "cifar-edge/soft-labels/1"
# Below this a float32 softmax has lost its digits.
_SMALLEST = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherFile:
    """One teacher and the images it may label.

    Attributes:
        path: the Keras checkpoint; the training card beside it says which fold it left out.
        sha256: of the checkpoint.
        recipe: the training recipe in that card, JSON-ready; None without a card.
        fold: the images it did not train on and so may label; None for all of them.
    """

    path: Path
    sha256: str
    recipe: dict[str, Any] | None
    fold: Fold | None


def read_teacher_file(path: Path) -> TeacherFile:
    """The teacher at ``path`` with what its training card says.

    Raises:
        ArtefactError: it cannot be read, or the card beside it is another model's.
    """
    sha256 = _sha256(path)
    cards = [path.with_name("card.json"), path.with_suffix(".json")]
    card_path = next((card for card in cards if card.is_file()), None)
    if card_path is None:
        return TeacherFile(path=path, sha256=sha256, recipe=None, fold=None)
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
        recorded, recipe = card["model"]["sha256"], card["recipe"]
        fold = from_document(Fold, recipe["fold"]) if recipe.get("fold") else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as cause:
        raise ArtefactError(
            f"{card_path}: is no training card: {json_error_reason(cause)}.",
            hint="Restore it, or move it away.",
        ) from cause
    if recorded != sha256:
        raise ArtefactError(
            f"{path}: sha256 is {sha256}, {card_path.name} says {recorded}.",
            hint="Restore the checkpoint, or move the card away.",
        )
    return TeacherFile(path=path, sha256=sha256, recipe=recipe, fold=fold)


def write_soft_labels(
    path: Path, log_probabilities: NDArray[np.float16], card: dict[str, Any]
) -> None:
    """Writes ``path`` (.npy) and, last, its card."""
    buffer = io.BytesIO()
    np.save(buffer, log_probabilities, allow_pickle=False)
    data = buffer.getvalue()
    write_atomically(path, data)
    document = {**card, "sha256": hashlib.sha256(data).hexdigest()}
    write_atomically(path.with_suffix(".json"), (json.dumps(document, indent=1) + "\n").encode())


def load_soft_labels(path: Path, split: Split) -> tuple[NDArray[np.float32], Augmentation | None]:
    """The stored log-probabilities for exactly the images of ``split``, and how their views vary.

    They are float32, of shape (n, num_classes) without views, (views, n, num_classes) with them.

    Raises:
        InputError: a file is missing or damaged, or the labels are those of other images.
    """
    try:
        data = path.read_bytes()
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        recorded, ids_sha256 = card["sha256"], card["ids_sha256"]
        views = card["views"]
        stored = None if isinstance(views, list) else from_document(LabelledViewsRecipe, views)
        log_probabilities = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as cause:  # on a damaged header NumPy raises tokenize's errors too
        raise InputError(
            f"{path}: soft labels cannot be read: {json_error_reason(cause)}.",
            hint="Run cifar-soft-labels again.",
        ) from cause
    if hashlib.sha256(data).hexdigest() != recorded:
        raise InputError(
            f"{path}: its sha256 is not the one that its card says.",
            hint="Run cifar-soft-labels again.",
        )
    expected = (*(() if stored is None else (stored.number,)), len(split.ids), split.num_classes)
    if ids_sha256 != split.ids_sha256() or log_probabilities.shape != expected:
        raise InputError(
            f"{path}: labels {card.get('images')} images of {card.get('split')}, expected the "
            f"{len(split.ids)} of {split.name}.",
            hint="Make soft labels for the images that the recipe trains on, or give --teacher none.",
        )
    as_float32: NDArray[np.float32] = log_probabilities.astype(np.float32)
    return as_float32, None if stored is None else stored.augmentation


def open_teacher_model(path: Path, split: Split) -> Any:
    """The Keras classifier of the images of ``split`` at ``path``; the Keras backend must have been selected.

    Raises:
        ArtefactError: it cannot be opened, or is no classifier of these images.
    """
    model = open_checkpoint(read_checkpoint(path), path=path)
    shapes = [tuple(tensor.shape)[1:] for tensor in (*model.inputs, *model.outputs)]
    if shapes != [split.image_shape, (split.num_classes,)]:
        raise ArtefactError(
            f"{path}: takes and returns {shapes}, expected {split.image_shape} and {split.num_classes} scores.",
            hint=f"Give a classifier of the images of {split.name}.",
        )
    return model


def teacher_scores(model: Any, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """A teacher's probabilities, float32, shape (n, num_classes), none below 1e-30.

    Raises:
        ArtefactError: the scores are no probabilities.
    """
    scores: NDArray[np.float32] = np.asarray(model.predict_on_batch(pixels))
    if scores.min() < 0 or not np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        raise ArtefactError(
            f"the teacher {model.name} returns scores that are no probabilities.",
            hint="Give a model that ends in a softmax.",
        )
    return np.maximum(scores, np.float32(_SMALLEST))


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as cause:
        raise ArtefactError(
            f"{path}: cannot be read: {cause.strerror}.", hint="Give a trained .keras checkpoint."
        ) from cause
