"""The figure of accuracy against multiply-accumulates, one mark a network, and published references. Pure."""

from dataclasses import replace

from cifar_bench.figures.figure import Figure
from cifar_bench.figures.marks import (
    measured_mark,
    one_entry_a_network,
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
    marks = {
        name: measured_mark(model, name, float(model.cost.macs))
        for name, model in one_entry_a_network(report).items()
        if model.cost.macs
    }
    if not marks:
        return None
    for one in published_beside(report):
        name = one.name.partition(" ")[0]
        marks.setdefault(name, replace(published_mark(one, float(one.macs)), name=name))
    return pareto_figure(list(marks.values()), _AXIS, width=width)


FIGURE = Figure(
    name="macs",
    title="Top-1 accuracy against multiply-accumulates",
    section="pareto",
    heading="Against multiply-accumulates",
    draw=_draw,
)
