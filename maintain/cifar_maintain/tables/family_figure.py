"""Draws the models of ``family_table`` as README's picture: accuracy against work. Pure: a report in, SVG text out."""

from dataclasses import replace

from cifar_bench.figures.figure import README_WIDTH
from cifar_bench.figures.marks import measured_mark, published_beside, published_mark
from cifar_bench.figures.pareto import CostAxis, pareto_figure
from cifar_bench.results.report import Report
from cifar_maintain.tables.family_table import int8_tflite_models, reference_name, short_name

TITLE = "Top-1 accuracy against multiply-accumulates, int8 models"
_AXIS = CostAxis(
    name="macs",
    title="multiply-accumulates of one image (logarithmic)",
    label=lambda value: f"{value / 1e6:.3g} M",
)


def family_figure(report: Report) -> str | None:
    """Our int8 .tflite files and MLPerf Tiny's, as an SVG figure; None where there is no such file."""
    marks = [
        measured_mark(model, short_name(model), float(model.cost.macs))
        for model in int8_tflite_models(report)
        if model.cost.macs
    ]
    if not marks:
        return None
    references = [one for one in published_beside(report) if one.name.endswith("int8")]
    marks += [
        replace(published_mark(one, float(one.macs)), name=reference_name(one.name))
        for one in references
    ]
    return pareto_figure(marks, _AXIS, width=README_WIDTH)
