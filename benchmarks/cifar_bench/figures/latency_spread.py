"""The figure of how the latencies of every entry are spread. Pure."""

from cifar_bench.figures.distribution import Spread, distribution_figure
from cifar_bench.figures.figure import Figure
from cifar_bench.results.report import Report
from cifar_eval.formatting import microseconds


def _draw(report: Report, *, width: float) -> str:
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


FIGURE = Figure(
    name="spread",
    title="How the latencies of single inferences are spread",
    section="latency",
    draw=_draw,
)
