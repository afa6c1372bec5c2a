"""Draws accuracy against a cost as a Pareto plot, with every model named. Pure: numbers in, SVG text out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from cifar_bench.figures.label_placement import Box, Placed, Point, Segment, place_labels
from cifar_bench.figures.svg import (
    NARROW_BELOW,
    Scale,
    element,
    figure,
    horizontal_axis,
    line,
    path,
    text,
    text_height,
    text_width,
    titled,
    vertical_axis,
)

MarkKind = Literal["keras", "tflite", "onnx", "published"]

_KIND_NAMES: dict[MarkKind, str] = {
    "keras": "Keras",
    "tflite": "TFLite",
    "onnx": "ONNX",
    "published": "published, not measured here",
}
_LABEL_SIZE = 12.0
_RADIUS = 5.5
_PLOT_HEIGHT = 360.0
_LEFT, _RIGHT = 56.0, 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One model in the plot.

    Attributes:
        name: what its label says.
        kind: decides shape and colour.
        cost: x, above zero, in the axis' unit.
        accuracy: y, 0..1.
        interval: 95 % interval of the accuracy, 0..1; None where only the figure is known.
        tip: shown under the pointer.
    """

    name: str
    kind: MarkKind
    cost: float
    accuracy: float
    interval: tuple[float, float] | None
    tip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAxis:
    """What x means.

    Attributes:
        name: a word of a-z, 0-9 and -, unique within a page.
        title: what stands under the axis, with the unit.
        label: a value in words, for the axis' figures.
    """

    name: str
    title: str
    label: Callable[[float], str]


