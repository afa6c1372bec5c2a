"""Takes samples with a clock that is passed in: warming up until times stop falling, and timing calls.

It knows neither models nor processes; :mod:`cifar_bench.measure.worker` runs it beside the model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cifar_bench.results.conditions import Clock
from cifar_eval.intervals import percentile

_FALLING_SHARE = 0.02
_QUIET_WINDOWS = 3
_MAX_WARMUP_NS = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """How long it took until times stopped falling.

    Attributes:
        runs: unmeasured runs.
        settled: whether they stopped falling before the time was up.
    """

    runs: int
    settled: bool


def sample_calls(
    call: Callable[[Any], Any], inputs: Sequence[Any], *, runs: range, warmup: int, clock: Clock
) -> list[int]:
    """Nanoseconds of every run of ``call`` on the inputs in turns.

    Args:
        call: what is timed.
        inputs: cycled over by the number of the run.
        runs: the numbers of the measured runs.
        warmup: unmeasured runs before them.
        clock: read immediately before and after each run.
    """
    for run in range(warmup):
        call(inputs[run % len(inputs)])
    samples = []
    for run in runs:
        given = inputs[run % len(inputs)]
        start = clock()
        call(given)
        samples.append(clock() - start)
    return samples


def warm_up(
    call: Callable[[Any], Any], inputs: Sequence[Any], *, window: int, clock: Clock
) -> WarmUp:
    """Runs ``call`` until three windows in a row are not faster than all before by more than 2 %.

    Args:
        call: what will be timed.
        inputs: cycled over.
        window: runs in a window, whose median counts.
        clock: two seconds by this clock are the most that it takes, a last window aside.
    """
    start, runs, quiet = clock(), 0, 0
    fastest: int | None = None
    while quiet < _QUIET_WINDOWS:
        if runs and clock() - start > _MAX_WARMUP_NS:
            return WarmUp(runs=runs, settled=False)
        numbers = range(runs, runs + window)
        median = percentile(sample_calls(call, inputs, runs=numbers, warmup=0, clock=clock), 50)
        runs += window
        falls = fastest is None or median < fastest * (1 - _FALLING_SHARE)
        quiet = 0 if falls else quiet + 1
        fastest = median if fastest is None else min(fastest, median)
    return WarmUp(runs=runs, settled=True)
