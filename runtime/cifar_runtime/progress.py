"""How far something long is: what library functions take, and how they count. It prints nothing.

A command gives :class:`cifar_runtime.commands.progress.ProgressLine`, which draws a bar; a plain function such as
``print`` gets the sentences alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[str], None]
Counter = Callable[[int, int], object]

# A multiple of the sessions' batches, so that parts give the very bytes that the whole gives.
PART = 256


def silent(_done: int, _total: int) -> None:
    """A counter that nobody sees."""


def counter_of(progress: object) -> Counter:
    """What takes ``(done, total)`` of the present step of ``progress``: its ``update``, if it has one."""
    found: Counter = getattr(progress, "update", silent)
    return found


def scored_in_parts(
    score: Callable[[NDArray[Any]], NDArray[Any]],
    images: NDArray[Any],
    progress: Progress | None,
    *,
    size: int = PART,
) -> NDArray[Any]:
    """The scores of all images, shape (n, num_classes), counted as they come.

    Args:
        score: gives the scores of a part of the images.
        images: shape (n, height, width, 3).
        progress: sees how many are done.
        size: images a part; where the scorer works in batches, a multiple of these.
    """
    count, parts = counter_of(progress), []
    for start in range(0, max(1, len(images)), size):
        parts.append(score(images[start : start + size]))
        count(min(start + size, len(images)), len(images))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
