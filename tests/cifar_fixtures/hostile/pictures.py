"""Files that are no pictures, or pictures that nobody should decode."""

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cifar_fixtures.hostile.case import (
    INPUT,
    Case,
    nothing,
    of_bytes,
    sparse,
)


def pictures() -> Iterator[Case]:
    for name, says, make in (
        ("image-missing", "cannot be read", nothing),
        ("image-empty", "is empty", of_bytes(b"")),
        ("image-is-a-fifo", "is not a regular file", os.mkfifo),
        (
            "image-is-an-endless-device",
            "is not a regular",
            lambda path: path.symlink_to("/dev/zero"),
        ),
        (
            "image-folder-without-images",
            "is a folder, expected an image",
            lambda path: path.mkdir(),
        ),
        ("image-of-129-mib", "is larger than", lambda path: sparse(path, 129 << 20)),
        ("png-bomb-of-400-megapixels", "expected at most", of_bytes(_png(20_000, 20_000))),
        ("png-of-2-gigapixel-width", "expected at most", of_bytes(_png(2**31 - 1, 1))),
        (
            "png-truncated",
            "is not a readable PNG",
            lambda path: path.write_bytes(_good_png()[:-30]),
        ),
        ("png-signature-alone", "is not a readable PNG", of_bytes(b"\x89PNG\r\n\x1a\n")),
        ("png-text-chunk-bomb", "is not a readable PNG", of_bytes(_png(8, 8, text_bytes=80 << 20))),
        (
            "png-chunk-with-a-wrong-checksum",
            "is not a readable PNG",
            lambda p: p.write_bytes(_bad_crc()),
        ),
        (
            "jpeg-header-alone",
            "is not a readable JPEG",
            of_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\0"),
        ),
        (
            "jpeg-truncated",
            "is not a readable JPEG",
            lambda path: path.write_bytes(_saved("JPEG")[:-90]),
        ),
        (
            "gif-truncated",
            "is not a readable GIF",
            lambda path: path.write_bytes(_saved("GIF")[:20]),
        ),
        (
            "webp-truncated",
            "is not a readable WEBP",
            lambda path: path.write_bytes(_saved("WEBP")[:40]),
        ),
        ("bmp-of-40000-pixels-a-side", "expected at most", of_bytes(_bmp(40_000))),
        (
            "tiff-directory-that-loops",
            "is not a readable TIFF",
            of_bytes(b"II*\0\x08\0\0\0\0\0\x08\0\0\0"),
        ),
        ("tiff-of-floats", "of mode F", lambda path: path.write_bytes(_saved("TIFF", mode="F"))),
        ("ppm-of-no-pixels", "", of_bytes(b"P6\n0 0\n255\n")),
        ("ppm-endless-header", "is not a readable PPM", of_bytes(b"P6\n" + b"9" * 100_000)),
        (
            "eps-for-ghostscript",
            "not an image of a known format",
            of_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        ),
        (
            "svg-with-an-entity-bomb",
            "not an image",
            of_bytes(b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY'),
        ),
        ("pickle-named-png", "not an image of a known format", of_bytes(b"\x80\x04cos\nsystem\n")),
    ):
        yield _image(name, says, make)


def _image(name: str, says: str, make: Callable[[Path], Any]) -> Case:
    def write(folder: Path) -> list[str]:
        make(folder / "hostile.png")
        return ["hostile.png", "-m", "good.tflite"]

    return Case(name=name, exit_code=INPUT, says=says, write=write)


def _png(width: int, height: int, *, text_bytes: int = 0) -> bytes:
    """A PNG whose pixels, or whose compressed text, unpack to far more than the file."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header)]
    if text_bytes:
        chunks.append(_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(text_bytes), 9)))
    rows = zlib.compress(bytes((width + 1) * height), 9) if width * height < 1e6 else b"x"
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, _chunk(b"IDAT", rows), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _saved(image_format: str, *, mode: str = "RGB") -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("L" if mode == "F" else mode).convert(mode).save(
        stream, image_format
    )
    return stream.getvalue()


def _good_png() -> bytes:
    return _saved("PNG")


def _bad_crc() -> bytes:
    data = bytearray(_good_png())
    data[29] ^= 0xFF  # in the checksum of IHDR
    return bytes(data)


def _bmp(side: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header
