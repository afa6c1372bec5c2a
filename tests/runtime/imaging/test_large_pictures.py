"""A large picture is cut out in strips and gives the pixels that Pillow gives for the whole, bit for bit."""

import numpy as np
import pytest
from PIL import Image

from cifar_runtime.imaging.large_pictures import cut_out

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "resampling", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]
)
@pytest.mark.parametrize("box", [(11, 0, 1311, 1001), (0, 7, 1100, 1007), (3, 2, 40, 30)])
def test_strips_give_the_pixels_of_the_whole(
    box: tuple[int, int, int, int], resampling: Image.Resampling
) -> None:
    pixels = RANDOM.integers(0, 256, (1010, 1320, 3), np.uint8)
    picture = Image.fromarray(pixels)
    whole = picture.crop(box).resize((96, 64), resampling)
    strips = cut_out(picture, box, 96, resampling).resize((96, 64), resampling)
    assert np.array_equal(np.asarray(strips), np.asarray(whole))


def test_a_large_box_is_narrow_when_it_comes_back() -> None:
    picture = Image.new("RGB", (2000, 1000))
    cut = cut_out(picture, (0, 0, 2000, 1000), 32, Image.Resampling.BICUBIC)
    assert cut.size == (32, 1000)
