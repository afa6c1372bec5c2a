"""A JPEG whose data end before its picture does is refused; every whole one is decoded as Pillow does it."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from cifar_runtime.errors import InputError
from cifar_runtime.imaging.image import decode_image

SIZES = [(1, 1), (2, 1), (8, 8), (17, 33), (64, 48), (1000, 3), (300, 200)]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"restart_marker_rows": 1},
    {"progressive": True},
    {"subsampling": 0},
    {"subsampling": 2},
    {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"},
]


def photograph(width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1))


def encoded(picture: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_whole_file_is_decoded_as_by_pillow(
    size: tuple[int, int], mode: str, options: dict[str, Any]
) -> None:
    data = encoded(photograph(*size).convert(mode), **options)
    expected = Image.open(io.BytesIO(data)).convert("RGB").tobytes()
    assert decode_image(data, name="x").tobytes() == expected


def test_what_follows_the_picture_is_left_aside() -> None:
    """As cameras do that append a second picture (MPO) or a film."""
    data = encoded(photograph(64, 48))
    expected = decode_image(data, name="x").tobytes()
    assert decode_image(data + bytes(5_000), name="x").tobytes() == expected
    stream = io.BytesIO()
    photograph(64, 48).save(stream, "MPO", save_all=True, append_images=[photograph(32, 24)])
    assert decode_image(stream.getvalue(), name="x").size == (64, 48)


@pytest.mark.parametrize(
    ("first", "last", "put"),
    [
        (-1500, -700, bytes(800)),  # a hole, as a download or a disk leaves it
        (-1500, -1000, b""),  # a part that is missing
        (-1500, -1498, b"\xff\xd9"),  # the end comes early
        (-300, -2, b""),  # the last of it is missing
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_data_that_end_before_the_picture_does_are_refused(
    first: int, last: int, put: bytes, mode: str
) -> None:
    """Pillow decodes each without a word: the rest is grey."""
    whole = encoded(photograph(300, 200).convert(mode))
    data = whole[:first] + put + whole[last:]
    Image.open(io.BytesIO(data)).load()
    with pytest.raises(InputError) as caught:
        decode_image(data, name="x.jpg")
    assert str(caught.value) == (
        "x.jpg: is not a readable JPEG image: OSError: its data end before the picture does. "
        "Check that the file is complete, or save it again as PNG."
    )


def test_a_large_one_that_is_decoded_at_a_half_is_watched_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cifar_runtime.imaging.image.MAX_PIXELS", 300 * 200 // 4)
    whole = encoded(photograph(300, 200))
    assert decode_image(whole, name="x").size == (150, 100)
    with pytest.raises(InputError, match="its data end before the picture does"):
        decode_image(whole[:-1500] + bytes(800) + whole[-700:], name="x")
