"""A split becomes a whole folder of pictures, or none."""

import errno
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cifar_data.packaged import test_sample as packaged_sample
from cifar_data.pictures.write_folder import write_picture_folder
from cifar_runtime.errors import InputError


def test_a_disk_that_is_full_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def save(image: Image.Image, path: Path, **_: Any) -> None:
        del image
        written.append(path)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")  # as of a write: no name

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(InputError) as caught:
        write_picture_folder(packaged_sample(), tmp_path / "set")
    assert str(caught.value) == (
        f"{tmp_path}/set: cannot be written: No space left on device. "
        "Check the path, its permissions and the space left."
    )
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    sample = packaged_sample().take([0, 1], name="two")
    write_picture_folder(sample, tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert len(list((tmp_path / "set").rglob("*.png"))) == 2
