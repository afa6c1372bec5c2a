"""Judges models against older selves: is one slower, or does it decide worse, than limits allow? Pure.

The older self stands in an older report, or was measured in the same run, in the same rounds.

A gate fails when the measured change is beyond its limit **and** a one-sided test at 2.5 % (one side of the
95 % interval that is shown) finds a change for the worse at all: noise within a run then fails at most one
gate in forty.

- Latency: ratio of the medians that the tables show. Runs of one round share their disturbances, so the test
  takes a round for one observation: Mann-Whitney test of the rounds' medians, exact up to 50 of them. In one
  run both models had their turn in every round, so rounds are pairs: Wilcoxon's signed-rank test.
- Accuracy, on the same images: paired, image by image; one-sided exact McNemar test, Tango's interval. On
  other images: two-proportion test, Newcombe's interval.

Rounds of one run say nothing about what differs between two runs (memory layout, a warmer machine): that
is what the limit has to allow for. Of two models in the same run only memory layout remains.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from cifar_bench.regression.limits import RegressionLimits
from cifar_bench.regression.nonparametric import (
    larger_p,
    paired_larger_p,
    paired_ratio_interval,
    ratio_interval,
    smallest_p,
    smallest_paired_p,
)
from cifar_bench.regression.pairs import pairs_beside, shared_models
from cifar_bench.results.conditions import machine_differences
from cifar_bench.results.latency import Latency
from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_eval.formatting import microseconds, percent
from cifar_eval.intervals import paired_difference_interval, wilson_interval
from cifar_runtime.documents import to_document
from cifar_runtime.environment import Environment
from cifar_runtime.errors import InputError

SIGNIFICANCE = 0.025
"""One side of a 95 % interval: a gate hardly fails whose interval holds no change, or a gain."""

RegressionName = Literal["latency", "accuracy"]
Method = Literal["mann-whitney", "signed-rank", "mcnemar", "two-proportion"]

METHODS: dict[Method, str] = {
    "mann-whitney": "Mann-Whitney test of the rounds' medians",
    "signed-rank": "Wilcoxon signed-rank test, paired by round",
    "mcnemar": "exact McNemar test, paired by image",
    "two-proportion": "two-proportion test, not paired: other images",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionGate:
    """One limit, applied to one model.

    Attributes:
        model: its name in the new report.
        name: what was limited.
        old: median latency in nanoseconds, or accuracy, 0..1.
        new: the same of the new report.
        change: slowdown as a share of the old latency, or fall of the accuracy; above 0 is worse.
        interval: 95 % interval of the change.
        p_value: one-sided, of "it is not worse".
        method: how ``p_value`` was found.
        limit: the largest change that passes.
    """

    model: str
    name: RegressionName
    old: float
    new: float
    change: float
    interval: tuple[float, float]
    p_value: float
    method: Method
    limit: float

    @property
    def is_beyond_limit(self) -> bool:
        """Whether the change as measured is larger than the limit."""
        return self.change > self.limit

    @property
    def is_significant(self) -> bool:
        """Whether chance alone would hardly make it so much worse."""
        return self.p_value <= SIGNIFICANCE

    @property
    def passed(self) -> bool:
        """False when the change is beyond the limit and beyond chance."""
        return not (self.is_beyond_limit and self.is_significant)

    @property
    def sentence(self) -> str:
        """The verdict in words, on one line."""
        return f"{self.model}: {self._change_in_words}: {self._verdict}"

    def to_json(self) -> dict[str, Any]:
        """The gate as JSON-ready data."""
        return to_document(self, "passed")

    @property
    def _change_in_words(self) -> str:
        if self.name == "latency":
            low, high = (100 * end for end in self.interval)
            before, after = microseconds(round(self.old)), microseconds(round(self.new))
            what = f"median latency {before} µs, now {after} µs"
            return f"{what} ({100 * self.change:+.1f} %, 95 % interval {low:+.1f} to {high:+.1f} %)"
        what = f"accuracy {percent(self.old)} %, now {percent(self.new)} %"
        ends = " to ".join(map(percent, self.interval))
        return f"{what} (drop {percent(self.change)} pp, 95 % interval {ends} pp)"

    @property
    def _verdict(self) -> str:
        unit = "%" if self.name == "latency" else "pp"
        limit = f"limit {100 * self.limit:g} {unit}"
        tested = f"p {self.p_value:.2g}, {METHODS[self.method]}"
        if not self.is_beyond_limit:
            return f"passed, {limit}"
        if self.is_significant:
            return f"failed, {limit} ({tested})"
        return f"passed, beyond the {limit} but not beyond chance ({tested}): measure longer"


def judge_regression(
    old: Report, new: Report, limits: RegressionLimits
) -> tuple[RegressionGate, ...]:
    """One latency gate and one accuracy gate for every model that both reports measured.

    Args:
        old: the baseline.
        new: what is judged.
        limits: how much worse it may be.

    Raises:
        InputError: the reports come from different machines, share no model, measured a model
            differently, or hold too few rounds for any test.

    Example:
        >>> from cifar_bench import RegressionLimits, judge_regression, read_report
        >>> report = read_report("report.json")
        >>> gates = judge_regression(report, report, RegressionLimits(max_slowdown=0.05))
        >>> all(gate.passed for gate in gates)
        True
    """
    check_same_machine(old.environment, new.environment)
    gates: list[RegressionGate] = []
    for earlier, later in shared_models(old, new):
        gates.append(_latency_gate(earlier, later, limits.max_slowdown))
        gates.append(_accuracy_gate(earlier, later, limits.max_accuracy_drop))
    return tuple(gates)


def judge_beside(
    baseline_sha256: str, report: Report, limits: RegressionLimits
) -> tuple[RegressionGate, ...]:
    """One latency gate and one accuracy gate for every model that ran beside an older one, paired by round.

    Args:
        baseline_sha256: of the older model's file; it was measured before the models to judge.
        report: what was measured, both in the same rounds.
        limits: how much worse a model may be.

    Raises:
        InputError: no model ran in the baseline's runtime, or there are too few rounds for any test.
    """
    gates: list[RegressionGate] = []
    for earlier, later in pairs_beside(baseline_sha256, report):
        gates.append(_paired_latency_gate(earlier, later, limits.max_slowdown))
        gates.append(_accuracy_gate(earlier, later, limits.max_accuracy_drop))
    return tuple(gates)


def check_same_machine(old: Environment, new: Environment) -> None:
    """Refuses machines whose times cannot be compared.

    Raises:
        InputError: they differ in processor, cores or operating system.
    """
    differences = machine_differences(old, new)
    if differences:
        raise InputError(
            f"the baseline was measured on another machine ({'; '.join(differences)}), "
            "so its times cannot be compared.",
            hint="Measure the baseline on this machine.",
        )


def _latency_gate(old: ModelReport, new: ModelReport, limit: float) -> RegressionGate:
    _check_comparable(old, new)
    _check_rounds(old, new, smallest_p, least="four")
    before, after = _above_zero(old.latency), _above_zero(new.latency)
    was, is_ = max(1, old.latency.median_ns), max(1, new.latency.median_ns)
    low, high = ratio_interval(before, after)
    return RegressionGate(
        model=new.name,
        name="latency",
        old=was,
        new=is_,
        change=is_ / was - 1,
        interval=(low - 1, high - 1),
        p_value=larger_p(before, after),
        method="mann-whitney",
        limit=limit,
    )


def _paired_latency_gate(old: ModelReport, new: ModelReport, limit: float) -> RegressionGate:
    _check_rounds(old, new, lambda rounds, _: smallest_paired_p(rounds), least="six")
    before, after = _above_zero(old.latency), _above_zero(new.latency)
    low, high = paired_ratio_interval(before, after)
    return replace(
        _latency_gate(old, new, limit),
        interval=(low - 1, high - 1),
        p_value=paired_larger_p(before, after),
        method="signed-rank",
    )


def _above_zero(latency: Latency) -> tuple[int, ...]:
    """The rounds' medians; a clock too coarse to see a run gives 1 ns, which a ratio can take."""
    return tuple(max(1, median) for median in latency.round_medians_ns)


