"""Labels the training images with teachers, once, for soft labels that are stored."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_runtime.documents import to_document
from cifar_runtime.errors import UsageError
from cifar_runtime.progress import Counter, silent
from cifar_train.input.augment import numbered_views, view
from cifar_train.recipe import LabelledViewsRecipe
from cifar_train.teacher.soft_labels import (
    SCHEMA,
    TeacherFile,
    open_teacher_model,
    teacher_scores,
)

BATCH_SIZE = 500


def label_images(
    teachers: list[TeacherFile],
    split: Split,
    *,
    views: LabelledViewsRecipe | None = None,
    count: Counter = silent,
) -> tuple[NDArray[np.float16], dict[str, Any]]:
    """Log-probabilities, float16, shape (n, num_classes), for every image, and the card without the file's digest.

    Each is the mean over the image and its mirror image; of views there are as many for each, shape (views, n,
    num_classes). With cross-fitted teachers every image is labelled by the one that did not train on it.

    Args:
        teachers: one, or one for each part that was left out.
        split: the images.
        views: which views of them to label instead.
        count: sees how many passes over the images are done.

    Raises:
        ArtefactError: a teacher cannot be opened, or is no classifier of these images.
        UsageError: an image is left to no teacher, or to several.
    """
    held = [_held(teacher, split) for teacher in teachers]
    times = np.sum(held, axis=0)
    if not np.all(times == 1):
        raise UsageError(
            f"of {len(times)} images {np.count_nonzero(times != 1)} are not labelled by exactly one teacher.",
            hint="Give one teacher trained without --fold, or one for each part: --fold 1/2 and --fold 2/2.",
        )
    models = [open_teacher_model(teacher.path, split) for teacher in teachers]
    passes = []
    for number in range(1 if views is None else views.number):
        labels = np.zeros((len(split.labels), split.num_classes), np.float16)
        for model, mine in zip(models, held, strict=True):
            labels[mine] = _labelled_by(model, split.images, mine, views, number)
        passes.append(labels)
        count(len(passes), 1 if views is None else views.number)
    log_probabilities = passes[0] if views is None else np.stack(passes)
    correct = int(np.count_nonzero(passes[0].argmax(axis=1) == split.labels))
    card = {
        "schema": SCHEMA,
        "split": split.name,
        "images": len(split.ids),
        "ids_sha256": split.ids_sha256(),
        "views": ["plain", "mirrored"] if views is None else to_document(views),
        "agree_with_labels": correct,
        "teachers": [
            {"file": teacher.path.name, "sha256": teacher.sha256, "recipe": teacher.recipe}
            for teacher in teachers
        ],
    }
    return log_probabilities, card


def _held(teacher: TeacherFile, split: Split) -> NDArray[np.bool_]:
    if teacher.fold is None:
        return np.ones(len(split.ids), bool)
    return teacher.fold.holds(split.ids)


def _labelled_by(
    model: Any,
    images: NDArray[np.uint8],
    mine: NDArray[np.bool_],
    views: LabelledViewsRecipe | None,
    number: int,
) -> NDArray[np.float32]:
    """What a teacher says of its images: of one view of each, or the mean of the plain and the mirrored one."""
    if views is not None:
        images = view(images, numbered_views(images.shape[:3], views.augmentation, number))
    images = images[mine]
    rows = []
    for start in range(0, len(images), BATCH_SIZE):
        pixels = images[start : start + BATCH_SIZE].astype(np.float32)
        seen = [pixels, pixels[:, :, ::-1]] if views is None else [pixels]
        rows.append(np.mean([np.log(teacher_scores(model, one)) for one in seen], axis=0))
    return np.concatenate(rows)
