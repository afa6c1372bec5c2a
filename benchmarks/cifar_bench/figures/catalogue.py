"""What the figures of a report show: its models as marks, rows and bars. Pure: a report in, numbers and words out."""

from collections.abc import Callable

from cifar_bench.figures.bars import Bar, roofline_figure
from cifar_bench.figures.distribution import Spread, distribution_figure
from cifar_bench.figures.pareto import CostAxis, Mark, pareto_figure
from cifar_bench.figures.published import PublishedModel, not_measured
from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_data.cifar10.splits import LABELS
from cifar_eval.formatting import microseconds, percent
from cifar_eval.models.protocols import ModelFile

WIDE, NARROW, README_WIDTH = 960.0, 358.0, 860.0
"""Widths that a figure is drawn in: a desktop's text column, a phone's, a README's."""


def latency_pareto(report: Report, *, width: float) -> str:
    """Accuracy against median latency, every entry of the report."""
    marks = [_mark(model, model.name, model.latency.median_ns / 1000) for model in report.models]
    axis = CostAxis(
        name="latency",
        title="median latency of one inference, µs (logarithmic)",
        label=lambda value: f"{value:,.3g}" if value < 100 else f"{value:,.0f}",
    )
    return pareto_figure(marks, axis, width=width)


def size_pareto(report: Report, *, width: float) -> str:
    """Accuracy against file size, one mark a file, and published references."""
    marks = [
        _mark(model, model.model_file.file, float(model.model_file.size_bytes))
        for model in _one_entry_a_file(report)
    ]
    marks += [_published(one, float(one.size_bytes)) for one in published_beside(report)]
    axis = CostAxis(name="size", title="file size (logarithmic)", label=_bytes_in_words)
    return pareto_figure(marks, axis, width=width)


def macs_pareto(report: Report, *, width: float) -> str | None:
    """Accuracy against multiply-accumulates, one mark a file; None where no model states them."""
    marks = [
        _mark(model, model.model_file.file, float(model.cost.macs))
        for model in _one_entry_a_file(report)
        if model.cost.macs
    ]
    if not marks:
        return None
    marks += [_published(one, float(one.macs)) for one in published_beside(report)]
    axis = CostAxis(
        name="macs",
        title="multiply-accumulates of one image (logarithmic)",
        label=lambda value: f"{value / 1e6:.3g} M",
    )
    return pareto_figure(marks, axis, width=width)


def latency_spreads(report: Report, *, width: float) -> str:
    """How the latencies of every entry are spread."""
    spreads = [
        Spread(
            name=model.name,
            kind=model.model_file.format,
            samples_ns=model.latency.samples,
            detail=f"median {microseconds(model.latency.median_ns)} µs",
        )
        for model in report.models
    ]
    return distribution_figure(spreads, width=width)


def roofline_bars(report: Report, *, width: float) -> str | None:
    """Every entry's share of this machine's ceiling; None where no share is known."""
    shares = [(model, report.roofline_share(model)) for model in report.models]
    bars = [
        Bar(
            name=model.name,
            kind=model.model_file.format,
            share=share,
            memory_share=report.memory_share(model),
            detail=f"{(model.macs_per_s or 0) / 1e9:.3g} GMAC/s",
        )
        for model, share in shares
        if share is not None
    ]
    return roofline_figure(bars, width=width) if bars else None


FIGURES: dict[str, tuple[str, Callable[..., str | None]]] = {
    "latency": ("Top-1 accuracy against median latency", latency_pareto),
    "size": ("Top-1 accuracy against file size", size_pareto),
    "macs": ("Top-1 accuracy against multiply-accumulates", macs_pareto),
    "spread": ("How the latencies of single inferences are spread", latency_spreads),
    "roofline": ("Share of this machine's ceiling that each model reaches", roofline_bars),
}
"""Every figure by its name: what it shows, and what draws it (report, keyword ``width``)."""


def published_beside(report: Report) -> tuple[PublishedModel, ...]:
    """References to draw beside the models: those not measured, if the images are CIFAR-10's test split."""
    accuracy = report.models[0].accuracy
    if accuracy.label_names != LABELS or accuracy.split.split("[")[0] not in (
        "test",
        "test-sample",
    ):
        return ()
    return not_measured([model.model_file for model in report.models])


def _one_entry_a_file(report: Report) -> list[ModelReport]:
    """The first entry of each file: its runtimes share its size and multiply-accumulates."""
    files: dict[ModelFile, ModelReport] = {}
    for model in report.models:
        files.setdefault(model.model_file, model)
    return list(files.values())


def _mark(model: ModelReport, name: str, cost: float) -> Mark:
    accuracy = model.accuracy
    low, high = accuracy.interval
    return Mark(
        name=name,
        kind=model.model_file.format,
        cost=max(cost, 1e-3),
        accuracy=accuracy.value,
        interval=accuracy.interval,
        tip=(
            f"{name}: {percent(accuracy.value)} % ({percent(low)} to {percent(high)}), "
            f"{microseconds(model.latency.median_ns)} µs, {model.model_file.size_bytes:,} bytes"
        ),
    )


def _published(model: PublishedModel, cost: float) -> Mark:
    return Mark(
        name=model.name,
        kind="published",
        cost=cost,
        accuracy=model.accuracy,
        interval=None,
        tip=f"{model.name}: {percent(model.accuracy)} % of 10,000 test images, {model.size_bytes:,} bytes",
    )


def _bytes_in_words(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"