def _check_comparable(old: ModelReport, new: ModelReport) -> None:
    facts = {
        "runtime": (old.runtime, new.runtime),
        "options": (dict(old.options), dict(new.options)),
        "threads": (old.latency.threads, new.latency.threads),
    }
    for fact, (before, after) in facts.items():
        if before != after:
            raise InputError(
                f"{new.name}: the baseline was measured with {fact} {before}, this report with {after}.",
                hint="Measure both in the same way.",
            )


def _check_rounds(
    old: ModelReport, new: ModelReport, smallest: Callable[[int, int], float], *, least: str
) -> None:
    """Refuses rounds whose smallest possible p-value is no proof."""
    rounds = len(old.latency.samples_ns), len(new.latency.samples_ns)
    if smallest(*rounds) > SIGNIFICANCE:
        raise InputError(
            f"{new.name}: {rounds[0]} and {rounds[1]} rounds are too few to tell a slowdown from chance.",
            hint=f"Measure at least {least} rounds of each.",
        )


def _accuracy_gate(old: ModelReport, new: ModelReport, limit: float) -> RegressionGate:
    before, after = old.accuracy, new.accuracy
    method: Method = "two-proportion"
    if before.images_sha256 == after.images_sha256:
        method = "mcnemar"
        losses = len(set(after.wrong) - set(before.wrong))
        gains = len(set(before.wrong) - set(after.wrong))
        p_value = _more_losses_p(losses, gains)
        interval = paired_difference_interval(losses, gains, after.seen)
    else:
        counts = (before.correct, before.seen), (after.correct, after.seen)
        p_value, interval = _lower_share_p(*counts), _newcombe_interval(*counts)
    return RegressionGate(
        model=new.name,
        name="accuracy",
        old=before.value,
        new=after.value,
        change=(before.correct * after.seen - after.correct * before.seen)
        / (before.seen * after.seen),
        interval=interval,
        p_value=p_value,
        method=method,
        limit=limit,
    )


def _more_losses_p(losses: int, gains: int) -> float:
    """The one-sided exact McNemar p-value: so many losses or more, were both equally likely."""
    changes = losses + gains
    tail = sum(math.comb(changes, count) for count in range(losses, changes + 1))
    return tail / (1 << changes)


def _lower_share_p(old: tuple[int, int], new: tuple[int, int]) -> float:
    """The one-sided p-value of the pooled two-proportion z-test that the new share is lower."""
    pooled = (old[0] + new[0]) / (old[1] + new[1])
    variance = pooled * (1 - pooled) * (1 / old[1] + 1 / new[1])
    difference = old[0] / old[1] - new[0] / new[1]
    if variance == 0:
        return 1.0
    return 0.5 * math.erfc(difference / math.sqrt(2 * variance))


def _newcombe_interval(old: tuple[int, int], new: tuple[int, int]) -> tuple[float, float]:
    """The 95 % interval of the difference of two independent proportions.

    Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions",
        Statistics in Medicine 17 (1998) 873-890, method 10 (from Wilson's intervals).
    """
    (low_old, high_old), (low_new, high_new) = wilson_interval(*old), wilson_interval(*new)
    was, is_ = old[0] / old[1], new[0] / new[1]
    below = math.hypot(was - low_old, high_new - is_)
    above = math.hypot(high_old - was, is_ - low_new)
    return was - is_ - below, was - is_ + above
