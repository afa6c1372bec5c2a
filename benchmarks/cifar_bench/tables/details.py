"""What a terminal shows below the first table: cost and start, threads, ceilings."""

import textwrap
from collections.abc import Sequence

from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_bench.results.steadiness import half_width
from cifar_eval.formatting import NOT_APPLICABLE, microseconds, percent

_SHOWN_OPERATORS = 3
_WIDTH = 110

_IMAGES_CAPTION = " Images/s: best batch, threads as above."
_START_CAPTION = "Load, first inference and peak memory: one sample each, in a fresh process."
_COLD_START_CAPTION = (
    "Cold start: whole runs of cifar-classify, which tries a model without a card in a child "
    "process first."
)


def details_caption(header: Sequence[str]) -> list[str]:
    """What the columns of :func:`detail_rows` mean; nothing of a column that was not measured."""
    images = _IMAGES_CAPTION if "images/s" in header else ""
    cold = [_COLD_START_CAPTION] if "cold start" in header else []
    return [
        f"Start, one picture's preprocessing: microseconds.{images}",
        _START_CAPTION,
        *cold,
    ]


def detail_rows(report: Report) -> list[list[str]]:
    """A header and a row for every model: start, memory, batches, operations, as far as any was measured."""
    header = ["model", "load", "first", "cold start", "preprocess", "peak MB", "images/s"]
    header += ["parameters", "MMACs", "GMAC/s", "of ceiling"]
    columns = zip(header, *(_detail_row(report, model) for model in report.models), strict=True)
    filled = [column for column in columns if set(column[1:]) != {NOT_APPLICABLE}]
    return [list(row) for row in zip(*filled, strict=True)]


def _detail_row(report: Report, model: ModelReport) -> list[str]:
    start, cost = model.startup, model.cost
    return [
        model.name,
        microseconds(start.load_ns),
        microseconds(start.first_inference_ns),
        NOT_APPLICABLE if model.cold_start is None else microseconds(model.cold_start.median_ns),
        NOT_APPLICABLE
        if model.preprocessing is None
        else microseconds(model.preprocessing.median_ns),
        NOT_APPLICABLE if start.peak_rss_bytes is None else f"{start.peak_rss_bytes / 1e6:.0f}",
        _best_throughput(model),
        f"{cost.parameters:,}",
        NOT_APPLICABLE if cost.macs is None else f"{cost.macs / 1e6:.2f}",
        *rate_cells(report, model),
    ]


def rate_cells(report: Report, model: ModelReport) -> list[str]:
    """Multiply-accumulates achieved, in thousand millions a second, and their share of the ceiling."""
    share = report.roofline_share(model)
    return [
        NOT_APPLICABLE if model.macs_per_s is None else f"{model.macs_per_s / 1e9:.1f}",
        NOT_APPLICABLE if share is None else f"{100 * share:.0f}%",
    ]


def _best_throughput(model: ModelReport) -> str:
    """The most images in a second with the first thread count, and the batch size that gave it."""
    throughput = [one for one in model.throughput if one.threads == model.latency.threads]
    if not throughput:
        return NOT_APPLICABLE
    best = max(throughput, key=lambda one: one.images_per_s)
    return f"{best.images_per_s:,.0f} @{best.batch_size}"


def thread_rows(report: Report) -> list[list[str]]:
    """A header and a row of medians, each with its ±, by thread count for every model; none with one count."""
    counts = [latency.threads for latency in report.models[0].latencies]
    if len(counts) < 2:
        return []
    header = ["median by threads"]
    for count in counts:
        header += [str(count or "own choice"), "±"]
    return [header, *(_thread_row(model) for model in report.models)]


def _thread_row(model: ModelReport) -> list[str]:
    row = [model.name]
    for latency in model.latencies:
        row += [microseconds(latency.median_ns), half_width(latency)]
    return row


def machine_notes(report: Report) -> list[str]:
    """The ceilings, why int8 is fast or slow, and the operators that take the most time."""
    notes: list[str] = []
    for sentence in (*ceiling_notes(report), report.bound_sentence, report.why_int8):
        if sentence is not None:
            notes += textwrap.wrap(sentence, _WIDTH, break_on_hyphens=False)
    for model in report.models:
        if model.energy is not None:
            joules = model.energy.joules_per_inference
            notes.append(f"{model.name}: {joules * 1e6:,.0f} microjoules per inference (package)")
        if model.profile:
            notes.append(f"{model.name}: {_slowest(model)}")
    return notes


def ceiling_notes(report: Report) -> list[str]:
    """What one thread can do at most, and which models do more; nothing where that was not measured."""
    if report.roofline is None:
        return []
    ceilings = [
        f"{one.runtime} {one.precision} {one.macs_per_s / 1e9:.1f} ({one.size} x {one.size})"
        for one in report.roofline.ceilings
    ]
    copied = f"copying memory {report.roofline.copy_bytes_per_s / 1e9:.1f} GB/s"
    measured = f"GMAC/s: {', '.join(ceilings)}; " if ceilings else ""
    exceeded = report.exceeded_sentence
    return [f"Ceilings of one thread: {measured}{copied}.", *([exceeded] if exceeded else [])]


def _slowest(model: ModelReport) -> str:
    profile = sorted(model.profile or (), key=lambda one: -one.total_ns)
    whole = sum(one.total_ns for one in profile) or 1
    shares = (f"{one.operator} {percent(one.total_ns / whole)} %" for one in profile)
    return ", ".join(list(shares)[:_SHOWN_OPERATORS]) + " of its operators' time"
