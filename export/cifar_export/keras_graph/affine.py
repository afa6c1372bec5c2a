"""Per-channel affine maps in float64: what a folded BatchNorm still owes to the tensors behind it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Order = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """The true tensor as a function of the one that is really computed: ``scale * computed[..., order] + shift``.

    Attributes:
        scale: float64, shape (channels,).
        shift: float64, shape (channels,).
        order: int64, shape (channels,), the computed channel that each true channel is read from.
    """

    scale: Vector
    shift: Vector
    order: Order

    def then(self, scale: Vector, shift: Vector) -> "Affine":
        """This map followed by ``scale * x + shift``."""
        return Affine(scale=self.scale * scale, shift=self.shift * scale + shift, order=self.order)

    def tiled(self, positions: int) -> "Affine":
        """The map of the same tensor flattened over ``positions`` places, channels last."""
        channels = len(self.scale)
        starts = np.repeat(np.arange(positions, dtype=np.int64) * channels, channels)
        return Affine(
            scale=np.tile(self.scale, positions),
            shift=np.tile(self.shift, positions),
            order=starts + np.tile(self.order, positions),
        )

    @property
    def is_reordered(self) -> bool:
        """Whether channels changed places."""
        return not np.array_equal(self.order, np.arange(len(self.order)))

    @property
    def is_shifted(self) -> bool:
        """Whether a zero would become something else."""
        return bool(np.any(self.shift != 0))

    @property
    def has_negative_scale(self) -> bool:
        """Whether a maximum would become a minimum."""
        return bool(np.any(self.scale < 0))


def affine_of(scale: Vector, shift: Vector) -> Affine:
    """The map ``scale * x + shift`` with every channel in its place."""
    return Affine(scale=scale, shift=shift, order=np.arange(len(scale), dtype=np.int64))
