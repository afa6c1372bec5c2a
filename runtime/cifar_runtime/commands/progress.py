"""The one progress line of all commands, on stderr: on a terminal a bar with the time left, elsewhere a line a step."""

import os
import sys
import time
from typing import TextIO

from cifar_runtime.plain_text import printable_lines

BAR_WIDTH = 24
SECONDS_BETWEEN_UPDATES = 0.2
# A step that is over sooner needs no bar; the first second says little of the time left.
SECONDS_BEFORE_BAR = 1.0


class ProgressLine:
    """Says what begins, and shows how far it is; it writes at most a few times a second.

    Called with a sentence it writes a line and begins a step; see :mod:`cifar_runtime.progress`.
    """

    def __init__(
        self,
        title: str,
        *,
        quiet: bool,
        program: str | None = None,
        stream: TextIO | None = None,
    ) -> None:
        """A line that has not written anything.

        Args:
            title: what stands before the bar.
            quiet: write nothing at all.
            program: what sentences begin with; None for nothing.
            stream: where to write; None for stderr.
        """
        self._stream = stream or sys.stderr
        self._moving = self._stream.isatty()
        self._quiet = quiet
        self._prefix = "" if program is None else f"{program}: "
        self._open = False
        # Converters hold descriptor 2 back while they work: the bar goes past that, to the terminal itself.
        self._terminal = os.dup(2) if self._moving and stream is None else None
        self.begin(title)

    def __call__(self, sentence: str) -> None:
        """Writes the sentence, whose step begins."""
        self.say(sentence)
        self.begin("")

    def begin(self, title: str) -> None:
        """Begins a step: the time left is counted from now."""
        self._title = title
        self._start = self._last = time.monotonic()
        self._done = self._total = 0

    def update(self, done: int, total: int) -> None:
        """Shows that ``done`` of ``total`` are done; nothing where it is no terminal."""
        now = time.monotonic()
        if done < self._done or self._total not in (0, total):  # another pass over the same
            self._start = now
        self._done, self._total = done, total
        if done >= total:
            self.clear()
            return
        if self._quiet or not self._moving or now - self._start < SECONDS_BEFORE_BAR:
            return
        if now - self._last < SECONDS_BETWEEN_UPDATES or done <= 0:
            return
        self._last = now
        left = (now - self._start) * (total - done) / done
        filled = BAR_WIDTH * done // total
        bar = "#" * filled + "-" * (BAR_WIDTH - filled)
        parts = (self._title, f"[{bar}]", f"{done / total:4.0%}", f"{duration(left)} left")
        self._put(f"\r\x1b[K{' '.join(filter(None, parts))}")
        self._open = True

    def say(self, line: str) -> None:
        """Writes a whole line, in place of the moving one."""
        self.clear()
        if not self._quiet:
            self._stream.write(printable_lines([f"{self._prefix}{line}"]))
            self._stream.flush()

    def clear(self) -> None:
        """Takes the moving line away."""
        if self._open:
            self._put("\r\x1b[K")
            self._open = False

    def _put(self, text: str) -> None:
        if self._terminal is None:
            self._stream.write(text)
            self._stream.flush()
        else:
            os.write(self._terminal, text.encode(errors="backslashreplace"))


def progress_line(program: str, *, quiet: bool) -> ProgressLine | None:
    """What a library function takes as its progress from ``program``; None where nothing is to be seen."""
    return None if quiet else ProgressLine("", quiet=False, program=program)


def duration(seconds: float) -> str:
    """Seconds in words, rounded up: ``8 s``, ``3 min``, ``2 h 5 min``."""
    whole = int(seconds) + 1
    if whole < 100:
        return f"{whole} s"
    minutes = -(-whole // 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
