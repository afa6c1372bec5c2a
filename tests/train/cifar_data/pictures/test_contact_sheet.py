"""The contact sheet shows what a folder holds on one page that needs nothing else."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_data.commands.data import main
from cifar_data.pictures.load import load_pictures, picture_contract
from cifar_data.pictures.odd import Odd, odd_pictures
from cifar_runtime.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of ten noisy pictures, one of them with a name that HTML would take for a tag."""
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for name in ("cat & <b>", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(10):
            pixels = random.integers(0, 256, (40, 60, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{number}.png")
    return tmp_path / "pets"


def saved(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def test_pictures_that_show_little_are_odd_and_others_are_not(folder: Path) -> None:
    noise = np.random.default_rng(1).integers(-15, 16, (40, 60, 3))
    saved(folder / "dog" / "a-wall.png", np.full((40, 60, 3), 128))
    saved(folder / "dog" / "b-night.png", np.clip(3 * noise, 0, 255))
    saved(folder / "dog" / "c-flash.png", np.clip(255 + 3 * noise, 0, 255))
    saved(folder / "dog" / "d-panorama.png", np.tile(128 + 8 * noise, (1, 3, 1)))
    pictures = load_pictures(folder, picture_contract((32, 32), "bicubic"))
    names = [file.name for file in pictures.listing.files]
    found = {names[one.position]: one.why for one in odd_pictures(pictures)}
    assert found == {
        "dog/a-wall.png": "almost one colour",
        "dog/b-night.png": "very dark",
        "dog/c-flash.png": "very bright",
        "dog/d-panorama.png": "180x40: more than half is cut off",
    }
    assert isinstance(odd_pictures(pictures)[0], Odd)


class Reader(HTMLParser):
    """Collects headings, sources of pictures, and whatever would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.headings: list[str] = []
        self._in_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_heading = tag in ("h1", "h2", "h3")
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.headings.append(data.strip())
        self._in_heading = False


def test_the_page_shows_each_class_and_each_finding_and_fetches_nothing(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    follows: Callable[[str, object], bool],
) -> None:
    (folder / "dog" / "copy.png").write_bytes((folder / "dog" / "0.png").read_bytes())
    (folder / "dog" / "broken.png").write_bytes(b"\x89PNG")
    saved(folder / "dog" / "wall.png", np.full((40, 60, 3), 128))
    page = tmp_path / "pets.html"
    assert main(["check", str(folder), "--size", "32", "--html", str(page), "--json", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert follows("picture-check", document)
    assert document["odd"] == [{"name": "dog/wall.png", "why": "almost one colour"}]
    text = page.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(text)
    assert reader.headings == [
        "pets",
        "Sizes",
        "Samples",
        "cat & <b>",
        "dog",
        "Odd ones (1)",
        "Copies (1)",
        "Not readable (1)",
    ]
    # Eight samples of each class, the odd one, and the copy that is used.
    assert len(reader.sources) == 8 + 8 + 1 + 1
    assert all(source.startswith("data:image/jpeg;base64,") for source in reader.sources)
    assert not re.search(r"https?:|<script|url\(", text)


def test_a_page_goes_into_an_html_file_only(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(folder), "--html", "pets.png"]) == UsageError.exit_code
    assert "expected a name that ends in .html" in capsys.readouterr().err
