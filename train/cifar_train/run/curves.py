"""Keeps ``curves.csv`` and ``curves.svg`` of a run folder up to date while it trains."""

import time
from collections.abc import Callable
from pathlib import Path

from cifar_runtime.system.files import write_atomically
from cifar_train.run.drawings import curves_svg
from cifar_train.run.state import RunState

# Drawing takes a fifth of a second, which epochs of a few seconds would notice.
SECONDS_BETWEEN_DRAWINGS = 10.0
_COLUMNS = (
    "number",
    "loss",
    "accuracy",
    "validation_loss",
    "validation_accuracy",
    "images_per_second",
    "seconds",
)


class Curves:
    """Writes both files: the table with every epoch, the picture unless one was drawn a moment ago."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Curves of a run.

        Args:
            folder: of the run.
            clock: seconds.
        """
        self._folder = folder
        self._clock = clock
        self._drawn: float | None = None

    def update(self, state: RunState) -> None:
        """Writes what is known after an epoch."""
        rows = [",".join(_COLUMNS)]
        rows += [
            ",".join(f"{getattr(epoch, column):.6g}" for column in _COLUMNS)
            for epoch in state.epochs
        ]
        write_atomically(self._folder / "curves.csv", ("\n".join(rows) + "\n").encode())
        now = self._clock()
        if self._drawn is None or now - self._drawn >= SECONDS_BETWEEN_DRAWINGS:
            self._drawn = now
            self.draw(state)

    def draw(self, state: RunState) -> None:
        """Draws the picture."""
        drawn = curves_svg(state.epochs, is_distilled=state.recipe.distillation is not None)
        write_atomically(self._folder / "curves.svg", drawn)
