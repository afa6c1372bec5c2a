"""The clock, the processors and the command that a benchmark ran with, and whether two machines are one."""

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from cifar_runtime.environment import Environment

Clock = Callable[[], int]
"""Returns nanoseconds from any fixed start; ``time.perf_counter_ns`` outside of tests."""

_CLOCK_READINGS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How a report's times were taken.

    Attributes:
        timer_resolution_ns: the smallest step that the clock was seen to make, nanoseconds.
        timer_overhead_ns: what reading the clock twice takes, nanoseconds; it is part of every
            sample.
        pinned_cpus: the processors that processes timed with the first thread count were held on;
            None where they were held on none: the system knows no affinity, or there is no
            processor to spare.
    """

    timer_resolution_ns: int
    timer_overhead_ns: int
    pinned_cpus: tuple[int, ...] | None


def read_conditions(
    *, pinned_cpus: tuple[int, ...] | None, clock: Clock = time.perf_counter_ns
) -> Conditions:
    """The conditions of this process, now; the clock is read a few thousand times."""
    readings = [clock() for _ in range(_CLOCK_READINGS)]
    steps = sorted(
        after - before for before, after in itertools.pairwise(readings) if after > before
    )
    return Conditions(
        timer_resolution_ns=steps[0] if steps else 0,
        timer_overhead_ns=steps[len(steps) // 2] if steps else 0,
        pinned_cpus=pinned_cpus,
    )


def pinning(threads: int) -> tuple[int, ...] | None:
    """The processors to hold a measured process on: the last ``threads`` that this one may use.

    The first processor often serves interrupts. None where the system knows no affinity, or has no
    more processors than threads: then there is nothing to choose.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return tuple(usable[-threads:]) if threads < len(usable) else None


def machine_differences(old: Environment, new: Environment) -> tuple[str, ...]:
    """What tells two machines apart, as ``cores 2 and 8``; empty when times can be compared.

    Versions and load do not count: they are what a comparison may be about.
    """
    facts = {
        "processor": (old.cpu_model, new.cpu_model),
        "architecture": (old.machine, new.machine),
        "instruction sets": (", ".join(old.isa_flags), ", ".join(new.isa_flags)),
        "cores": (old.cores, new.cores),
        "operating system": (old.os.split()[:1], new.os.split()[:1]),
    }
    return tuple(
        f"{name} {_word(before)} and {_word(after)}"
        for name, (before, after) in facts.items()
        if before != after
    )


def _word(fact: object) -> str:
    return " ".join(map(str, fact)) if isinstance(fact, list) else str(fact) or "none"
