"""Puts a label beside each mark of a plot so that no label covers another, or a mark. Pure geometry."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Segment = tuple[Point, Point]

MARK_RADIUS = 7.0
_RADII = (10.0, 18.0, 28.0, 40.0, 54.0, 70.0, 90.0, 112.0, 140.0, 170.0, 210.0, 260.0)
_ANGLES = tuple(math.radians(angle) for angle in range(0, 360, 15))
_LEADER_FROM = 14.0
_LEADER_WEIGHT = 3
"""A leader through a label or another leader confuses more than a label on one of the plot's own lines."""
_ROUNDS = 4
"""Each label is put down again as often, since the first to choose saw none of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle with its sides along the axes; ``y`` points down."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "Box") -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    def nearest(self, point: Point) -> Point:
        """The point of the rectangle that is closest to a point."""
        x, y = point
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)

    def contains(self, other: "Box") -> bool:
        """Whether the other rectangle lies within this one."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )

    def crossed_by(self, start: Point, end: Point) -> bool:
        """Whether a straight line enters the rectangle.

        Source: Y.-D. Liang and B. A. Barsky, "A new concept and method for line clipping", ACM
            Transactions on Graphics 3 (1984) 1-22.
        """
        entered, left = 0.0, 1.0
        for at, to, low, high in (
            (start[0], end[0], self.left, self.right),
            (start[1], end[1], self.top, self.bottom),
        ):
            if at == to:
                if not low < at < high:
                    return False
                continue
            first, last = sorted(((low - at) / (to - at), (high - at) / (to - at)))
            entered, left = max(entered, first), min(left, last)
        return entered < left


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A label's place.

    Attributes:
        box: what the label covers.
        leader: where the line from the mark ends; None where the label touches its mark.
    """

    box: Box
    leader: Point | None


def place_labels(
    marks: Sequence[Point],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    lines: Sequence[Segment] = (),
) -> tuple[Placed, ...]:
    """A place for the label of every mark, in the marks' order; the crowded ones choose first.

    Args:
        marks: centres of the marks.
        sizes: width and height of each mark's label.
        bounds: what no label may leave.
        lines: what no label should lie on, if there is room elsewhere.
    """
    places: dict[int, Placed] = {}
    for index in _ROUNDS * sorted(range(len(marks)), key=lambda one: _room(marks, one)):
        others = {other: placed for other, placed in places.items() if other != index}
        taken = [*map(_around, marks), *(placed.box for placed in others.values())]
        leaders = [
            (marks[other], placed.leader)
            for other, placed in others.items()
            if placed.leader is not None
        ]
        places[index] = _best_place(marks[index], sizes[index], bounds, taken, leaders, lines)
    return tuple(places[index] for index in range(len(marks)))


def _best_place(
    mark: Point,
    size: tuple[float, float],
    bounds: Box,
    taken: Sequence[Box],
    leaders: Sequence[Segment],
    lines: Sequence[Segment],
) -> Placed:
    """The first free place from near to far; where none is free, the one that covers least."""
    best, least = None, (math.inf, 0)
    # Where marks lie on each other, no leader can avoid them.
    in_the_way = [box for box in taken if box.nearest(mark) != mark]
    for placed in _candidates(mark, size, bounds):
        covered = sum(placed.box.overlap(box) for box in taken)
        if covered > least[0]:
            continue
        crossed = sum(placed.box.crossed_by(*line) for line in lines)
        crossed += _LEADER_WEIGHT * sum(placed.box.crossed_by(*leader) for leader in leaders)
        if placed.leader is not None:
            through = sum(box.crossed_by(mark, placed.leader) for box in in_the_way)
            through += sum(_cross((mark, placed.leader), leader) for leader in leaders)
            crossed += _LEADER_WEIGHT * through
        if not covered and not crossed:
            return placed
        if (covered, crossed) < least:
            best, least = placed, (covered, crossed)
    if best is None:
        raise ValueError(f"a label of {size} does not fit into {bounds}")
    return best


def _cross(one: Segment, other: Segment) -> bool:
    """Whether two straight lines have a point in common that is no end of either."""
    return all(
        _side(first, second[0]) * _side(first, second[1]) < 0
        for first, second in ((one, other), (other, one))
    )


def _side(line: Segment, point: Point) -> float:
    """Above zero on one side of a line, below on the other."""
    (x, y), (to_x, to_y) = line
    return (to_x - x) * (point[1] - y) - (to_y - y) * (point[0] - x)


def _candidates(mark: Point, size: tuple[float, float], bounds: Box) -> Iterator[Placed]:
    for radius in _RADII:
        for angle in _ANGLES:
            box = _box_beside(mark, size, radius, angle)
            if bounds.contains(box):
                leader = box.nearest(mark) if radius > _LEADER_FROM else None
                yield Placed(box=box, leader=leader)


def _box_beside(mark: Point, size: tuple[float, float], radius: float, angle: float) -> Box:
    """The label pushed out along a direction until its near side is ``radius`` away."""
    width, height = size
    cosine, sine = math.cos(angle), math.sin(angle)
    x = mark[0] + cosine * radius + (cosine - 1) / 2 * width
    y = mark[1] - sine * radius - (sine + 1) / 2 * height
    return Box(left=x, top=y, right=x + width, bottom=y + height)


def _around(mark: Point) -> Box:
    x, y = mark
    return Box(
        left=x - MARK_RADIUS, top=y - MARK_RADIUS, right=x + MARK_RADIUS, bottom=y + MARK_RADIUS
    )


def _room(marks: Sequence[Point], index: int) -> float:
    """Distance to the nearest other mark."""
    others = (math.dist(marks[index], mark) for other, mark in enumerate(marks) if other != index)
    return min(others, default=math.inf)
