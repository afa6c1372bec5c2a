"""Augmentation of uint8 images, so that every Keras backend sees the same pixels; random numbers come in.

NumPy draws what is random. Applying it is written with operators and indexing alone, so it takes JAX arrays too.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cifar_train.recipe import Augmentation

# What cut-out squares are filled with: zero for networks that centre pixels at 128.
_GREY = 128
# No run has this seed: its own views are others.
_NUMBERED = 2**32


class Views(NamedTuple):
    """How each image of a batch varies; a tuple, which JAX takes as it is.

    Attributes:
        rows: int32, shape (n, height): where each row of the view comes from.
        columns: int32, shape (n, width): where each column comes from.
        hidden_rows: bool, shape (n, height): which rows of the view the grey square spans; None without squares.
        hidden_columns: bool, shape (n, width): which columns; None without squares.
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    hidden_rows: NDArray[np.bool_] | None = None
    hidden_columns: NDArray[np.bool_] | None = None

    def of(self, chosen: NDArray[np.int64]) -> "Views":
        """Those of some images, by their positions."""
        hidden_rows, hidden_columns = self.hidden_rows, self.hidden_columns
        return Views(
            rows=self.rows[chosen],
            columns=self.columns[chosen],
            hidden_rows=None if hidden_rows is None else hidden_rows[chosen],
            hidden_columns=None if hidden_columns is None else hidden_columns[chosen],
        )


class Mix(NamedTuple):
    """How a batch is blended with itself.

    Attributes:
        share: what each image keeps of itself, 0..1.
        others: int32, shape (n,): whom the rest comes from.
    """

    share: np.float32
    others: NDArray[np.int32]


def draw_views(
    shape: tuple[int, int, int],
    augmentation: Augmentation,
    generator: np.random.Generator,
    *,
    mirrored: NDArray[np.bool_] | None = None,
) -> Views:
    """Random views of a batch; each image on its own.

    Args:
        shape: number of images, height, width.
        augmentation: how they vary; mixing pairs is not done here.
        generator: where the random numbers come from.
        mirrored: bool, shape (n,), which images to mirror where flips alternate.
    """
    count, height, width = shape
    reach = augmentation.translate
    rows = np.arange(height) + generator.integers(-reach, reach, size=(count, 1), endpoint=True)
    columns = np.arange(width) + generator.integers(-reach, reach, size=(count, 1), endpoint=True)
    if augmentation.zoom:
        seen = 1 - augmentation.zoom * generator.random(size=(count, 1))
        rows, columns = _zoomed(rows, height, seen), _zoomed(columns, width, seen)
    if augmentation.flip == "random":
        mirrored = np.less(generator.random(size=count), 0.5)
    if augmentation.flip != "none" and mirrored is not None:
        columns = np.where(mirrored[:, None], width - 1 - columns, columns)
    views = Views(rows=_reflect(rows, height), columns=_reflect(columns, width))
    if not augmentation.cutout:
        return views
    return views._replace(
        hidden_rows=_draw_spans(count, height, augmentation.cutout, generator),
        hidden_columns=_draw_spans(count, width, augmentation.cutout, generator),
    )


def numbered_views(shape: tuple[int, int, int], augmentation: Augmentation, number: int) -> Views:
    """Views of all images that follow from their number alone, so that a teacher can see them before a student does.

    Args:
        shape: number of images, height, width.
        augmentation: how they vary; where flips alternate, one number mirrors what the next does not.
        number: from 0.
    """
    return draw_views(
        shape,
        augmentation,
        np.random.default_rng([_NUMBERED, number]),
        mirrored=alternating_flips(shape[0], number, seed=_NUMBERED),
    )


def view(images: NDArray[np.uint8], views: Views) -> NDArray[np.uint8]:
    """Varied copies of ``images``, uint8, shape (n, height, width, channels)."""
    picked = np.arange(len(images))[:, None, None]
    varied: NDArray[np.uint8] = images[picked, views.rows[:, :, None], views.columns[:, None, :]]
    if views.hidden_rows is None or views.hidden_columns is None:
        return varied
    square = views.hidden_rows[:, :, None] & views.hidden_columns[:, None, :]
    hidden = square[..., None].astype(np.uint8)
    return varied * (1 - hidden) + hidden * _GREY


def alternating_flips(count: int, epoch: int, *, seed: int) -> NDArray[np.bool_]:
    """Which of ``count`` images are mirrored in ``epoch``, bool: a random half, then the others, and so on.

    Source: K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, section 3.6.
    """
    # Epochs count from 1, so no epoch's own generator starts like this one.
    first = np.random.default_rng([seed, 0]).random(size=count) < 0.5
    mirrored: NDArray[np.bool_] = first ^ bool(epoch % 2)
    return mirrored


def draw_mix(count: int, mixup: float, generator: np.random.Generator) -> Mix:
    """One Beta(mixup, mixup) share for a batch of ``count``, and a partner for each.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018.
    """
    share = np.float32(generator.beta(mixup, mixup))
    return Mix(share=share, others=generator.permutation(count).astype(np.int32))


def blend(values: NDArray[np.float32], mix: Mix) -> NDArray[np.float32]:
    """Pixels or targets of a batch, float32, blended with those of their partners."""
    return mix.share * values + (1 - mix.share) * values[mix.others]


def _zoomed(
    positions: NDArray[np.int64], size: int, seen: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Positions drawn together around the middle until they span ``seen``, shape (count, 1), of their side."""
    middle = (size - 1) / 2
    nearest: NDArray[np.int64] = np.rint(middle + (positions - middle) * seen).astype(np.int64)
    return nearest


def _draw_spans(
    count: int, size: int, side: int, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Which of ``size`` positions lie within ``side`` of each other around a random centre, bool, shape (count, size).

    The centre may be anywhere, so borders crop some spans.
    """
    first = generator.integers(0, size, size=(count, 1)) - side // 2
    offsets = np.arange(size) - first
    spans: NDArray[np.bool_] = (offsets >= 0) & (offsets < side)
    return spans


def _reflect(positions: NDArray[np.int64], size: int) -> NDArray[np.int32]:
    """Positions outside 0..size-1 mirrored at the border pixel, which is not repeated (NumPy's ``reflect``)."""
    reflected: NDArray[np.int64] = size - 1 - np.abs(size - 1 - np.abs(positions))
    return reflected.astype(np.int32)
