"""The figure of accuracy against median latency, every entry of the report. Pure."""

from cifar_bench.figures.figure import Figure
from cifar_bench.figures.marks import measured_mark
from cifar_bench.figures.pareto import CostAxis, pareto_figure
from cifar_bench.results.report import Report

_AXIS = CostAxis(
    name="latency",
    title="median latency of one inference, µs (logarithmic)",
    label=lambda value: f"{value:,.3g}" if value < 100 else f"{value:,.0f}",
)


def _draw(report: Report, *, width: float) -> str:
    marks = [
        measured_mark(model, model.name, model.latency.median_ns / 1000) for model in report.models
    ]
    return pareto_figure(marks, _AXIS, width=width)


FIGURE = Figure(
    name="latency",
    title="Top-1 accuracy against median latency",
    section="pareto",
    heading="Against latency",
    draw=_draw,
)
