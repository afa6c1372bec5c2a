"""Two hundred picture files of every kind that browsers and the runtime both read, the same on every run."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from cifar_data.packaged import test_sample

NUM_PICTURES = 200
_ORIENTATION = 0x0112
_SHAPES = (
    *(
        (1, 1),
        (2, 3),
        (1, 50),
        (50, 1),
        (17, 31),
        (31, 17),
        (32, 32),
        (33, 33),
        (32, 100),
        (40, 30),
    ),
    *((64, 64), (100, 75), (75, 100), (128, 96), (224, 224), (320, 240), (333, 500), (640, 480)),
    *((500, 120), (1024, 768), (63, 257), (257, 63), (96, 97)),
)
_THREE_MEGAPIXELS = (2048, 1536)


def write_pictures(folder: Path) -> list[Path]:
    """Writes the pictures and returns their paths; each name begins with its number and its kind."""
    images = test_sample().images
    kinds = itertools.cycle(_KINDS.items())
    shapes = itertools.cycle(_SHAPES)
    paths = []
    for index, ((kind, save), shape) in enumerate(zip(kinds, shapes, strict=False)):
        if index == NUM_PICTURES:
            break
        size = _THREE_MEGAPIXELS if index % 50 == 7 else shape
        path = folder / f"{index:03d}-{kind}-{size[0]}x{size[1]}{_suffix(kind)}"
        save(_scene(images[index], size, seed=index), path)
        paths.append(path)
    return paths


def _scene(image: NDArray[np.uint8], size: tuple[int, int], *, seed: int) -> Image.Image:
    """A photograph of CIFAR-10 stretched to ``size``, with noise, so that every pixel counts."""
    stretched = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
    noise = np.random.default_rng(seed).normal(0, 10, stretched.shape)
    return Image.fromarray(np.clip(stretched + noise, 0, 255).astype(np.uint8))


def _alpha(picture: Image.Image) -> Image.Image:
    """An alpha channel that takes every level, from left to right."""
    ramp = np.linspace(0, 255, picture.width).astype(np.uint8)
    return Image.fromarray(np.tile(ramp, (picture.height, 1)))


def _transparent(picture: Image.Image) -> Image.Image:
    picture = picture.convert("RGBA")
    picture.putalpha(_alpha(picture))
    return picture


def _png(mode: str) -> Callable[[Image.Image, Path], None]:
    return lambda picture, path: picture.convert(mode).save(path)


def _jpeg(
    quality: int, subsampling: int, *, progressive: bool = False
) -> Callable[[Image.Image, Path], None]:
    return lambda picture, path: picture.save(
        path, quality=quality, subsampling=subsampling, progressive=progressive
    )


def _rotated(orientation: int) -> Callable[[Image.Image, Path], None]:
    def save(picture: Image.Image, path: Path) -> None:
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        picture.save(path, exif=exif)

    return save


def _png_grey_alpha(picture: Image.Image, path: Path) -> None:
    grey = picture.convert("L")
    Image.merge("LA", (grey, _alpha(picture))).save(path)


def _png_sixteen_bits(picture: Image.Image, path: Path) -> None:
    levels = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    Image.fromarray(levels).save(path)


def _png_palette(picture: Image.Image, path: Path) -> None:
    picture.quantize(64).save(path)


def _png_palette_alpha(picture: Image.Image, path: Path) -> None:
    picture.quantize(64).save(path, transparency=bytes(range(0, 256, 4)))


def _png_transparent_colour(picture: Image.Image, path: Path) -> None:
    picture.save(path, transparency=picture.getpixel((0, 0)))


def _png_gamma(picture: Image.Image, path: Path) -> None:
    chunks = PngInfo()
    chunks.add(b"gAMA", (100_000).to_bytes(4, "big"))
    picture.save(path, pnginfo=chunks)


def _profiled(picture: Image.Image, path: Path) -> None:
    picture.save(
        path, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    )


def _gif_transparent(picture: Image.Image, path: Path) -> None:
    picture.quantize(64).save(path, transparency=3)


def _webp(*, lossless: bool, alpha: bool) -> Callable[[Image.Image, Path], None]:
    def save(picture: Image.Image, path: Path) -> None:
        (_transparent(picture) if alpha else picture).save(path, lossless=lossless, quality=80)

    return save


_KINDS: dict[str, Callable[[Image.Image, Path], None]] = {
    "png-rgb": _png("RGB"),
    "jpeg-420": _jpeg(75, 2),
    "webp-lossy": _webp(lossless=False, alpha=False),
    "jpeg-exif-6": _rotated(6),
    "png-rgba": lambda picture, path: _transparent(picture).save(path),
    "png-grey": _png("L"),
    "png-palette": _png_palette,
    "jpeg-444": _jpeg(95, 0),
    "gif": lambda picture, path: picture.save(path),
    "bmp": _png("RGB"),
    "jpeg-exif-3": _rotated(3),
    "png-grey-alpha": _png_grey_alpha,
    "webp-alpha": _webp(lossless=False, alpha=True),
    "jpeg-progressive": _jpeg(60, 2, progressive=True),
    "jpeg-exif-8": _rotated(8),
    "png-palette-alpha": _png_palette_alpha,
    "webp-lossless": _webp(lossless=True, alpha=False),
    "jpeg-grey": lambda picture, path: picture.convert("L").save(path),
    "jpeg-exif-5": _rotated(5),
    "png-transparent-colour": _png_transparent_colour,
    "png-gamma": _png_gamma,
    "jpeg-422": _jpeg(85, 1),
    "gif-transparent": _gif_transparent,
    "png-one-bit": _png("1"),
    "jpeg-exif-7": _rotated(7),
    "webp-lossless-alpha": _webp(lossless=True, alpha=True),
    "png-sixteen-bits": _png_sixteen_bits,
    "jpeg-exif-2": _rotated(2),
    "png-exif-6": _rotated(6),
    "webp-exif-6": _rotated(6),
    "jpeg-exif-4": _rotated(4),
    "webp-exif-7": _rotated(7),
    "jpeg-cmyk": _png("CMYK"),
    "png-profile": _profiled,
}


def _suffix(kind: str) -> str:
    return "." + kind.split("-", maxsplit=1)[0]
