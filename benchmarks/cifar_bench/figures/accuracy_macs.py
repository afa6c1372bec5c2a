"""The figure of accuracy against multiply-accumulates, one mark a file, and published references. Pure."""

from cifar_bench.figures.figure import Figure
from cifar_bench.figures.marks import (
    measured_mark,
    one_entry_a_file,
    published_beside,
    published_mark,
)
from cifar_bench.figures.pareto import CostAxis, pareto_figure
from cifar_bench.results.report import Report

_AXIS = CostAxis(
    name="macs",
    title="multiply-accumulates of one image (logarithmic)",
    label=lambda value: f"{value / 1e6:.3g} M",
)


def _draw(report: Report, *, width: float) -> str | None:
    marks = [
        measured_mark(model, model.model_file.file, float(model.cost.macs))
        for model in one_entry_a_file(report)
        if model.cost.macs
    ]
    if not marks:
        return None
    marks += [published_mark(one, float(one.macs)) for one in published_beside(report)]
    return pareto_figure(marks, _AXIS, width=width)


FIGURE = Figure(
    name="macs",
    title="Top-1 accuracy against multiply-accumulates",
    section="pareto",
    heading="Against multiply-accumulates",
    draw=_draw,
)
