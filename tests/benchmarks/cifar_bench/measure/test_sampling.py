"""Samples are clock differences around measured calls only, and warm-up ends when times stop falling."""

from itertools import accumulate, chain, repeat

import pytest

from cifar_bench.measure.sampling import WarmUp, sample_calls, warm_up


def test_samples_are_clock_differences_around_each_measured_call_only() -> None:
    """A clock that ticks 1, 2, 3, ... ns per run: five runs after two that are not measured."""
    ticks = accumulate(chain.from_iterable((0, n) for n in range(1, 6)))
    called: list[str] = []
    samples = sample_calls(
        called.append, ["x", "y", "z"], runs=range(4, 9), warmup=2, clock=lambda: next(ticks)
    )
    assert samples == [1, 2, 3, 4, 5]
    assert next(ticks, None) is None
    # Two warm-ups from the first input on, then the inputs by the number of the run.
    assert "".join(called) == "xy" + "yzxyz"


class Clock:
    """Stands still but for the calls, which take the given nanoseconds one after another."""

    def __init__(self, durations: list[int]) -> None:
        self.now = 0
        self._durations = chain(durations, repeat(durations[-1]))

    def __call__(self) -> int:
        return self.now

    def call(self, given: object) -> None:
        del given
        self.now += next(self._durations)


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        # Steady from the start: one window to compare with, three that are no faster.
        ([100], WarmUp(runs=8, settled=True)),
        # Falling through two windows of two.
        ([100, 100, 50, 50, 50], WarmUp(runs=10, settled=True)),
        # One per cent faster each window counts as steady.
        ([100, 100, 99, 99, 98, 98, 97], WarmUp(runs=8, settled=True)),
    ],
)
def test_warm_up_ends_when_three_windows_are_not_faster(
    durations: list[int], expected: WarmUp
) -> None:
    clock = Clock(durations)
    assert warm_up(clock.call, [None], window=2, clock=clock) == expected


def test_warm_up_that_never_settles_ends_after_two_seconds_and_says_so() -> None:
    clock = Clock([int(1e9 * 0.9**n) for n in range(100)])
    ended = warm_up(clock.call, [None], window=1, clock=clock)
    assert ended == WarmUp(runs=3, settled=False)
