"""Sessions in a forked child: each opens an interpreter of its own at its next run.

The parent's may have been in the middle of a run, its lock shut, its threads left behind. It is kept
and never freed there, since freeing it would wait for threads that the child does not have.
"""

import weakref
from typing import Any, Protocol

from cifar_runtime.system.forks import in_forked_child


class Renewable(Protocol):
    """A session that knows what a forked child must replace."""

    def renew(self) -> None:
        """Replaces it; only one thread runs."""
        ...


OF_THE_PARENT = object()
RENEWED_IN_CHILDREN: weakref.WeakSet[Renewable] = weakref.WeakSet()
_kept: list[Any] = []


def kept_for_the_parent(interpreter: Any) -> Any:
    """What stands in a child for the parent's interpreter; a closed one, None, stays closed."""
    if interpreter is None:
        return None
    _kept.append(interpreter)
    return OF_THE_PARENT


def _renew_all() -> None:
    for session in list(RENEWED_IN_CHILDREN):
        session.renew()


in_forked_child(_renew_all)
