"""Fuzzed pictures of every format: a picture, or a refusal in words; nothing else, and nothing on stderr."""

import io
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cifar_runtime.errors import InputError
from cifar_runtime.imaging.image import MAX_PIXELS, decode_image
from hardening.campaign import Beside, Budget, Result, run_cases, word_of
from hardening.mutations import damaged

_ALLOWED = frozenset({"refused", "decoded"})


class Pictures:
    """Damaged PNG, JPEG (baseline and progressive), WebP, GIF, BMP, TIFF and PPM files."""

    name = "pictures"
    title = "Fuzzed pictures of seven formats, decoded"
    cases: Mapping[str, int] = {"quick": 20_000, "nightly": 1_000_000}
    chunk = 50_000

    def __init__(self) -> None:
        self._good = good_pictures()
        self.beside: Beside = {"Pillow": self._run_pillow}

    def run(self, budget: Budget) -> Result:
        """Through the decoder of all commands."""
        return run_cases(
            budget, make=self._make, attempt=_decoded, allowed=_ALLOWED, hang_seconds=30
        )

    def _run_pillow(self, budget: Budget) -> Result:
        """Pillow alone, as scripts use it; its exceptions are counted by class."""
        return run_cases(
            budget, make=self._make, attempt=_by_pillow, allowed=_ALLOWED, hang_seconds=30
        )

    def _make(self, rng: np.random.Generator) -> bytes:
        return damaged(self._good[int(rng.integers(0, len(self._good)))], rng)


def good_pictures() -> list[bytes]:
    """Small pictures of every format and kind."""
    from PIL import Image, ImageFilter

    noise = np.random.default_rng(5).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2))
    made: list[bytes] = []
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("RGB", "PNG", {}),
        ("P", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("I;16", "PNG", {}),
        ("RGB", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("L", "JPEG", {}),
        ("CMYK", "JPEG", {}),
        ("RGB", "WEBP", {}),
        ("RGBA", "WEBP", {"lossless": True}),
        ("P", "GIF", {}),
        ("RGB", "BMP", {}),
        ("RGB", "TIFF", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "TIFF", {"compression": "jpeg"}),
        ("L", "TIFF", {"compression": "tiff_deflate"}),
        ("RGB", "PPM", {}),
        ("1", "PPM", {}),
    ]
    for mode, image_format, options in kinds:
        stream = io.BytesIO()
        converted = picture.convert("L" if mode == "I;16" else mode).convert(mode)
        converted.save(stream, image_format, **options)
        made.append(stream.getvalue())
    return made


def _decoded(data: bytes) -> str:
    return _quietly(lambda: _word(data))


def _word(data: bytes) -> str:
    try:
        picture = decode_image(data, name="case")
    except InputError:
        return "refused"
    except Exception as error:  # noqa: BLE001 - what the campaign looks for
        return word_of(error)
    return (
        "decoded"
        if picture.mode == "RGB" and picture.width * picture.height <= MAX_PIXELS
        else "no picture"
    )


def _by_pillow(data: bytes) -> str:
    from PIL import Image

    def word() -> str:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                Image.open(io.BytesIO(data)).convert("RGB").load()
            except (OSError, ValueError):
                return "refused"
            except Exception as error:  # noqa: BLE001 - counted
                return word_of(error)
        return "decoded with a warning" if caught else "decoded"

    return _quietly(word)


def _quietly(action: Callable[[], str]) -> str:
    """The word; where anything, C libraries too, wrote to stderr meanwhile, that."""
    stderr, text = os.dup(2), os.memfd_create("stderr")
    os.dup2(text, 2)
    try:
        word = action()
        return "wrote to stderr" if os.fstat(text).st_size else word
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(text)
