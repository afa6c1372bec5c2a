"""A folder of pictures becomes splits: three layouts, decoded once, changed files noticed, oddities reported."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cifar_data.commands.data import main
from cifar_data.pictures import cache, decode
from cifar_data.pictures.divide import PARTS
from cifar_data.pictures.find import find_pictures
from cifar_data.pictures.load import Pictures, load_pictures, picture_contract
from cifar_data.pictures.report import report_document, report_lines
from cifar_data.pictures.source_file import PictureSource, load_source, read_source, write_source
from cifar_runtime.errors import InputError, UsageError
from cifar_runtime.imaging.image import read_image
from cifar_runtime.imaging.preprocess import fit_picture

CONTRACT = picture_contract((16, 24), "bilinear")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path / "cache"))


def picture(path: Path, seed: int, size: tuple[int, int] = (30, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 20, of different pictures."""
    for seed in range(40):
        picture(tmp_path / "pets" / ("cat" if seed < 20 else "dog") / f"{seed:02d}.png", seed)
    return tmp_path / "pets"


def all_images(pictures: Pictures) -> dict[str, Any]:
    """By file name."""
    return {
        pictures.listing.files[at].name: split.images[row]
        for split in pictures.splits.values()
        for row, at in enumerate(split.ids)
    }


def test_pixels_are_those_that_the_runtime_sees(folder: Path) -> None:
    pictures = load_pictures(folder, CONTRACT)
    images = all_images(pictures)
    assert len(images) == 40
    for name, image in images.items():
        np.testing.assert_array_equal(image, fit_picture(read_image(folder / name), CONTRACT))
    for split in pictures.splits.values():
        names = [pictures.listing.files[at].name for at in split.ids]
        assert [split.label_names[label] for label in split.labels] == [
            name.split("/")[0] for name in names
        ]


def test_several_processes_decode_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = all_images(load_pictures(folder, CONTRACT))
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(folder.parent / "another"))
    monkeypatch.setattr(decode, "FEW", 0)
    done: list[tuple[int, int]] = []
    together = load_pictures(folder, CONTRACT, processes=2, on_done=lambda *at: done.append(at))
    assert done[-1] == (40, 40)
    for name, image in all_images(together).items():
        np.testing.assert_array_equal(image, alone[name])


def test_only_new_and_changed_files_are_decoded_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    original = decode.read_image

    def noting(path: Path) -> Any:
        decoded.append(path.name)
        return original(path)

    monkeypatch.setattr(decode, "read_image", noting)
    before = load_pictures(folder, CONTRACT).splits_document()
    assert len(decoded) == 40
    decoded.clear()
    assert load_pictures(folder, CONTRACT).splits_document() == before
    assert decoded == []
    picture(folder / "cat" / "00.png", 99)
    picture(folder / "cat" / "new.png", 100)
    (folder / "dog" / "39.png").unlink()
    after = load_pictures(folder, CONTRACT)
    assert decoded == ["00.png", "new.png"]
    for name, image in all_images(after).items():
        np.testing.assert_array_equal(image, fit_picture(read_image(folder / name), CONTRACT))
    left = list((folder.parent / "cache" / "pictures").glob("*/pixels-*.bin"))
    assert len(left) == 1


def test_a_file_of_the_same_size_that_changed_is_noticed(folder: Path) -> None:
    path = folder / "cat" / "00.bmp"
    picture(path, 1)
    load_pictures(folder, CONTRACT)
    status = path.stat()
    picture(path, 2)
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    image = all_images(load_pictures(folder, CONTRACT))["cat/00.bmp"]
    np.testing.assert_array_equal(image, fit_picture(read_image(path), CONTRACT))


def test_a_damaged_cache_is_made_anew(folder: Path) -> None:
    before = load_pictures(folder, CONTRACT).splits_document()
    (index,) = (folder.parent / "cache" / "pictures").glob("*/index.json")
    index.write_text(index.read_text()[:100])
    assert load_pictures(folder, CONTRACT).splits_document() == before
    (pixels,) = index.parent.glob("pixels-*.bin")
    pixels.write_bytes(b"short")
    assert len(all_images(load_pictures(folder, CONTRACT))) == 40


def test_splits_are_the_same_whatever_files_are_called_and_saved_as(folder: Path) -> None:
    before = load_pictures(folder, CONTRACT).splits_document()
    for path in folder.rglob("*.png"):
        read_image(path).save(path.with_name(f"renamed-{path.stem}.bmp"))
        path.unlink()
    assert load_pictures(folder, CONTRACT).splits_document() == before
    other_size = load_pictures(folder, picture_contract((20, 20), "bicubic"))
    assert other_size.splits_document() == before


