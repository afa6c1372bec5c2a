"""Draws shares of a ceiling as horizontal bars, one a model. Pure: numbers in, SVG text out."""

from collections.abc import Sequence
from dataclasses import dataclass

from cifar_bench.svg import Scale, figure, fitted, line, rectangle, text, text_width, titled

_MARGIN = 12.0
_ROW_HEIGHT, _BAR_HEIGHT = 44.0, 14.0


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
    scale = Scale(low=0.0, high=most, start=_MARGIN, end=width - _MARGIN)
    parts: list[str] = []
    for row, bar in enumerate(bars):
        parts += _row(bar, scale, top=row * _ROW_HEIGHT)
    height = _ROW_HEIGHT * len(bars) + 4
    parts.append(line((scale(1.0), 0), (scale(1.0), height), "quantile"))
    return figure(
        (width, height),
        parts,
        name=f"roofline-{'narrow' if width < 560 else 'wide'}",
        title="Achieved multiply-accumulates per second as a share of this machine's ceiling",
        description="; ".join(f"{bar.name}: {100 * bar.share:.1f} %, {bar.told}" for bar in bars),
    )


def _row(bar: Bar, scale: Scale, *, top: float) -> list[str]:
    told = f"{100 * bar.share:.1f} % · {bar.told}"
    y = top + 22
    track = (scale(1.0) - scale.start, _BAR_HEIGHT)
    filled = (max(1.0, scale(bar.share) - scale.start), _BAR_HEIGHT)
    room = scale.end - scale.start - text_width(told) - 24
    return [
        text(scale.start, top + 16, fitted(bar.name, room), {"class": "key strong"}),
        text(scale.end - 6, top + 16, told, {"class": "tick", "text-anchor": "end"}),
        rectangle((scale.start, y), track, "track"),
        titled(rectangle((scale.start, y), filled, f"bar {bar.kind}"), f"{bar.name}: {told}"),
    ]

