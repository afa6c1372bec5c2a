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
from cifar_runtime.errors import UsageError
from cifar_train.recipe import Distillation
from cifar_train.teacher.soft_labels import load_soft_labels, open_teacher_model, teacher_scores


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftLabels:
    """A teacher's answers that were stored: one for each training image, whatever its augmentation.

    Attributes:
        probabilities: float32, shape (n, num_classes), at the recipe's temperature.
    """

    probabilities: NDArray[np.float32]


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


Teacher = SoftLabels | CheckpointTeacher


def open_teacher(path: Path, distillation: Distillation, train: Split) -> Teacher:
    """The teacher at ``path``, a Keras checkpoint or soft labels for exactly the images of ``train``.

    Raises:
        ArtefactError: the checkpoint cannot be opened or is no classifier of these images.
        InputError: the soft labels are damaged, or those of other images.
        UsageError: the file is neither.
    """
    if path.suffix == ".npy":
        logits = load_soft_labels(path, train)
        return SoftLabels(probabilities=softened(logits, distillation.temperature))
    if path.suffix == ".keras":
        return CheckpointTeacher(
            model=open_teacher_model(path, train), temperature=distillation.temperature
        )
    raise UsageError(
        f"{path}: is no teacher.",
        hint="Give a .keras checkpoint, or the .npy that cifar-soft-labels wrote.",
    )


def softened(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Softmax of ``logits / temperature``, float32, shape (n, classes)."""
    scaled = logits.astype(np.float32) / np.float32(temperature)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
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