def test_named_splits_stay_and_a_missing_one_is_taken_from_train(tmp_path: Path) -> None:
    for seed in range(60):
        part = "train" if seed < 50 else "test"
        picture(tmp_path / "pets" / part / ("cat" if seed % 2 else "dog") / f"{seed}.png", seed)
    pictures = load_pictures(tmp_path / "pets", CONTRACT)
    names = {
        part: {pictures.listing.files[at].name for at in pictures.splits[part].ids}
        for part in PARTS
    }
    assert {name.split("/")[0] for name in names["test"]} == {"test"}
    assert len(names["test"]) == 10
    assert len(names["validation"]) > 0
    assert {name.split("/")[0] for name in names["train"] | names["validation"]} == {"train"}


def test_a_csv_file_names_pictures_and_labels(folder: Path) -> None:
    lines = ["path,label"]
    lines += [f"cat/{seed:02d}.png,{'odd' if seed % 2 else 'even'}" for seed in range(20)]
    (folder / "mine.csv").write_text("\n".join([*lines, "cat/gone.png,odd"]))
    pictures = load_pictures(folder / "mine.csv", CONTRACT)
    assert pictures.listing.labels == ("even", "odd")
    assert len(all_images(pictures)) == 20
    document = report_document(pictures)
    assert document["undecodable"] == [
        {
            "name": "cat/gone.png",
            "problem": "cannot be read: No such file or directory. Check the path.",
        }
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na.png,x\n", "line 2 has no path or no label"),
        ("path,label\na.png,\n", "line 2 has no path or no label"),
        ("path,label\na.png,x\n", "number of pictures 1, of classes 1; expected"),
    ],
)
def test_a_csv_file_that_names_nothing_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        find_pictures(tmp_path / "mine.csv")


def test_the_report_names_what_is_odd(folder: Path, follows: Callable[[str, object], bool]) -> None:
    (folder / "cat" / "copy.png").write_bytes((folder / "cat" / "00.png").read_bytes())
    (folder / "dog" / "mislabelled.png").write_bytes((folder / "cat" / "01.png").read_bytes())
    (folder / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "dog" / "phone.heic").write_bytes(b"heic")
    for seed in range(20, 32):
        (folder / "dog" / f"{seed}.png").unlink()
    document = report_document(load_pictures(folder, CONTRACT))
    assert follows("picture-check", json.loads(json.dumps(document)))
    assert document["duplicates"] == [["cat/00.png", "cat/copy.png"]]
    assert document["contradicting"] == [["cat/01.png", "dog/mislabelled.png"]]
    assert [one["name"] for one in document["undecodable"]] == ["dog/broken.jpg"]
    assert document["ignored"] == {".heic": 1}
    assert document["sizes"] == {"smallest": [30, 20], "largest": [30, 20], "enlarged": 0}
    text = "\n".join(report_lines(document))
    assert "classes of fewer than 20 pictures (2): cat (19); dog (8)" in text
    assert "cat has 19 pictures, dog 8: training draws each class equally often" in text


def test_a_run_finds_its_pictures_again_and_notices_others(
    folder: Path, tmp_path: Path, follows: Callable[[str, object], bool]
) -> None:
    pictures = load_pictures(folder, CONTRACT)
    source = PictureSource(path=folder, contract=CONTRACT, splits=pictures.splits_document())
    write_source(tmp_path / "run", source)
    assert follows("picture-source", json.loads((tmp_path / "run" / "data.json").read_text()))
    assert read_source(tmp_path / "run") == source
    assert load_source(source).splits_document() == source.splits
    for seed in range(100, 120):
        picture(folder / "cat" / f"{seed}.png", seed)
    with pytest.raises(InputError, match="pictures are not those of the run"):
        load_source(source)
    assert read_source(tmp_path) is None
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(InputError, match="does not say where the run's pictures are"):
        read_source(tmp_path)


def test_a_folder_without_a_readable_picture_is_refused(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "a.png").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"none of its 2 pictures can be decoded; the first, cat/a.png: is empty"
    ):
        load_pictures(tmp_path / "pets", CONTRACT)


def test_a_cache_that_cannot_be_written_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "file")
    with pytest.raises(InputError, match="decoded pictures cannot be kept there"):
        load_pictures(folder, CONTRACT)


def test_check_prints_a_report_and_export_writes_what_check_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], follows: Callable[[str, object], bool]
) -> None:
    target = tmp_path / "png"
    assert main(["export", str(target), "--limit", "40", "--json"]) == 0
    assert follows("data", json.loads(capsys.readouterr().out))
    assert main(["check", str(target), "--size", "32", "--json", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert follows("picture-check", document)
    assert document["pictures"] == 40
    assert [one["label"] for one in document["classes"]][:2] == ["airplane", "automobile"]
    assert main(["export", str(target)]) == UsageError.exit_code
    assert "is there already, expected a new or empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["check"], "check needs a FOLDER"),
        (["verify", "x"], "verify takes no folder, but x was given"),
        (["check", "x", "--force"], "check takes no --force, which belongs to fetch"),
        (["fetch", "--size", "32"], "fetch takes no --size, which belongs to check"),
        (["check", "x", "--size", "8"], "'8' is not a size such as 96 or 64x96"),
    ],
)
def test_options_of_other_actions_are_refused(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert message in capsys.readouterr().err
