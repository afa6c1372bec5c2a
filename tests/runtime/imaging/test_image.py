"""Every kind of image becomes the picture a person sees, or is refused with a sentence."""

import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from ast import literal_eval
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cifar_runtime.errors import InputError
from cifar_runtime.imaging.image import decode_image, picture_from_array, read_image, upright_rgb

ORIENTATION = 0x0112
# Left half red, right half blue, top row brighter: no two of its eight orientations are equal.
UPRIGHT = np.array(
    [[[250, 0, 0], [250, 0, 0], [0, 0, 250]], [[120, 0, 0], [120, 0, 0], [0, 0, 120]]], np.uint8
)


def encoded(picture: Image.Image, image_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, image_format, **options)
    return stream.getvalue()


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(decode_image(data, name="x"))


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_lossless_rgb_comes_back_exactly(image_format: str) -> None:
    assert (pixels(encoded(Image.fromarray(UPRIGHT), image_format)) == UPRIGHT).all()


def test_lossless_webp_comes_back_exactly() -> None:
    data = encoded(Image.fromarray(UPRIGHT), "WEBP", lossless=True)
    assert (pixels(data) == UPRIGHT).all()


def test_jpeg_comes_back_nearly() -> None:
    flat = Image.new("RGB", (16, 16), (200, 100, 50))
    found = pixels(encoded(flat, "JPEG", quality=95)).astype(int)
    assert abs(found - [200, 100, 50]).max() <= 2


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("P", 3, (10, 20, 30)),
        ("RGBX", (1, 2, 3, 0), (1, 2, 3)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("YCbCr", (76, 85, 255), (254, 0, 0)),  # JFIF: red
        ("HSV", (85, 255, 255), (0, 255, 0)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 257 * 77, (77, 77, 77)),
        ("I;16L", 257 * 77 + 128, (77, 77, 77)),
        ("I;16B", 257 * 77 + 129, (78, 78, 78)),
        # Transparency over white: alpha 102 is 0.4, so 255 * 0.6 + colour * 0.4.
        ("LA", (100, 102), (193, 193, 193)),
        ("RGBA", (200, 0, 100, 102), (233, 153, 193)),
        ("RGBA", (9, 9, 9, 0), (255, 255, 255)),
        ("RGBa", (80, 0, 40, 102), (233, 153, 193)),
        ("La", (40, 102), (193, 193, 193)),
    ],
)
def test_each_pillow_mode(mode: str, colour: Any, expected: tuple[int, int, int]) -> None:
    picture = Image.new(mode, (2, 2), colour)
    if mode == "P":
        picture.putpalette([0] * 9 + [10, 20, 30])
    found = np.asarray(upright_rgb(picture, name="x")).astype(int)
    assert found.shape == (2, 2, 3)
    assert abs(found - expected).max() <= 1


def test_every_pillow_mode_is_decided() -> None:
    for mode in Image.MODES:
        picture = Image.new(mode, (2, 2))
        try:
            assert upright_rgb(picture, name="x").mode == "RGB"
        except InputError:
            assert mode in ("I", "F", "LAB", "I;16N")


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_modes_without_a_stated_range_are_refused(mode: str) -> None:
    data = encoded(Image.new(mode, (2, 2)), "TIFF")
    with pytest.raises(InputError) as caught:
        decode_image(data, name="grey.tif")
    assert str(caught.value) == (
        f"grey.tif: has pixels of mode {mode}, whose range or colours are not stated, "
        "expected 8-bit colour or 8- or 16-bit grey. Save it as an 8-bit RGB PNG."
    )


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_files_are_scaled(image_format: str) -> None:
    levels = np.array([[0, 257, 32768, 65535]], np.uint16)
    data = encoded(Image.fromarray(levels), image_format)
    assert pixels(data)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_pgm_of_ten_bits_is_scaled_by_its_own_maximum() -> None:
    levels = np.array([0, 512, 1023], ">u2").tobytes()
    assert pixels(b"P5 3 1 1023\n" + levels)[0, :, 0].tolist() == [0, 128, 255]


