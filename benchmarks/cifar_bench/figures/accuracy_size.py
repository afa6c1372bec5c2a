"""The figure of accuracy against file size, one mark a file, and published references. Pure."""

from cifar_bench.figures.figure import Figure
from cifar_bench.figures.marks import (
    known_name,
    measured_mark,
    one_entry_a_file,
    published_beside,
    published_mark,
)
from cifar_bench.figures.pareto import CostAxis, pareto_figure
from cifar_bench.results.report import Report


def _draw(report: Report, *, width: float) -> str:
    marks = [
        measured_mark(model, known_name(model, model.model_file.file), model.model_file.size_bytes)
        for model in one_entry_a_file(report)
    ]
    marks += [published_mark(one, float(one.size_bytes)) for one in published_beside(report)]
    axis = CostAxis(name="size", title="file size (logarithmic)", label=_bytes_in_words)
    return pareto_figure(marks, axis, width=width)


def _bytes_in_words(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"


FIGURE = Figure(
    name="size",
    title="Top-1 accuracy against file size",
    section="pareto",
    heading="Against file size",
    draw=_draw,
)
