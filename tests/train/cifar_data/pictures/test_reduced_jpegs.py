"""Training, evaluation and a device see the same pixels of JPEGs, and how these are decoded changes no split."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_data.image_folder import read_image_folder
from cifar_data.pictures.load import load_pictures
from cifar_data.pictures.source_file import FILE_NAME, PictureSource, read_source, write_source
from cifar_runtime.contract import pixel_contract
from cifar_runtime.imaging.fitted_image import read_fitted
from cifar_runtime.imaging.preprocess import fit_picture

REDUCED = pixel_contract((32, 32, 3), "bicubic", jpeg_decoding="reduced")
FULL = pixel_contract((32, 32, 3), "bicubic")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path / "cache"))


def expected_pixels(path: Path) -> np.ndarray:
    opened = Image.open(path)
    opened.draft("RGB", (128, 128))
    return fit_picture(opened.convert("RGB"), FULL)


def in_classes(folder: Path) -> list[Path]:
    paths = [folder / ("cat" if seed % 2 else "dog") / f"{seed}.jpg" for seed in range(40)]
    for seed, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(noise).resize((640, 480)).save(path)
    return paths


def test_training_evaluation_and_a_device_see_the_same_pixels(tmp_path: Path) -> None:
    paths = in_classes(tmp_path / "pets")
    expected = {expected_pixels(path).tobytes() for path in paths}
    assert {read_fitted(path, REDUCED).tobytes() for path in paths} == expected
    trained_on = load_pictures(tmp_path / "pets", REDUCED).splits.values()
    assert {image.tobytes() for split in trained_on for image in split.images} == expected
    judged_on = read_image_folder(tmp_path / "pets", labels=("cat", "dog"), contract=REDUCED)
    assert {image.tobytes() for image in judged_on.images} == expected


def test_how_jpegs_are_decoded_changes_no_split(tmp_path: Path) -> None:
    in_classes(tmp_path / "pets")
    reduced, full = (load_pictures(tmp_path / "pets", way) for way in (REDUCED, FULL))
    assert reduced.splits_document() == full.splits_document()
    assert not np.array_equal(reduced.splits["train"].images, full.splits["train"].images)


def test_a_run_remembers_how_its_pictures_were_decoded(tmp_path: Path) -> None:
    source = PictureSource(path=tmp_path, contract=REDUCED, splits={})
    write_source(tmp_path, source)
    assert read_source(tmp_path) == source


def test_a_run_of_an_earlier_version_decoded_them_in_full(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(
        '{"schema": "cifar-edge/picture-source/1", "path": "/p", "size": [32, 32], '
        '"resize_filter": "bicubic", "splits": {}}'
    )
    found = read_source(tmp_path)
    assert found is not None
    assert found.contract == FULL
