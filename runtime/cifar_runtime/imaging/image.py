"""Turns image files, Pillow images and arrays into upright RGB pictures, or refuses them clearly.

It never resizes or quantizes (see ``preprocess``). Pillow's exceptions end here, as InputError.
Pictures are what a person would see: EXIF orientation applied, transparency laid over
``BACKGROUND``, 16-bit grey scaled to 8 bits, the first frame of an animation.
"""

import importlib
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.errors import InputError
from cifar_runtime.plain_text import shortened
from cifar_runtime.system.files import is_folder, list_folder, read_once
from cifar_runtime.system.forks import in_forked_child

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

MAX_IMAGE_BYTES = 128 * 1024 * 1024
MAX_PIXELS = 4096 * 4096  # decoded; 16.8 megapixels: 50 MB as RGB
# A larger JPEG is decoded at a half, a quarter or an eighth, which its format allows without more memory...
MAX_JPEG_PIXELS = 16 * MAX_PIXELS
# ...but not if it is progressive: all its coefficients are in memory first, 3 to 6 bytes a pixel.
MAX_PROGRESSIVE_PIXELS = 25_000_000
BACKGROUND = (255, 255, 255)  # what shows through transparent pixels: the page, white
IMAGE_SUFFIXES = (
    *(".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)

# Pillow format, its plugin, and the bytes a file of it starts with. Naming the one plugin keeps
# Pillow from importing and trying all forty, some of which start programs (EPS: Ghostscript).
_FORMATS = (
    ("PNG", "PngImagePlugin", (b"\x89PNG\r\n\x1a\n",)),
    ("JPEG", "JpegImagePlugin", (b"\xff\xd8\xff",)),
    ("WEBP", "WebPImagePlugin", (b"RIFF",)),
    ("GIF", "GifImagePlugin", (b"GIF87a", b"GIF89a")),
    ("BMP", "BmpImagePlugin", (b"BM",)),
    ("TIFF", "TiffImagePlugin", (b"II*\x00", b"MM\x00*")),
    ("PPM", "PpmImagePlugin", (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")),
)
_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N")
_TRANSPARENT_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_OPAQUE_MODES = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
# Source: TIFF 6.0, section 8.
_EXIF_ORIENTATION = 274
_TIFF_BITS_PER_SAMPLE, _TIFF_PHOTOMETRIC, _TIFF_BLACK_IS_ZERO = 258, 262, 1
# warnings.catch_warnings changes the whole process: two threads in it at once leave their filters in place.
_DECODING = threading.Lock()


def _renew_lock() -> None:
    global _DECODING  # noqa: PLW0603 - in a child that another thread of the parent has shut out
    _DECODING = threading.Lock()


in_forked_child(_renew_lock)


def read_image(
    path: str | Path, *, keep_alpha: bool = False, least_jpeg_side: int | None = None
) -> "Image":
    """The upright RGB picture in the file at ``path``, a Pillow image of mode RGB.

    Args:
        path: of an image file.
        keep_alpha: give mode RGBA instead, nothing laid over a background.
        least_jpeg_side: JPEGs are decoded at the smallest of the scales 1/8, 1/4, 1/2 and 1 that leaves both sides
            this many pixels, or at 1; None: at 1.

    Raises:
        InputError: the file is missing, not an image, damaged, too large, or of pixels whose range
            is not known.
    """
    try:
        data = read_once(path, max_bytes=MAX_IMAGE_BYTES, error=InputError)
    except InputError:
        _refuse_folder(path)
        raise
    return decode_image(
        data, name=str(path), keep_alpha=keep_alpha, least_jpeg_side=least_jpeg_side
    )


def _refuse_folder(path: str | Path) -> None:
    """Says so where a folder or nothing was named; asked only of what cannot be read."""
    if path == "":
        raise InputError("an empty name is no image.", hint="Give the path of an image.")
    if is_folder(path):
        list_folder(path)  # where that is what failed
        raise InputError(
            f"{path}: is a folder, expected an image file.",
            hint="Give the files in it; cifar-classify takes a folder of image files, but no folders inside it.",
        )


def decode_image(
    data: bytes, *, name: str, keep_alpha: bool = False, least_jpeg_side: int | None = None
) -> "Image":
    """The upright RGB picture in the bytes of an image file, a Pillow image of mode RGB.

    Args:
        data: a PNG, JPEG, WebP, GIF, BMP, TIFF or PPM file.
        name: what to call it in error messages.
        keep_alpha: as for :func:`read_image`.
        least_jpeg_side: as for :func:`read_image`.

    Raises:
        InputError: as :func:`read_image`.
    """
    if len(data) > MAX_IMAGE_BYTES:
        raise InputError(
            f"{name}: is larger than {MAX_IMAGE_BYTES} bytes.", hint="Give a smaller file."
        )
    image_format = _format_from_bytes(data, name)
    try:
        picture = _decode(data, image_format, name, least_jpeg_side)
    except InputError:
        raise
    except Exception as error:  # Pillow raises seven classes on damaged files
        raise InputError(
            f"{name}: is not a readable {image_format} image: {_reason(error)}.",
            hint="Check that the file is complete, or save it again as PNG.",
        ) from error
    return upright_rgb(picture, name=name, keep_alpha=keep_alpha)


def upright_rgb(picture: "Image", *, name: str, keep_alpha: bool = False) -> "Image":
    """A Pillow image of any mode as its upright RGB picture; the given one is not changed.

    Raises:
        InputError: it is too large, damaged, or the range of its pixels is not known.
    """
    _check_size(picture, name)
    try:
        return _to_rgba(picture, name) if keep_alpha else _to_rgb(picture, name)
    except InputError:
        raise
    except Exception as error:  # as above: an image may be opened but not decoded yet
        raise InputError(
            f"{name}: cannot be converted to RGB: {_reason(error)}.",
            hint="Save it again as an 8-bit RGB PNG.",
        ) from error


def picture_from_array(pixels: NDArray[Any], *, name: str, channels: int = 3) -> "Image":
    """An array of pixels as a Pillow image of mode RGB, or RGBA for four channels.

    Args:
        pixels: uint8, shape (height, width, channels), 0..255; three channels are RGB, one is grey.
        name: what to call it in error messages.
        channels: what the pixels may have besides three.

    Raises:
        InputError: the array has another dtype or shape, or no pixels, or too many.
    """
    from PIL import Image

    known = tuple(dict.fromkeys((3, channels)))
    if (
        pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] not in known
        or pixels.size == 0
    ):
        raise InputError(
            f"{name}: is {pixels.dtype} of shape {pixels.shape}, "
            f"expected uint8 of shape (height, width, {' or '.join(map(str, known))}).",
            hint="Give RGB pixels 0..255.",
        )
    plain = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    picture = Image.fromarray(np.ascontiguousarray(plain))
    _check_size(picture, name)
    return picture.convert("RGBA" if channels == 4 else "RGB")


def _format_from_bytes(data: bytes, name: str) -> str:
    for image_format, _, signatures in _FORMATS:
        if data.startswith(signatures) and (image_format != "WEBP" or data[8:12] == b"WEBP"):
            return image_format
    known = ", ".join(image_format for image_format, _, _ in _FORMATS)
    what = "is empty" if not data else "is not an image of a known format"
    raise InputError(f"{name}: {what}, expected one of {known}.", hint="Save it as PNG or JPEG.")


def _decode(data: bytes, image_format: str, name: str, least_jpeg_side: int | None) -> "Image":
    from PIL import Image

    open_format = _opener(image_format)
    _silence_pillow()
    with _DECODING, warnings.catch_warnings(), _silenced_library(image_format):
        warnings.simplefilter("ignore")  # notes on odd metadata; damage raises
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        stream = _stream(data, image_format)
        picture = open_format(stream, "")
        if image_format == "JPEG":
            _reduce(picture, name, least_jpeg_side)
        _check_size(picture, name)
        if image_format == "JPEG":
            stream.watch(picture)
        picture.load()
    return picture


@cache
def _opener(image_format: str) -> "Callable[[Any, str], ImageFile]":
    """What Image.open would call as well, after importing four more plugins (8 ms)."""
    from PIL import Image

    plugins = {known: plugin for known, plugin, _ in _FORMATS}
    importlib.import_module(f"PIL.{plugins[image_format]}")
    return Image.OPEN[image_format][0]


def _stream(data: bytes, image_format: str) -> Any:
    if image_format != "JPEG":
        return BytesIO(data)
    from cifar_runtime.imaging.jpeg_data import WatchedJpeg  # no other format needs it

    return WatchedJpeg(data)


def _silence_pillow() -> None:
    """Keeps Pillow's log, where nobody has asked for one, from stderr: what it says is in the exception too."""
    import logging  # Pillow has imported it

    logger = logging.getLogger("PIL")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _silenced_library(image_format: str) -> AbstractContextManager[None]:
    from cifar_runtime.system.native_stderr import LIBTIFF_MESSAGE, filtered_native_stderr

    return filtered_native_stderr(LIBTIFF_MESSAGE) if image_format == "TIFF" else nullcontext()


def _reduce(picture: "Image", name: str, least_side: int | None) -> None:
    """Has a JPEG decoded at a smaller scale; the header alone has been read yet."""
    width, height = picture.size
    divisor = 1
    if width * height > MAX_PIXELS:
        progressive = "progressive" in picture.info
        limit = MAX_PROGRESSIVE_PIXELS if progressive else MAX_JPEG_PIXELS
        if width * height > limit:
            kind = "a progressive JPEG" if progressive else "a JPEG"
            raise _too_large(name, f"{width} x {height} pixels", limit, kind)
        divisor = next(step for step in (2, 4, 8) if width * height <= step**2 * MAX_PIXELS)
    divisor = max(divisor, jpeg_divisor(picture.size, least_side))
    if divisor > 1:
        picture.draft(None, (width // divisor, height // divisor))


def jpeg_divisor(size: tuple[int, int], least_side: int | None) -> int:
    """By how much the smallest scale of a JPEG that leaves ``least_side`` divides its sides; None leaves all.

    Args:
        size: width and height.
        least_side: the shorter side in pixels that must be left.
    """
    if least_side is None:
        return 1
    return next((step for step in (8, 4, 2) if min(size) // step >= least_side), 1)


def _check_size(picture: "Image", name: str) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise _too_large(name, f"{width} x {height} pixels", MAX_PIXELS, "all")
    if width * height == 0:
        raise InputError(f"{name}: has no pixels.", hint="Give an image of at least 1 x 1.")


def _too_large(name: str, found: str, limit: int, kind: str) -> InputError:
    note = " (4096 x 4096)" if limit == MAX_PIXELS else ""
    return InputError(
        f"{name}: has {found}, expected at most {limit} in {kind}{note}.",
        hint="Scale it down first.",
    )


def _upright(picture: "Image") -> "Image":
    """The picture as it is where it stands upright: a copy of a photograph is tens of megabytes."""
    if picture.getexif().get(_EXIF_ORIENTATION, 1) == 1:
        picture.load()
        return picture
    from PIL import ImageOps

    return ImageOps.exif_transpose(picture)


def _to_rgb(picture: "Image", name: str) -> "Image":
    # The copy that stands upright has lost the format and the tags: ask the original.
    sixteen_bits = _is_sixteen_bit_grey(picture, name)
    upright = _upright(picture)
    if sixteen_bits:
        return _from_sixteen_bits(upright)
    if picture.mode in _TRANSPARENT_MODES or "transparency" in picture.info:
        return _over_background(upright)
    if picture.mode in _OPAQUE_MODES:
        return upright if upright.mode == "RGB" else upright.convert("RGB")
    raise InputError(
        f"{name}: has pixels of mode {picture.mode}, whose range or colours are not stated, "
        "expected 8-bit colour or 8- or 16-bit grey.",
        hint="Save it as an 8-bit RGB PNG.",
    )


def _to_rgba(picture: "Image", name: str) -> "Image":
    if picture.mode not in _TRANSPARENT_MODES and "transparency" not in picture.info:
        return _to_rgb(picture, name).convert("RGBA")
    return _with_alpha(_upright(picture))


def _is_sixteen_bit_grey(picture: "Image", name: str) -> bool:
    """Whether pixels are 0..65535; refuses what Pillow hands out like that but is not."""
    # Pillow scales a PGM of more than 8 bits to 0..65535, whatever its maximum is.
    is_pgm = picture.mode == "I" and picture.format == "PPM"
    if picture.mode not in _SIXTEEN_BIT_MODES and not is_pgm:
        return False
    tags = getattr(picture, "tag_v2", {})
    bits = tags.get(_TIFF_BITS_PER_SAMPLE, (16,))
    black_is_zero = tags.get(_TIFF_PHOTOMETRIC, _TIFF_BLACK_IS_ZERO) == _TIFF_BLACK_IS_ZERO
    if tuple(bits) != (16,) or not black_is_zero or "transparency" in picture.info:
        raise InputError(
            f"{name}: is grey of an unusual kind (12 bits, inverted, or with a transparent level), "
            "expected plain 16-bit grey.",
            hint="Save it as an 8-bit PNG.",
        )
    return True


def _from_sixteen_bits(picture: "Image") -> "Image":
    from PIL import Image

    levels = np.asarray(picture).astype(np.uint32)
    # 65535 is 255 * 257, so this is the nearest 8-bit level.
    grey = ((levels + 128) // 257).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _over_background(picture: "Image") -> "Image":
    from PIL import Image

    colours = _with_alpha(picture)
    background = Image.new("RGBA", colours.size, (*BACKGROUND, 255))
    return Image.alpha_composite(background, colours).convert("RGB")


def _with_alpha(picture: "Image") -> "Image":
    # Pillow converts premultiplied colours only through their plain form.
    plain = {"La": "LA", "RGBa": "RGBA"}.get(picture.mode)
    picture = picture.convert(plain) if plain else picture
    return picture.convert("RGBA")


def _reason(error: Exception) -> str:
    text = shortened(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
