"""What must be renewed in a forked child: locks that a thread of the parent held stay shut there for ever."""

import os
from collections.abc import Callable


def in_forked_child(action: Callable[[], None]) -> None:
    """Runs ``action`` in every child that this process forks from now on; Windows forks none."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=action)
