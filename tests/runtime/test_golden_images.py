"""Golden pictures survive their compressed block, and no block unpacks to more than it is allowed."""

import base64
import zlib
from typing import Any

import numpy as np
import pytest

from cifar_runtime.golden_images import MAX_UNPACKED_BYTES, on_grid, pack_images, unpack_images


@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        ((8, 32, 32, 3), (32, 32)),
        ((3, 28, 28, 1), (28, 28)),
        ((2, 7, 5, 4), (7, 5)),
        ((2, 7, 5, 3), (3, 2)),
        ((1, 224, 160, 3), (10, 8)),
    ],
)
def test_pictures_come_back_as_they_were(shape: tuple[int, ...], grid: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    cells = random.integers(0, 256, (shape[0], *grid, shape[3]), dtype=np.uint8)
    images = on_grid(cells, shape[1:3])
    block = pack_images(images, grid)
    assert (block["count"], block["grid"]) == (shape[0], list(grid))
    np.testing.assert_array_equal(unpack_images(block, shape[1:]), images)


def test_a_cell_covers_the_pixels_that_its_share_begins_with() -> None:
    cells = np.array([[[10], [20], [30]]], np.uint8)[:, None]
    row = on_grid(cells[0][None], (1, 7))[0, 0, :, 0]
    assert row.tolist() == [10, 10, 10, 20, 20, 30, 30]


def test_what_varies_within_a_cell_is_not_packed() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    with pytest.raises(ValueError, match="vary within the cells"):
        pack_images(images, (1, 1))


BLOCK = pack_images(np.full((2, 4, 4, 3), 7, np.uint8), (4, 4))
BOMB = base64.b64encode(zlib.compress(bytes(50_000_000), 9)).decode()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"encoding": "png"}, "encoding is 'png'"),
        ({"data": BOMB}, "do not unpack to 96 bytes"),
        ({"data": BLOCK["data"][:8]}, "do not unpack to 96 bytes"),
        ({"data": base64.b64encode(b"no zlib").decode()}, "incorrect"),
        ({"data": "!"}, "base64"),
        ({"count": 1}, "do not unpack to 48 bytes"),
        ({"count": 2.0}, "not whole numbers"),
        ({"count": True}, "not whole numbers"),
        ({"count": 1025}, "are more than"),
        ({"grid": [0, 4]}, "not whole numbers"),
        ({"grid": [5, 4]}, "finer than pictures"),
    ],
)
def test_damaged_and_hostile_blocks_are_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        unpack_images({**BLOCK, **changes}, (4, 4, 3))


def test_one_cell_does_not_become_a_gigabyte() -> None:
    one = pack_images(np.zeros((1, 1, 1, 3), np.uint8), (1, 1))
    assert MAX_UNPACKED_BYTES < 4096 * 4096 * 3 * 3
    with pytest.raises(ValueError, match="are more than"):
        unpack_images({**one, "count": 3}, (4096, 4096, 3))