def tiff_grey(bits: int, photometric: int, strip: bytes) -> bytes:
    """A 2 x 1 little-endian TIFF written by hand."""
    entries = [(256, 3, 2), (257, 3, 1), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    entries += [(273, 4, 8), (277, 3, 1), (278, 3, 1), (279, 4, len(strip))]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    strip += b"\0" * (-len(strip) % 2)
    header = struct.pack("<2sHI", b"II", 42, 8 + len(strip))
    return header + strip + struct.pack("<H", len(entries)) + body + b"\0\0\0\0"


def test_a_handmade_sixteen_bit_tiff_is_read() -> None:
    data = tiff_grey(16, 1, struct.pack("<HH", 0, 65535))
    assert pixels(data)[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(("bits", "photometric"), [(12, 1), (16, 0)])
def test_grey_that_pillow_misreads_is_refused(bits: int, photometric: int) -> None:
    data = tiff_grey(bits, photometric, b"\xff\xff\xff\xff")
    with pytest.raises(InputError, match="grey of an unusual kind"):
        decode_image(data, name="x")


def test_sixteen_bit_grey_with_a_transparent_level_is_refused() -> None:
    data = encoded(Image.fromarray(np.full((2, 2), 9, np.uint16)), "PNG", transparency=9)
    with pytest.raises(InputError, match="grey of an unusual kind"):
        decode_image(data, name="x")


def test_a_transparent_palette_entry_shows_the_background() -> None:
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((1, 0), 1)
    assert pixels(encoded(picture, "PNG", transparency=1))[0].tolist() == [
        [10, 20, 30],
        [255, 255, 255],
    ]


def test_a_transparent_rgb_colour_shows_the_background() -> None:
    picture = Image.new("RGB", (1, 1), (1, 2, 3))
    assert pixels(encoded(picture, "PNG", transparency=(1, 2, 3)))[0, 0].tolist() == [255] * 3


# What must be done to the upright pixels so that the orientation's viewer turns them back.
# Source: Exif 2.32, tag 0x0112: where row 0 and column 0 of the stored picture lie.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],
}


@pytest.mark.parametrize("orientation", sorted(STORED))
@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_undone(orientation: int, image_format: str) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT)))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if image_format == "WEBP" else {}
    assert (pixels(encoded(stored, image_format, exif=exif, **options)) == UPRIGHT).all()


def test_a_rotated_jpeg_stands_upright() -> None:
    stored = np.zeros((16, 8, 3), np.uint8)
    stored[:, :4] = 240  # orientation 6: the stored left side is the top
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    found = pixels(encoded(Image.fromarray(stored), "JPEG", exif=exif, quality=95))
    assert found.shape == (8, 16, 3)
    assert found[0].min() > 230
    assert found[7].max() < 10


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(image_format: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("#00f000", "#f00000")]
    options = {"lossless": True} if image_format == "WEBP" else {}
    data = encoded(frames[0], image_format, save_all=True, append_images=frames[1:], **options)
    assert pixels(data)[0, 0].tolist() == [0, 240, 0]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * 64), 9)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    ("width", "height"), [(4097, 4096), (12_000, 12_000), (60_000, 60_000), (2_000_000_000, 8)]
)
def test_too_many_pixels_are_refused_before_decoding(width: int, height: int) -> None:
    data = png_bomb(width, height) if width < 10**6 else png_bomb(8, 8)
    if width >= 10**6:
        header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
        data = data[:8] + png_chunk(b"IHDR", header) + data[33:]
    with pytest.raises(InputError) as caught:
        decode_image(data, name="bomb.png")
    assert str(caught.value) == (
        f"bomb.png: has {width} x {height} pixels, expected at most 16777216 in all "
        "(4096 x 4096). Scale it down first."
    )


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF"])
def test_a_truncated_file_is_refused(image_format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    data = encoded(Image.fromarray(noise), image_format)
    with pytest.raises(InputError, match=f"is not a readable {image_format} image"):
        decode_image(data[: len(data) // 2], name="x")


def test_flipped_bytes_never_raise_anything_else() -> None:
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (12, 12, 3), np.uint8)
    for image_format in ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP"):
        whole = encoded(Image.fromarray(noise), image_format)
        for _ in range(60):
            data = bytearray(whole)
            data[random.integers(len(data))] ^= int(random.integers(1, 256))
            with suppress(InputError):
                assert decode_image(bytes(data), name="x").mode == "RGB"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is not an image of a known format"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "is not an image of a known format"),
        (b"hello", "is not an image of a known format"),
    ],
)
def test_other_files_are_refused_with_the_list(data: bytes, what: str) -> None:
    with pytest.raises(InputError) as caught:
        decode_image(data, name="x")
    assert str(caught.value) == (
        f"x: {what}, expected one of PNG, JPEG, WEBP, GIF, BMP, TIFF, PPM. Save it as PNG or JPEG."
    )


