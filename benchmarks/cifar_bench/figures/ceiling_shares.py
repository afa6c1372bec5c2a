"""The figure of every entry's share of this machine's ceiling. Pure."""

from cifar_bench.figures.bars import Bar, roofline_figure
from cifar_bench.figures.figure import Figure
from cifar_bench.results.report import Report


def _draw(report: Report, *, width: float) -> str | None:
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


FIGURE = Figure(
    name="roofline",
    title="Share of this machine's ceiling that each model reaches",
    section="roofline",
    draw=_draw,
)
