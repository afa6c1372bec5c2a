"""Which images of many are chosen."""

import numpy as np
import pytest

from cifar_data.choose import stratified_positions


@pytest.mark.parametrize(
    ("labels", "count", "expected"),
    [
        ([0, 0, 0, 1, 1, 1], 2, [0, 3]),
        ([0, 0, 0, 1, 1, 1], 3, [0, 1, 3]),
        ([1, 0, 1, 0], 2, [0, 1]),
        ([0, 0, 0, 1], 4, [0, 1, 2, 3]),
        ([0, 0, 0, 1], 3, [0, 1, 3]),
    ],
)
def test_positions_are_each_classs_first_images(
    labels: list[int], count: int, expected: list[int]
) -> None:
    positions = stratified_positions(np.array(labels, dtype=np.uint8), count)
    assert positions.tolist() == expected
