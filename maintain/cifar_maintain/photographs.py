"""Writes a folder as users bring them, for docs/own-pictures.md: ``python -m cifar_maintain.photographs FOLDER``.

Parts of scikit-learn's two photographs, of many sizes, some grey, some turned, and CIFAR-10's frogs; with what goes
wrong in such folders: a copy, a picture under two names, a broken file, a format that is not decoded.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar_data import test_sample
from cifar_runtime.commands.parser import Parser, run_command

_PROGRAM = "python -m cifar_maintain.photographs"
_COUNT = 120
_ORIENTATION = 0x0112  # EXIF's tag
_TURNED_RIGHT = 6  # what a viewer has to do


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def _run(argv: Sequence[str]) -> int:
    parser = Parser(prog=_PROGRAM, description="Write a folder of photographs of three things.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    write_photographs(parser.parse_args(argv).folder)
    return 0


def write_photographs(folder: Path) -> None:
    """Writes ``folder/temple``, ``folder/flower`` and ``folder/frog``, which must be new."""
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(0)
    for name, photograph in zip(("temple", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(_COUNT):
            _write_part(photograph, folder / name / f"IMG_{number:04d}.jpg", number, random)
    _write_frogs(folder / "frog")
    shutil.copy(folder / "flower" / "IMG_0003.jpg", folder / "flower" / "copy.jpg")
    shutil.copy(folder / "flower" / "IMG_0004.jpg", folder / "temple" / "wrong.jpg")
    (folder / "frog" / "phone.heic").write_bytes(b"ftypheic")
    whole = (folder / "frog" / "frog-000.png").read_bytes()
    (folder / "frog" / "broken.png").write_bytes(whole[:300])


def _write_part(
    photograph: NDArray[np.uint8], path: Path, number: int, random: np.random.Generator
) -> None:
    """A part of a photograph, of 90 to 259 pixels' width; each seventh grey, each fifth turned as EXIF says."""
    from PIL import Image

    width = int(random.integers(90, 260))
    height = int(width * random.uniform(0.7, 1.4))
    top = int(random.integers(photograph.shape[0] - height))
    left = int(random.integers(photograph.shape[1] - width))
    picture = Image.fromarray(photograph[top : top + height, left : left + width])
    exif = Image.Exif()
    if number % 7 == 0:
        picture = picture.convert("L")
    if number % 5 == 0:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif[_ORIENTATION] = _TURNED_RIGHT
    picture.save(path, quality=90, exif=exif)


def _write_frogs(folder: Path) -> None:
    from PIL import Image

    folder.mkdir()
    split = test_sample()
    frogs = split.images[split.labels == split.label_names.index("frog")]
    for number, image in enumerate(frogs):
        Image.fromarray(image).save(folder / f"frog-{number:03d}.png")


if __name__ == "__main__":
    sys.exit(main())
