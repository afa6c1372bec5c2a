"""Models take turns in rounds, every one gets all its runs, and rounds are added until medians are steady."""

from collections.abc import Sequence
from itertools import count, pairwise, repeat

import pytest

from cifar_bench.measure.rounds import MAX_ROUNDS, MAX_TURN_RUNS, RoundPlan, measure_rounds
from cifar_bench.measure.sampling import WarmUp


class FakeModel:
    """Writes down its blocks; its samples are ``base``, or more with its block's number."""

    def __init__(
        self,
        name: str,
        diary: list[tuple[str, range]],
        *,
        restless: int = 0,
        base: int = 1_000_000_000,
    ) -> None:
        self.name = name
        self.diary = diary
        self.restless = restless
        self.base = base
        self.threads: int | None = 1
        self.num_images = 3

    def warm_up(self, *, window: int) -> WarmUp:
        return WarmUp(runs=4 * window, settled=True)

    def block(self, *, runs: range, warmup: int) -> Sequence[int]:
        assert warmup == 2
        self.diary.append((self.name, runs))
        blocks = sum(name == self.name for name, _ in self.diary)
        return [self.base + self.restless * (blocks % 5)] * len(runs)


def plan(runs: int, *, max_seconds: float = 0) -> RoundPlan:
    return RoundPlan(warmup=2, runs=runs, max_seconds=max_seconds)


def test_rounds_rotate_the_order_so_that_no_model_always_comes_first() -> None:
    diary: list[tuple[str, range]] = []
    measure_rounds([FakeModel(name, diary) for name in "abc"], plan(30), clock=repeat(0).__next__)
    names = [name for name, _ in diary]
    assert "".join(names[:9]) == "abcbcacab"
    assert [names.count(name) for name in "abc"] == [10, 10, 10]


@pytest.mark.parametrize(("runs", "rounds"), [(1000, 10), (13, 10), (3, 3), (1, 1)])
def test_every_model_gets_all_its_runs_once_in_ascending_order(runs: int, rounds: int) -> None:
    diary: list[tuple[str, range]] = []
    latencies = measure_rounds(
        [FakeModel(name, diary) for name in "ab"], plan(runs), clock=repeat(0).__next__
    )
    for name, latency in zip("ab", latencies, strict=True):
        own = [numbers for one, numbers in diary if one == name]
        assert [run for numbers in own for run in numbers] == list(range(runs))
        assert all(before.stop == after.start for before, after in pairwise(own))
        assert (len(latency.samples_ns), len(latency.samples)) == (rounds, runs)
        assert (latency.warmup_runs, latency.warmed_up, latency.num_images) == (8, True, 3)


def test_no_round_is_added_when_all_medians_are_steady() -> None:
    diary: list[tuple[str, range]] = []
    (latency,) = measure_rounds(
        [FakeModel("a", diary)], plan(100, max_seconds=60), clock=repeat(0).__next__
    )
    assert latency.is_stable
    assert len(latency.samples_ns) == 10


def test_rounds_are_added_for_all_models_until_the_time_is_up() -> None:
    """The clock ticks a second a reading: it is read once for the end, then once before each round."""
    diary: list[tuple[str, range]] = []
    models = [FakeModel("calm", diary), FakeModel("restless", diary, restless=100_000_000)]
    ticks = count(0, 1_000_000_000)
    calm, restless = measure_rounds(models, plan(100, max_seconds=5), clock=lambda: next(ticks))
    assert (len(calm.samples_ns), len(restless.samples_ns)) == (14, 14)
    assert len(calm.samples) == 140
    assert not restless.is_stable


def test_rounds_end_at_a_limit_even_if_the_clock_stands_still() -> None:
    diary: list[tuple[str, range]] = []
    (latency,) = measure_rounds(
        [FakeModel("a", diary, restless=100_000_000)],
        plan(10, max_seconds=60),
        clock=repeat(0).__next__,
    )
    assert len(latency.samples_ns) == MAX_ROUNDS


class SteadilySlower(FakeModel):
    """A run takes 40 µs, in every second block 60 µs, and a nanosecond more than the run before it."""

    def block(self, *, runs: range, warmup: int) -> Sequence[int]:
        blocks = len(self.diary)
        super().block(runs=runs, warmup=warmup)
        return [40_000 + 20_000 * (blocks % 2) + place for place in range(len(runs))]


@pytest.mark.parametrize(("max_seconds", "turn_ns"), [(2, 50_000_000), (90, 1_000_000_000)])
def test_a_fast_models_added_turns_last_longer_and_keep_few_samples(
    max_seconds: float, turn_ns: int
) -> None:
    """50 ms, or the ninetieth part of the time; of all runs a hundred are kept, evenly spread."""
    diary: list[tuple[str, range]] = []
    ticks = count(0, 500_000_000)
    (latency,) = measure_rounds(
        [SteadilySlower("a", diary)], plan(1000, max_seconds=max_seconds), clock=lambda: next(ticks)
    )
    assert {len(taken) for taken in latency.samples_ns} == {100}
    numbers, kept = diary[10][1], latency.samples_ns[10]
    # The median of the first ten rounds is the slowest run of the faster five: 40,099 ns.
    assert (numbers.start, len(numbers)) == (1000, turn_ns // 40_099)
    assert [one - kept[0] for one in kept] == [len(numbers) * place // 100 for place in range(100)]


def test_a_clock_too_coarse_for_a_run_does_not_make_a_turn_endless() -> None:
    diary: list[tuple[str, range]] = []
    ticks = count(0, 1_000_000_000)
    model = FakeModel("a", diary, base=0, restless=1)
    measure_rounds([model], plan(1000, max_seconds=90), clock=lambda: next(ticks))
    assert max(len(numbers) for _, numbers in diary) == MAX_TURN_RUNS
