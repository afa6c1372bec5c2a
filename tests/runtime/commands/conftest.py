"""The folder that the tests of ``cifar-classify`` look at."""

from pathlib import Path

import pytest
from cifar_fixtures.classify_command import COLOURS
from PIL import Image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, a file that is none by its name, and a folder inside."""
    path = tmp_path / "images"
    (path / "inner").mkdir(parents=True)
    (path / "notes.txt").write_text("no image")
    for name, colour in COLOURS.items():
        Image.new("RGB", (50, 40), colour).save(path / name)
    return path
