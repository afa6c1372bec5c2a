"""What a campaign is: numbered cases that each end in a word, run in child processes so that nothing ends the count.

Case ``i`` of a campaign is made of the seed and ``i`` alone, so that it can be made again; those that fail are saved.
"""

import json
import os
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

HANG_SECONDS = 180.0  # longer than any limit that the product promises


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long a campaign goes on.

    Attributes:
        cases: at most so many.
        seconds: at most so long.
        seed: of everything random.
        folder: for its files, and reproducers.
    """

    cases: int
    seconds: float
    seed: int
    folder: Path


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of a campaign, or of another tool on the same inputs.

    Attributes:
        outcomes: how many cases ended in each word.
        allowed: the words that are no failures.
        seconds: it took.
        measured: further figures by name, such as memory.
        reproducers: files of the cases that failed.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    allowed: frozenset[str] = frozenset()
    seconds: float = 0.0
    measured: dict[str, Any] = field(default_factory=dict)
    reproducers: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many ran."""
        return sum(self.outcomes.values())

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return sum(count for word, count in self.outcomes.items() if word not in self.allowed)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON-ready data, with the rate's upper bound."""
        return {
            "cases": self.cases,
            "failures": self.failures,
            "upper_bound_95": upper_bound(self.cases, self.failures),
            "outcomes": dict(sorted(self.outcomes.items())),
            "seconds": round(self.seconds, 1),
            "measured": self.measured,
            "reproducers": self.reproducers,
        }


def upper_bound(cases: int, failures: int) -> float | None:
    """What the failure rate is below with 95 % confidence, 3 / n; None where some failed, or n says nothing."""
    return None if failures or cases <= 3 else 3 / cases


Beside = Mapping[str, Callable[[Budget], Result]]
NOTHING_BESIDE: Beside = MappingProxyType({})


class Campaign(Protocol):
    """One kind of attack.

    Attributes:
        name: one word.
        title: what is done, for the table.
        cases: how many in the quick and in the nightly form.
        chunk: so many at once of the nightly form, a minute or two.
        beside: what gives the same inputs to another tool, alone, by the tool's name.
    """

    name: str
    title: str
    cases: Mapping[str, int]
    chunk: int
    beside: Beside

    def run(self, budget: Budget) -> Result:
        """Runs it."""


def generator(seed: int, case: int) -> np.random.Generator:
    """The randomness of one case."""
    return np.random.default_rng([seed, case])


def run_cases(
    budget: Budget,
    *,
    make: Callable[[np.random.Generator], Any],
    attempt: Callable[[Any], str],
    allowed: frozenset[str],
    save: Callable[[Any, Path], None] | None = None,
    hang_seconds: float = HANG_SECONDS,
) -> Result:
    """Makes and attempts each case in a child process; one that dies or hangs is a case that failed.

    Args:
        budget: how many cases.
        make: a case, from its randomness.
        attempt: the word that it ends in.
        allowed: the words that are no failures; ``crash SIGNAL`` and ``hang`` never are among them.
        save: writes a failed case to a file without suffix; bytes are written as they are.
        hang_seconds: a case that takes longer hangs.
    """
    result, began, case = Result(allowed=allowed), time.monotonic(), 0
    while case < budget.cases and time.monotonic() - began < budget.seconds:
        done, ending = _batch(
            budget, case, began, lambda rng: attempt(make(rng)), hang_seconds=hang_seconds
        )
        for word in done:
            if word not in allowed:
                _keep(budget, case, make, save, result)
            result.outcomes[word] += 1
            case += 1
        if ending is not None:
            _keep(budget, case, make, save, result)
            result.outcomes[ending] += 1
            case += 1
    result.seconds = time.monotonic() - began
    return result


def _batch(
    budget: Budget,
    first: int,
    began: float,
    attempt: Callable[[np.random.Generator], str],
    *,
    hang_seconds: float,
) -> tuple[list[str], str | None]:
    """The words of the cases from ``first`` on that a child finished, and how the next one ended it."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        _run_child(budget, first, began, sending, attempt)
    os.close(sending)
    text, hung = b"", False
    while not hung:
        ready, _, _ = select.select([receiving], [], [], hang_seconds)
        if not ready:
            os.kill(child, signal.SIGKILL)
            hung = True
        elif not (part := os.read(receiving, 65536)):
            break
        else:
            text += part
    os.close(receiving)
    _, status = os.waitpid(child, 0)
    words = text.decode().splitlines()
    if hung:
        return words, "hang"
    if os.WIFSIGNALED(status):
        return words, f"crash {signal.Signals(os.WTERMSIG(status)).name}"
    return words, None if os.WEXITSTATUS(status) == 0 else f"exit {os.WEXITSTATUS(status)}"


def _run_child(
    budget: Budget,
    first: int,
    began: float,
    sending: int,
    attempt: Callable[[np.random.Generator], str],
) -> None:
    code = 1
    try:
        for case in range(first, budget.cases):
            if time.monotonic() - began > budget.seconds:
                break
            word = attempt(generator(budget.seed, case))
            os.write(sending, f"{word}\n".encode())
        code = 0
    finally:
        os._exit(code)


def _keep(
    budget: Budget,
    case: int,
    make: Callable[[np.random.Generator], Any],
    save: Callable[[Any, Path], None] | None,
    result: Result,
) -> None:
    """Saves a case, ten of a campaign at most."""
    if len(result.reproducers) >= 10:
        return
    budget.folder.mkdir(parents=True, exist_ok=True)
    path = budget.folder / f"seed-{budget.seed}-case-{case}"
    made = make(generator(budget.seed, case))
    if save is not None:
        save(made, path)
    elif isinstance(made, bytes):
        path.write_bytes(made)
    else:
        path.write_text(json.dumps(made, default=str))
    result.reproducers.append(path.name)


def word_of(error: BaseException) -> str:
    """The word of a case that ended in an exception which nothing promises."""
    return f"unexpected {type(error).__name__}"
