"""Learning from a teacher: where its probabilities come from, and the loss and accuracy that use them.

Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_runtime.documents import to_document
from cifar_runtime.errors import InputError, UsageError
from cifar_train.recipe import Augmentation, Distillation, TrainRecipe
from cifar_train.teacher.soft_labels import load_soft_labels, open_teacher_model, teacher_scores


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftLabels:
    """A teacher's answers that were stored: one for each training image, whatever its augmentation.

    Attributes:
        probabilities: float32, shape (n, num_classes), at the recipe's temperature.
    """

    probabilities: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledViews:
    """A teacher's answers to some numbered views of every training image, which epochs show in turns.

    Source: Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", 2022.

    Attributes:
        probabilities: float32, shape (views, n, num_classes), at the recipe's temperature.
        augmentation: how the views vary, which follow from their numbers.
    """

    probabilities: NDArray[np.float32]
    augmentation: Augmentation

    def number(self, epoch: int) -> int:
        """Of the view that an epoch shows, from 0."""
        return epoch % len(self.probabilities)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointTeacher:
    """A teacher that sees the student's own view of every image; on a CPU it may cost more than the student does.

    Attributes:
        model: a Keras classifier that returns probabilities.
        temperature: of the recipe.
    """

    model: Any
    temperature: float

    def judge(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities, float32, shape (n, num_classes), for pixels 0..255, float32, shape (n, height, width, 3)."""
        return softened(np.log(teacher_scores(self.model, pixels)), self.temperature)


Teacher = SoftLabels | LabelledViews | CheckpointTeacher


def open_teacher(path: Path, recipe: TrainRecipe, train: Split) -> Teacher:
    """The teacher at ``path``, a Keras checkpoint or soft labels for exactly the images of ``train``.

    Args:
        path: of the teacher.
        recipe: says at which temperature it teaches, and how the student's views vary.
        train: what is trained on.

    Raises:
        ArtefactError: the checkpoint cannot be opened or is no classifier of these images.
        InputError: the soft labels are damaged, or those of other images or views.
        UsageError: the file is neither.
    """
    temperature = (recipe.distillation or Distillation()).temperature
    if path.suffix == ".npy":
        logits, augmentation = load_soft_labels(path, train)
        probabilities = softened(logits, temperature)
        if augmentation is None:
            return SoftLabels(probabilities=probabilities)
        if augmentation != recipe.augmentation:
            raise InputError(
                f"{path}: labels views that vary by {to_document(augmentation)}, expected those of the recipe "
                f"{recipe.name}: {to_document(recipe.augmentation)}.",
                hint=f"Make them with cifar-soft-labels --views N --recipe {recipe.name}.",
            )
        return LabelledViews(probabilities=probabilities, augmentation=augmentation)
    if path.suffix == ".keras":
        return CheckpointTeacher(model=open_teacher_model(path, train), temperature=temperature)
    raise UsageError(
        f"{path}: is no teacher.",
        hint="Give a .keras checkpoint, or the .npy that cifar-soft-labels wrote.",
    )


def softened(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Softmax of ``logits / temperature`` over the classes, the last axis; float32, of the same shape."""
    scaled = logits.astype(np.float32) / np.float32(temperature)
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def distillation_loss(distillation: Distillation) -> Callable[[Any, Any], Any]:
    """The loss of logits, shape (n, classes), against targets of labels and teacher, shape (n, 2 * classes).

    It is weight * T^2 * KL(teacher, softmax(logits / T)) + (1 - weight) * cross-entropy(labels). The divergence has the
    cross-entropy's gradients without the teacher's entropy, a constant that would be most of what a curve shows.
    Targets of labels alone, as in validation, are judged by their cross-entropy.
    """
    import keras

    temperature, weight = distillation.temperature, distillation.weight

    def loss(targets: Any, logits: Any) -> Any:
        classes = logits.shape[-1]
        labels, teacher = targets[:, :classes], targets[:, classes:]
        hard = keras.losses.categorical_crossentropy(labels, logits, from_logits=True)
        if targets.shape[-1] == classes:
            return hard
        soft = keras.losses.categorical_crossentropy(
            teacher, logits / temperature, from_logits=True
        )
        entropy = keras.losses.categorical_crossentropy(teacher, teacher)
        return weight * temperature**2 * (soft - entropy) + (1 - weight) * hard

    return loss


def accuracy(targets: Any, logits: Any) -> Any:
    """Whether each decision is the label's, as Keras metric; a teacher's share of the targets is not looked at."""
    import keras

    return keras.metrics.categorical_accuracy(targets[:, : logits.shape[-1]], logits)
