"""Draws how single-image latencies are spread, one row a model. Pure: samples in, SVG text out.

Models differ by factors of a hundred, their spreads by a few percent: so each row is drawn relative to the
model's own median, and the medians stand beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_bench.figures.svg import (
    MARGIN,
    NARROW_BELOW,
    Scale,
    figure,
    head_height,
    horizontal_axis,
    line,
    path,
    row_head,
    text,
    titled,
)
from cifar_eval.intervals import percentile

NUM_BINS = 90
_WIDEST, _NARROWEST = 2.0, 1.1
_AREA_HEIGHT = 34.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One row.

    Attributes:
        name: of the model.
        kind: its CSS class: keras, tflite or onnx.
        samples_ns: durations of single inferences, at least one, not all zero.
        detail: what stands beside the name, such as the median with its unit.
    """

    name: str
    kind: str
    samples_ns: Sequence[int]
    detail: str


def distribution_figure(spreads: Sequence[Spread], *, width: float) -> str:
    """Histograms of latency relative to each model's median, with marks at p50, p90 and p99.

    Args:
        spreads: at least one.
        width: of the picture.
    """
    relative = [_relative(spread.samples_ns) for spread in spreads]
    low, high = _range(relative)
    scale = Scale(low=low, high=high, start=MARGIN + 14, end=width - MARGIN - 14)
    head = head_height(width)
    row_height = head + _AREA_HEIGHT + 8
    bottom = row_height * len(spreads) + 6
    ticks = scale.ticks(int(width / 90))
    parts = horizontal_axis(scale, (4, bottom), ticks, _above_median)
    title = "latency relative to the model's own median"
    parts.append(
        text(width / 2, bottom + 38, title, {"class": "axis-title", "text-anchor": "middle"})
    )
    for row, (spread, ratios) in enumerate(zip(spreads, relative, strict=True)):
        parts += _row(spread, ratios, scale, base=row * row_height + head + _AREA_HEIGHT)
    return figure(
        (width, bottom + 50),
        parts,
        name=f"distribution-{'narrow' if width < NARROW_BELOW else 'wide'}",
        title="How the latencies of single inferences are spread",
        description="; ".join(
            f"{spread.name}: {spread.detail}, p99 {_percent_above(ratios, 99)} above it"
            for spread, ratios in zip(spreads, relative, strict=True)
        ),
    )


def _row(spread: Spread, ratios: NDArray[np.float64], scale: Scale, *, base: float) -> list[str]:
    """The name and figures, the histogram under them, and lines at p50, p90 and p99."""
    beyond = int(np.count_nonzero(ratios > scale.high))
    detail = f"{spread.detail}{f' · {beyond:,} slower, not drawn' if beyond else ''}"
    width = scale.end + MARGIN + 14
    parts = [
        *row_head(spread.name, detail, width, bottom=base - _AREA_HEIGHT),
        titled(
            path(_outline(ratios, scale, base), f"area {spread.kind}", closed=True), spread.name
        ),
        line((scale.start, base), (scale.end, base), "grid"),
    ]
    for rank, style in ((50, "median"), (90, "quantile"), (99, "quantile")):
        at = float(np.percentile(ratios, rank, method="inverted_cdf"))
        if at <= scale.high:
            drawn = line((scale(at), base - 14), (scale(at), base + 3), style)
            parts.append(titled(drawn, f"{spread.name}: p{rank}, {_above_median(at)}"))
    return parts


def _relative(samples_ns: Sequence[int]) -> NDArray[np.float64]:
    """The samples divided by their median, float64."""
    median = max(1, percentile(samples_ns, 50))
    return np.asarray(samples_ns, dtype=np.float64) / median


def _range(relative: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """From the fastest sample of all to the largest p99, at least to +10 %, at most to +100 %."""
    low = min(float(ratios.min()) for ratios in relative)
    p99 = max(float(np.percentile(ratios, 99, method="inverted_cdf")) for ratios in relative)
    high = min(max(1 + 1.15 * (p99 - 1), _NARROWEST), _WIDEST)
    return max(0.0, low - 0.05 * (high - low)), high


def _outline(ratios: NDArray[np.float64], scale: Scale, base: float) -> list[tuple[float, float]]:
    """The histogram as a polygon of steps that stands on ``base``; its highest bin has full height."""
    counts, edges = np.histogram(ratios, bins=NUM_BINS, range=(scale.low, scale.high))
    highest = max(1, int(counts.max()))
    points = [(scale(float(edges[0])), base)]
    for index, count in enumerate(counts):
        y = base - _AREA_HEIGHT * 0.95 * int(count) / highest
        points += [(scale(float(edges[index])), y), (scale(float(edges[index + 1])), y)]
    return [*points, (scale(float(edges[-1])), base)]


def _above_median(ratio: float) -> str:
    return "median" if abs(ratio - 1) < 1e-9 else f"{100 * ratio - 100:+.3g} %"


def _percent_above(ratios: NDArray[np.float64], rank: int) -> str:
    at = float(np.percentile(ratios, rank, method="inverted_cdf"))
    return f"{100 * at - 100:.3g} %"
