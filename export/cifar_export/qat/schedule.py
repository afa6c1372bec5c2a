"""What both backends of QAT share: which images a step sees, how fast it moves, and how a state is judged.

No Keras, since the child process of ``tfmot`` uses it too.

Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import cos, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.models.batch_size import evaluation_batch_size

LOOKS = 6
# What the logits of both models are divided by in the loss.
TEMPERATURE = 1.0
_MAX_SHIFT = 2
_WARMUP_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationPoint:
    """How a state of the student decides under int8, on validation images.

    Attributes:
        step: how many steps led to it.
        agreement: share of images decided as the teacher does, 0..1.
        divergence: mean Kullback-Leibler divergence from the teacher's probabilities, in nats.
    """

    step: int
    agreement: float
    divergence: float


def logits_of(model: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """What ``model``, of Keras or of tf_keras, computes for ``images``, float32, shape (n, num_classes)."""
    batch_size = evaluation_batch_size(images.shape[1:], at_most=250)
    return np.asarray(model.predict(images, batch_size=batch_size, verbose=0))


def validation_point(
    step: int, wanted: NDArray[np.float32], found: NDArray[np.float32]
) -> ValidationPoint:
    """The student's logits ``found`` judged by the teacher's, float32, shape (n, num_classes) each."""
    ours, theirs = _log_softmax(wanted), _log_softmax(found)
    return ValidationPoint(
        step=step,
        agreement=float((found.argmax(axis=1) == wanted.argmax(axis=1)).mean()),
        divergence=float((np.exp(ours) * (ours - theirs)).sum(axis=1).mean()),
    )


def report(points: list[ValidationPoint], *, num_images: int) -> dict[str, Any]:
    """How training went, JSON-ready, for the card; the last look ends it, the least divergence is kept."""
    return {
        "teacher": "the float model's logits, no labels",
        "temperature": TEMPERATURE,
        "views": f"mirrored at random, shifted by up to {_MAX_SHIFT} pixels",
        "steps": points[-1].step,
        "kept_step": best(points).step,
        "validation_images": num_images,
        "looks": [asdict(point) for point in points],
    }


def best(points: list[ValidationPoint]) -> ValidationPoint:
    """The one of least divergence: agreement counts whole images, and is coarse."""
    return min(points, key=lambda point: point.divergence)


def sentence(point: ValidationPoint, *, num_steps: int, num_images: int, loss: float | None) -> str:
    """A look in words."""
    during = "" if loss is None else f"loss {loss:.5f}, "
    return (
        f"QAT: step {point.step} of {num_steps}: {during}agreement {point.agreement:.2%}, "
        f"divergence {point.divergence:.5f} on {num_images:,} validation images"
    )


def verdict(points: list[ValidationPoint]) -> str:
    """Which state is kept, in words."""
    kept = best(points)
    if kept.step == 0:
        return "QAT: no step came nearer to the float model than the start: that is kept, untrained"
    return f"QAT: kept the state of step {kept.step}, the nearest to the float model"


def is_validated(step: int, num_steps: int) -> bool:
    """Whether validation is looked at behind this step."""
    return step % max(1, num_steps // LOOKS) == 0 or step == num_steps


def rate_at(step: int, num_steps: int, peak: float) -> float:
    """The learning rate of a step, counted from 1: a linear warm-up, then a cosine to zero.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5.
    """
    warmup = max(1, round(_WARMUP_SHARE * num_steps))
    if step <= warmup:
        return peak * step / warmup
    return peak * 0.5 * (1 + cos(pi * (step - warmup) / max(1, num_steps - warmup)))


def views(
    images: NDArray[np.uint8], *, batch_size: int, num_batches: int, seed: int
) -> Iterator[NDArray[np.uint8]]:
    """Batches of the images in random order, each mirrored and shifted at random; all are seen before any again.

    The teacher has memorised its training images. Views it has not seen have more of the close decisions that
    rounding turns.
    """
    random = np.random.default_rng(seed)
    waiting = np.empty(0, dtype=np.int64)
    for _ in range(num_batches):
        while len(waiting) < batch_size:
            waiting = np.concatenate([waiting, random.permutation(len(images))])
        chosen, waiting = waiting[:batch_size], waiting[batch_size:]
        yield _moved(images[chosen], random)


def as_input(images: NDArray[np.uint8], *, multiplier: float, offset: float) -> NDArray[np.float32]:
    """The images as the model takes them, float32 of the same shape: ``pixel * multiplier + offset``."""
    return (images.astype(np.float64) * multiplier + offset).astype(np.float32)


def _moved(batch: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    _, height, width, _ = batch.shape
    mirrored = random.random(len(batch)) < 0.5
    turned = np.where(mirrored[:, None, None, None], batch[:, :, ::-1], batch)
    margin = ((0, 0), (_MAX_SHIFT, _MAX_SHIFT), (_MAX_SHIFT, _MAX_SHIFT), (0, 0))
    padded = np.pad(turned, margin, mode="reflect")
    corners = random.integers(0, 2 * _MAX_SHIFT + 1, (len(batch), 2))
    return np.stack(
        [
            image[top : top + height, left : left + width]
            for image, (top, left) in zip(padded, corners, strict=True)
        ]
    )


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(exact - np.log(np.exp(exact).sum(axis=1, keepdims=True)))
