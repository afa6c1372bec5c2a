"""Draws shares of a ceiling as horizontal bars, one a model, and thinner ones for shares of the memory rate.

Pure: numbers in, SVG text out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cifar_bench.figures.svg import (
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

_BAR_HEIGHT, _MEMORY_HEIGHT, _LEGEND_HEIGHT, _TOP = 14.0, 4.0, 18.0, 20.0
_LEGEND = "thin: share of the memory rate, uncached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row.

    Attributes:
        name: of the model.
        kind: its CSS class: keras, tflite or onnx.
        share: of the ceiling; above 1 where a model beats what was taken for the ceiling.
        memory_share: of the memory rate; None where not known.
        detail: what stands beside the name.
    """

    name: str
    kind: str
    share: float
    memory_share: float | None
    detail: str

    @property
    def figures(self) -> str:
        """Both shares, and the detail, on one line."""
        memory = "" if self.memory_share is None else f" · memory {100 * self.memory_share:.1f} %"
        return f"{100 * self.share:.1f} % · {self.detail}{memory}"


def roofline_figure(bars: Sequence[Bar], *, width: float) -> str:
    """Bars on a common track that ends at the ceiling (or at the longest bar, if one beats it).

    Args:
        bars: at least one.
        width: of the picture.
    """
    most = max(1.0, *(max(bar.share, bar.memory_share or 0.0) for bar in bars))
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
    if any(bar.memory_share is not None for bar in bars):
        height += _LEGEND_HEIGHT
        parts.append(text(scale.start, height - 4, _LEGEND, {"class": "tick"}))
    return figure(
        (width, height),
        parts,
        name=f"roofline-{'narrow' if width < NARROW_BELOW else 'wide'}",
        title="Achieved multiply-accumulates per second as a share of this machine's ceiling",
        description="; ".join(f"{bar.name}: {_described(bar)}" for bar in bars),
    )


def _row(bar: Bar, scale: Scale, width: float, *, top: float) -> list[str]:
    """Name and figures, and under them the bars on their track, crossed by a line at the ceiling."""
    track = (scale(1.0) - scale.start, _BAR_HEIGHT)
    filled = (max(1.0, scale(bar.share) - scale.start), _BAR_HEIGHT)
    ceiling = (scale(1.0), top), (scale(1.0), top + _BAR_HEIGHT + 4)
    return [
        *row_head(bar.name, bar.figures, width, bottom=top),
        rectangle((scale.start, top), track, "track"),
        titled(
            rectangle((scale.start, top), filled, f"bar {bar.kind}"), f"{bar.name}: {bar.figures}"
        ),
        *_memory(bar, scale, top=top + _BAR_HEIGHT),
        line(*ceiling, "quantile"),
    ]


def _memory(bar: Bar, scale: Scale, *, top: float) -> list[str]:
    if bar.memory_share is None:
        return []
    filled = (max(1.0, scale(bar.memory_share) - scale.start), _MEMORY_HEIGHT)
    drawn = rectangle((scale.start, top + 2), filled, f"area {bar.kind}")
    return [titled(drawn, f"{bar.name}: memory {100 * bar.memory_share:.1f} %")]


def _described(bar: Bar) -> str:
    return bar.figures.replace(" · ", ", ")