def test_a_missing_file_a_folder_and_a_fifo_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for name, what in [
        ("none.png", "cannot be read: No such file or directory"),
        ("pipe.png", "is not a regular file"),
        (".", "is a folder"),
    ]:
        with pytest.raises(InputError, match=what):
            read_image(tmp_path / name)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_arrays_that_are_not_pixels_are_refused(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(InputError, match=r"expected uint8 of shape \(height, width, 3\)"):
        picture_from_array(array, name="x")


def test_a_strided_array_keeps_its_pixels() -> None:
    flipped = UPRIGHT[:, ::-1]
    assert (np.asarray(picture_from_array(flipped, name="x")) == flipped).all()


def test_decoding_in_threads_leaves_the_warning_filters_alone() -> None:
    data = encoded(Image.fromarray(UPRIGHT), "PNG")
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [pixels(data) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


# A phone's 48 megapixels; the left half is red, the right one blue.
PHOTOGRAPH = """
import sys
from PIL import Image
if len(sys.argv) > 2:
    picture = Image.new("RGB", (8064, 6048), (250, 0, 0))
    picture.paste((0, 0, 250), (4032, 0, 8064, 6048))
    picture.save(sys.argv[1], quality=90)
else:
    from pathlib import Path
    from cifar_runtime.imaging.image import read_image
    found = read_image(Path(sys.argv[1]))
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    print(found.size, found.getpixel((1000, 1000)), found.getpixel((3000, 1000)), peak // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no peak memory is known here")
def test_a_photograph_of_48_megapixels_is_decoded_at_half_its_size(tmp_path: Path) -> None:
    path = tmp_path / "photograph.jpg"
    for arguments in ([path, "write"], [path]):
        ended = subprocess.run(
            [sys.executable, "-c", PHOTOGRAPH, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
    *found, peak_mib = ended.stdout.split()
    assert " ".join(found[:2]) == "(4032, 3024)"
    left, right = literal_eval(" ".join(found[2:5])), literal_eval(" ".join(found[5:8]))
    assert abs(np.subtract(left, (250, 0, 0))).max() <= 4
    assert abs(np.subtract(right, (0, 0, 250))).max() <= 4
    assert int(peak_mib) < 200


def test_a_jpeg_within_the_limit_is_decoded_whole() -> None:
    assert decode_image(encoded(Image.new("RGB", (4096, 4096)), "JPEG"), name="x").size == (
        4096,
        4096,
    )


def test_a_large_progressive_jpeg_is_refused_by_its_header() -> None:
    """All its coefficients would be in memory at once."""
    data = bytearray(encoded(Image.new("RGB", (64, 64)), "JPEG", progressive=True))
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", 6048, 8064)
    with pytest.raises(InputError) as caught:
        decode_image(bytes(data), name="x.jpg")
    assert str(caught.value) == (
        "x.jpg: has 8064 x 6048 pixels, expected at most 25000000 in a progressive JPEG. "
        "Scale it down first."
    )


def test_what_libtiff_says_stays_off_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = bytearray(encoded(Image.fromarray(noise), "TIFF", compression="tiff_adobe_deflate"))
    data[600:610] = bytes(10)
    with pytest.raises(InputError, match="is not a readable TIFF image"):
        decode_image(bytes(data), name="x.tif")
    assert capfd.readouterr().err == ""


def test_what_libtiff_says_in_several_lines_stays_off_stderr(
    capfd: pytest.CaptureFixture[str],
) -> None:
    picture = Image.new("RGB", (8, 8))
    inks = {334: 48}  # NumberOfInks; the picture has three samples a pixel
    data = encoded(picture, "TIFF", compression="tiff_lzw", tiffinfo=inks)
    capfd.readouterr()  # writing it says the same
    assert decode_image(data, name="x.tif").size == (8, 8)
    assert capfd.readouterr().err == ""
    odd = bytearray(encoded(picture, "TIFF", compression="jpeg"))
    odd[odd.index(b"\xff\xc0") + 11] = 0x12  # sampling factors of the first component
    with pytest.raises(InputError, match="is not a readable TIFF image"):
        decode_image(bytes(odd), name="x.tif")
    assert capfd.readouterr().err == ""
