"""No label covers another label or a mark, however the marks crowd."""

from itertools import combinations

import numpy as np
import pytest

from cifar_bench.figures.label_placement import MARK_RADIUS, Box, Segment, place_labels

BOUNDS = Box(left=0, top=0, right=800, bottom=360)


def around(mark: tuple[float, float]) -> Box:
    x, y = mark
    r = MARK_RADIUS
    return Box(left=x - r, top=y - r, right=x + r, bottom=y + r)


@pytest.mark.parametrize("seed", range(5))
def test_labels_cover_neither_each_other_nor_marks_nor_leave_the_plot(seed: int) -> None:
    generator = np.random.default_rng(seed)
    marks = [(float(x), float(y)) for x, y in generator.uniform((50, 50), (700, 300), (16, 2))]
    marks += [(300.0, 150.0)] * 4
    placed = place_labels(marks, [(130.0, 15.6)] * len(marks), BOUNDS)
    boxes = [one.box for one in placed]
    assert all(BOUNDS.contains(box) for box in boxes)
    assert sum(one.overlap(other) for one, other in combinations(boxes, 2)) == 0
    assert sum(box.overlap(around(mark)) for box in boxes for mark in marks) == 0


def crossing(first: Segment, second: Segment) -> bool:
    """Solved for the point that both lines go through, as shares of each."""
    (a, b), (c, d) = np.array(first), np.array(second)
    both = np.stack([b - a, c - d], axis=1)
    if abs(np.linalg.det(both)) < 1e-6:  # parallel
        return False
    shares = np.linalg.solve(both, c - a)
    return bool(np.all((shares > 1e-6) & (shares < 1 - 1e-6)))


@pytest.mark.parametrize("seed", [2, 4, 7])
def test_leaders_out_of_a_crowd_cross_neither_each_other_nor_a_label(seed: int) -> None:
    generator = np.random.default_rng(seed)
    marks = [(float(x), float(y)) for x, y in generator.uniform((250, 120), (420, 200), (10, 2))]
    placed = place_labels(marks, [(130.0, 15.6)] * len(marks), BOUNDS)
    leaders = [(at, one.leader) for at, one in zip(marks, placed, strict=True) if one.leader]
    assert len(leaders) > 1
    assert not [pair for pair in combinations(leaders, 2) if crossing(*pair)]
    assert not [one for one in leaders for label in placed if label.box.crossed_by(*one)]


def test_a_lonely_mark_has_its_label_at_its_side_without_a_leader() -> None:
    (placed,) = place_labels([(100.0, 100.0)], [(50.0, 16.0)], BOUNDS)
    assert placed.leader is None
    assert placed.box == Box(left=110, top=92, right=160, bottom=108)


def test_a_label_avoids_the_plots_own_lines_where_there_is_room() -> None:
    line = ((0.0, 100.0), (800.0, 100.0))
    (placed,) = place_labels([(100.0, 100.0)], [(50.0, 16.0)], BOUNDS, [line])
    assert not placed.box.crossed_by(*line)


def test_a_label_larger_than_the_plot_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        place_labels([(100.0, 100.0)], [(900.0, 16.0)], BOUNDS)


@pytest.mark.parametrize(
    ("start", "end", "crossed"),
    [
        ((0.0, 5.0), (30.0, 5.0), True),
        ((0.0, 0.0), (30.0, 30.0), True),
        ((0.0, 25.0), (30.0, 25.0), False),
        ((0.0, 5.0), (9.0, 5.0), False),
        ((15.0, 30.0), (15.0, 21.0), False),
        ((12.0, 5.0), (13.0, 6.0), True),
        ((0.0, 21.0), (21.0, 0.0), True),
        ((0.0, 12.0), (8.0, 30.0), False),
    ],
)
def test_a_line_crosses_a_box_only_where_it_enters_it(
    start: tuple[float, float], end: tuple[float, float], crossed: bool
) -> None:
    box = Box(left=10, top=0, right=20, bottom=20)
    assert box.crossed_by(start, end) is crossed
    assert box.crossed_by(end, start) is crossed
