"""The figure of accuracy against median latency, every exported model of the report. Pure.

A Keras call takes a hundred times as long and says nothing of a device: the tables have it.
"""

from cifar_bench.figures.figure import Figure
from cifar_bench.figures.marks import known_name, measured_mark
from cifar_bench.figures.pareto import CostAxis, pareto_figure
from cifar_bench.results.report import Report

_AXIS = CostAxis(
    name="latency",
    title="median latency of one inference, µs (logarithmic)",
    label=lambda value: f"{value:,.3g}" if value < 100 else f"{value:,.0f}",
)


def _draw(report: Report, *, width: float) -> str:
    exported = [model for model in report.models if model.model_file.format != "keras"]
    marks = [
        measured_mark(model, known_name(model, model.name), model.latency.median_ns / 1000)
        for model in exported or report.models
    ]
    return pareto_figure(marks, _AXIS, width=width)


FIGURE = Figure(
    name="latency",
    title="Top-1 accuracy against median latency",
    section="pareto",
    heading="Against latency",
    draw=_draw,
)
