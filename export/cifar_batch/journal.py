"""What a worker process was at, for the one that takes its place: what kills a process does so twice, not for ever.

Ray restarts a process that died and hands it the same part again, on the same machine where it can.
"""

import json
import os
from collections import Counter
from pathlib import Path

MOST_DEATHS = 2


class Journal:
    """A small file of the paths that processes of one worker died of, and of the one that is looked at now."""

    def __init__(self, file: Path) -> None:
        """Reads what an earlier process of the same worker left: every path in it is one that it died of.

        Args:
            file: of this worker alone.
        """
        self._file = file
        lines = file.read_bytes().splitlines() if file.exists() else []
        self._before = b"".join(line + b"\n" for line in lines)
        self._deaths = Counter(json.loads(line) for line in lines)

    def is_deadly(self, path: str) -> bool:
        """Whether enough processes have died of it."""
        return self._deaths[path] >= MOST_DEATHS

    def note(self, path: str) -> None:
        """Says that this picture is looked at from now on, for whoever comes after a death."""
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, self._before + json.dumps(path).encode() + b"\n")
        finally:
            os.close(descriptor)

    def forget(self) -> None:
        """A part is done: nothing is looked at."""
        if self._before:
            self._file.write_bytes(self._before)
        else:
            self._file.unlink(missing_ok=True)
