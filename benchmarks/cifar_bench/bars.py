"""Draws shares of a ceiling as horizontal bars, one a model. Pure: numbers in, SVG text out."""

from collections.abc import Sequence
from dataclasses import dataclass

from cifar_bench.svg import (
    MARGIN,
    NARROW_BELOW,
    Scale,
    figure,
    head_height,
    line,
    rectangle,
    row_head,
    text,
    titled,
)

_BAR_HEIGHT, _TOP = 14.0, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row.

    Attributes:
        name: of the model.
        kind: its CSS class: keras, tflite or onnx.
        share: of the ceiling; above 1 where a model beats what was taken for the ceiling.
        told: what stands beside the name.
    """

    name: str
    kind: str
    share: float
    told: str


def roofline_figure(bars: Sequence[Bar], *, width: float) -> str:
    """Bars on a common track that ends at the ceiling (or at the longest bar, if one beats it).

    Args:
        bars: at least one.
        width: of the picture.
    """
    most = max(1.0, *(bar.share for bar in bars))
    scale = Scale(low=0.0, high=most, start=MARGIN, end=width - MARGIN)
    parts: list[str] = []
    head = head_height(width)
    row_height = head + _BAR_HEIGHT + 12
    for row, bar in enumerate(bars):
        parts += _row(bar, scale, width, top=_TOP + row * row_height + head)
    height = _TOP + row_height * len(bars)
    parts.append(line((scale(1.0), 0), (scale(1.0), _TOP), "quantile"))
    ceiling = {"class": "tick", "text-anchor": "end"}
    parts.append(text(scale(1.0) - 6, 12, "ceiling, 100 %", ceiling))
    return figure(
        (width, height),
        parts,
        name=f"roofline-{'narrow' if width < NARROW_BELOW else 'wide'}",
        title="Achieved multiply-accumulates per second as a share of this machine's ceiling",
        description="; ".join(f"{bar.name}: {100 * bar.share:.1f} %, {bar.told}" for bar in bars),
    )


def _row(bar: Bar, scale: Scale, width: float, *, top: float) -> list[str]:
    """Name and figures, and under them the bar on its track, crossed by a line at the ceiling."""
    told = f"{100 * bar.share:.1f} % · {bar.told}"
    track = (scale(1.0) - scale.start, _BAR_HEIGHT)
    filled = (max(1.0, scale(bar.share) - scale.start), _BAR_HEIGHT)
    ceiling = (scale(1.0), top), (scale(1.0), top + _BAR_HEIGHT + 4)
    return [
        *row_head(bar.name, told, width, bottom=top),
        rectangle((scale.start, top), track, "track"),
        titled(rectangle((scale.start, top), filled, f"bar {bar.kind}"), f"{bar.name}: {told}"),
        line(*ceiling, "quantile"),
    ]
