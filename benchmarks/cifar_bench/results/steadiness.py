"""Which medians of a report are not known well, with every thread count, and whether the machine was busy. Pure."""

import textwrap
from collections.abc import Iterable

from cifar_bench.results.latency import STEADY_SHARE, Latency
from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_eval.formatting import NOT_APPLICABLE, counted

BUSY_SHARE = 0.5
"""More running processes than this share of the processors, before anything is measured, disturb it."""

SLOW_FACTOR = 10
"""A p99 beyond this many medians is another program's doing, not the model's."""

_WIDTH = 110


def half_width(latency: Latency) -> str:
    """Half the 95 % interval of the median as percent of it; ``-`` where there is none."""
    share = latency.interval_share
    return NOT_APPLICABLE if share is None else f"{100 * share:.1f}%"


def steadiness_notes(report: Report) -> list[str]:
    """Which medians are not steady, what to do, and whether the machine was busy; nothing when all is well."""
    notes: list[str] = []
    unsteady = unsteady_medians(report)
    if unsteady:
        sentence = (
            f"Not steady, 95 % interval wanted within {100 * STEADY_SHARE:g} % of the median: "
            f"{', '.join(unsteady)}."
        )
        notes += [
            *textwrap.wrap(sentence, _WIDTH, break_on_hyphens=False),
            "Close other programs, fix the processor's frequency, or measure longer: --max-seconds 120.",
        ]
    busy = busy_sentence(report)
    if busy is not None:
        notes += textwrap.wrap(busy, _WIDTH, break_on_hyphens=False)
    return notes


def unsteady_medians(report: Report) -> tuple[str, ...]:
    """Every median that is not steady, with why: ``net (4.2%)``, ``net with 2 threads (24.0%)``."""
    return tuple(
        f"{_named(model, latency)} ({why_unsteady(latency)})"
        for model, latency in _measured(report)
        if not latency.is_stable
    )


def why_unsteady(latency: Latency) -> str:
    """What a median that is not steady lacks."""
    if not latency.warmed_up:
        return "still getting faster after warm-up"
    if latency.interval_share is None:
        return "too few rounds for an interval"
    return half_width(latency)


def unsteady_pairs_sentence(pairs: Iterable[tuple[ModelReport, ModelReport]]) -> str | None:
    """Which side of the compared pairs, the old or the new, is not steady; None when all are."""
    unsteady = [
        f"the {side} {model.name} ({why_unsteady(model.latency)})"
        for pair in pairs
        for side, model in zip(("old", "new"), pair, strict=True)
        if not model.latency.is_stable
    ]
    return f"Not steady: {', '.join(unsteady)}." if unsteady else None


def busy_sentence(report: Report) -> str | None:
    """What shows that the machine did other work meanwhile; None when nothing does."""
    load, cores = report.environment.load_average, report.environment.cores
    signs = []
    if load is not None and load[0] > BUSY_SHARE * cores:
        signs.append(f"load {load[0]:.2f} on {counted(cores, 'core')} at the start")
    slow = [
        _named(model, latency)
        for model, latency in _measured(report)
        if latency.p99_ns > SLOW_FACTOR * latency.median_ns
    ]
    if slow:
        signs.append(f"p99 more than {SLOW_FACTOR} times the median of {', '.join(slow)}")
    return f"The machine was busy: {'; '.join(signs)}." if signs else None


def _measured(report: Report) -> Iterable[tuple[ModelReport, Latency]]:
    return ((model, latency) for model in report.models for latency in model.latencies)


def _named(model: ModelReport, latency: Latency) -> str:
    """The model, and the thread count where it is a further one."""
    if latency is model.latency or latency.threads is None:
        return model.name
    return f"{model.name} with {counted(latency.threads, 'thread')}"
