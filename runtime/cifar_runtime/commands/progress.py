"""A progress line on stderr: a moving bar on a terminal, else a line now and then."""

import sys
import time
from typing import TextIO

from cifar_runtime.plain_text import printable_lines

BAR_WIDTH = 24
SECONDS_BETWEEN_UPDATES = 0.2
SECONDS_BETWEEN_LINES = 30.0


class ProgressLine:
    """Shows how far something is; it writes at most a few times a second."""

    def __init__(self, title: str, *, quiet: bool, stream: TextIO | None = None) -> None:
        self._title = title
        self._stream = stream or sys.stderr
        self._moving = self._stream.isatty()
        self._quiet = quiet
        self._last = time.monotonic()
        self._open = False

    def update(self, done: int, total: int, note: str = "") -> None:
        """Says that ``done`` of ``total`` are done."""
        now = time.monotonic()
        pause = SECONDS_BETWEEN_UPDATES if self._moving else SECONDS_BETWEEN_LINES
        if self._quiet or now - self._last < pause:
            return
        self._last = now
        fraction = min(done / total, 1.0) if total else 0.0
        if self._moving:
            filled = round(fraction * BAR_WIDTH)
            bar = "#" * filled + "-" * (BAR_WIDTH - filled)
            self._stream.write(f"\r\x1b[K{self._title} [{bar}] {fraction:4.0%} {note}")
            self._open = True
        else:
            self._stream.write(f"{self._title} {fraction:4.0%} {note}\n".replace(" \n", "\n"))
        self._stream.flush()

    def say(self, line: str) -> None:
        """Writes a whole line, in place of the moving one."""
        self.clear()
        if not self._quiet:
            self._stream.write(printable_lines([line]))
            self._stream.flush()

    def clear(self) -> None:
        """Takes the moving line away."""
        if self._open:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._open = False