def frontier(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """The measured marks that no other measured one beats, from the cheapest to the dearest.

    A mark is beaten by one that costs no more and decides no worse, and is better in one of both.
    """
    best: list[Mark] = []
    measured = [mark for mark in marks if mark.kind != "published"]
    for mark in sorted(measured, key=lambda one: (one.cost, -one.accuracy)):
        if not best or mark.accuracy > best[-1].accuracy:
            best.append(mark)
    return tuple(best)


def pareto_figure(marks: Sequence[Mark], axis: CostAxis, *, width: float) -> str:
    """Accuracy, upwards, against cost, to the right on a logarithmic scale.

    Args:
        marks: at least one.
        axis: what the cost is.
        width: of the picture; below ``NARROW_BELOW`` the marks carry numbers and a key names them.
    """
    narrow = width < NARROW_BELOW
    legend, top = _legend(marks, width)
    bottom = top + _PLOT_HEIGHT
    x, y = _cost_scale(marks, width), _accuracy_scale(marks, top, bottom)
    steps = _frontier_steps(marks, x, y, right=width - _RIGHT)
    parts = [
        *legend,
        *horizontal_axis(x, (top, bottom), x.ticks(int(width / 90)), axis.label),
        *vertical_axis(y, (_LEFT, width - _RIGHT), y.ticks(6), lambda share: f"{100 * share:g}"),
        text(_LEFT - 8, top - 10, "top-1 %", {"class": "tick", "text-anchor": "end"}),
        text((_LEFT + width - _RIGHT) / 2, bottom + 38, axis.title, _centred("axis-title")),
        path(steps, "frontier") if steps else "",
    ]
    parts += [_interval(mark, x, y) for mark in marks]
    parts += [_mark(mark, (x(mark.cost), y(mark.accuracy))) for mark in marks]
    names = [str(index) if narrow else mark.name for index, mark in enumerate(marks, start=1)]
    inside = Box(left=_LEFT + 2, top=top + 2, right=width - 4, bottom=bottom - 4)
    centres = [(x(mark.cost), y(mark.accuracy)) for mark in marks]
    parts += _labels(names, centres, inside, list(pairwise(steps)))
    height = bottom + 50
    if narrow:
        key, height = _key(marks, height)
        parts += key
    size = "narrow" if narrow else "wide"
    return figure(
        (width, height),
        parts,
        name=f"pareto-{axis.name}-{size}",
        title=f"Top-1 accuracy against {axis.title}",
        description=_description(marks, axis),
    )


def _description(marks: Sequence[Mark], axis: CostAxis) -> str:
    described = "; ".join(
        f"{mark.name}: {100 * mark.accuracy:.2f} % at {axis.label(mark.cost)}" for mark in marks
    )
    best = ", ".join(mark.name for mark in frontier(marks))
    return f"{described}. Not beaten by any other measured model: {best}."


def _cost_scale(marks: Sequence[Mark], width: float) -> Scale:
    costs = [mark.cost for mark in marks]
    low, high = min(costs), max(costs)
    # A ratio of room on both sides, more where all cost about the same.
    room = max((high / low) ** 0.08, 1.15)
    return Scale(
        low=low / room, high=high * room, start=_LEFT, end=width - _RIGHT, logarithmic=True
    )


def _accuracy_scale(marks: Sequence[Mark], top: float, bottom: float) -> Scale:
    ends = [mark.interval or (mark.accuracy, mark.accuracy) for mark in marks]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    room = max(0.12 * (high - low), 0.002)
    return Scale(low=max(0.0, low - room), high=min(1.0, high + room), start=bottom, end=top)


def _frontier_steps(marks: Sequence[Mark], x: Scale, y: Scale, *, right: float) -> list[Point]:
    """From each unbeaten mark to the next, right and then up, and on to the plot's edge."""
    points: list[Point] = []
    for mark in frontier(marks):
        if points:
            points.append((x(mark.cost), points[-1][1]))
        points.append((x(mark.cost), y(mark.accuracy)))
    return [*points, (right, points[-1][1])] if points else points


def _interval(mark: Mark, x: Scale, y: Scale) -> str:
    if mark.interval is None:
        return ""
    at = x(mark.cost)
    return line((at, y(mark.interval[0])), (at, y(mark.interval[1])), f"interval {mark.kind}")


def _mark(mark: Mark, at: Point) -> str:
    return titled(_shape(mark.kind, at), mark.tip)


def _shape(kind: MarkKind, at: Point) -> str:
    """A circle, square, triangle or hollow diamond: shapes tell the kinds apart without colour."""
    x, y = at
    style = f"mark {kind}"
    if kind == "tflite":
        return element("circle", {"cx": x, "cy": y, "r": _RADIUS, "class": style})
    r = _RADIUS
    half = r - 1
    square = [
        (x - half, y - half),
        (x + half, y - half),
        (x + half, y + half),
        (x - half, y + half),
    ]
    corners = {
        "onnx": square,
        "keras": [(x, y - r - 0.5), (x + r, y + r - 1), (x - r, y + r - 1)],
        "published": [(x, y - r - 1), (x + r + 1, y), (x, y + r + 1), (x - r - 1, y)],
    }
    return path(corners[kind], style, closed=True)


def _labels(
    names: Sequence[str], at: Sequence[Point], inside: Box, lines: Sequence[Segment]
) -> list[str]:
    height = text_height(_LABEL_SIZE)
    sizes = [(text_width(name, _LABEL_SIZE), height) for name in names]
    placed = place_labels(at, sizes, inside, lines)
    leaders = [_leader(mark, one) for mark, one in zip(at, placed, strict=True)]
    each = zip(names, at, placed, strict=True)
    return leaders + [_label(name, mark, one.box) for name, mark, one in each]


def _label(name: str, mark: Point, box: Box) -> str:
    """The name in its box, on the side that is nearer to the mark: boxes are wider than most text."""
    anchor, x = "middle", (box.left + box.right) / 2
    if box.left >= mark[0]:
        anchor, x = "start", box.left
    elif box.right <= mark[0]:
        anchor, x = "end", box.right
    return text(x, box.bottom - 4, name, {"class": "label", "text-anchor": anchor})


def _leader(mark: Point, placed: Placed) -> str:
    """A line from the mark's rim to its label, where they do not touch."""
    if placed.leader is None:
        return ""
    distance = math.dist(mark, placed.leader)
    share = min(1.0, (_RADIUS + 1) / distance)
    rim = (
        mark[0] + share * (placed.leader[0] - mark[0]),
        mark[1] + share * (placed.leader[1] - mark[1]),
    )
    return line(rim, placed.leader, "leader")


def _legend(marks: Sequence[Mark], width: float) -> tuple[list[str], float]:
    """The kinds that occur, in rows, and the y where the plot begins."""
    kinds = [kind for kind in get_args(MarkKind) if any(mark.kind == kind for mark in marks)]
    parts: list[str] = []
    x, y = 12.0, 14.0
    for kind in kinds:
        needed = 18 + text_width(_KIND_NAMES[kind]) + 16
        if x > 12 and x + needed > width:
            x, y = 12.0, y + 20
        parts += [_shape(kind, (x, y)), text(x + 12, y + 4, _KIND_NAMES[kind], {"class": "key"})]
        x += needed
    return parts, y + 36


def _key(marks: Sequence[Mark], top: float) -> tuple[list[str], float]:
    """Number, shape and name of every mark, a line each, and the y below them."""
    parts: list[str] = []
    y = top
    for index, mark in enumerate(marks, start=1):
        y += 19
        parts.append(text(26, y, str(index), {"class": "tick", "text-anchor": "end"}))
        parts.append(_shape(mark.kind, (40, y - 4)))
        parts.append(text(54, y, mark.name, {"class": "key"}))
    return parts, y + 12


def _centred(style: str) -> dict[str, str | float]:
    return {"class": style, "text-anchor": "middle"}
