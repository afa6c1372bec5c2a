"""A CSV file of path,label is read as class folders are, and can give a picture any number of labels."""

from pathlib import Path

import pytest
from PIL import Image

from cifar_data.labelled_images import label_names, labelled_paths, read_labelled_images
from cifar_runtime.contract import pixel_contract
from cifar_runtime.errors import InputError

CONTRACT = pixel_contract((8, 8, 3), "bicubic")
LABELS = ("sky", "sea")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for red in (1, 2, 3):
        Image.new("RGB", (8, 8), (red, 0, 0)).save(tmp_path / f"{red}.png")
    return tmp_path


def table(folder: Path, text: str) -> Path:
    path = folder / "beach.csv"
    path.write_text(text, "utf-8-sig")  # as spreadsheets write it
    return path


def test_a_picture_has_any_number_of_labels(folder: Path) -> None:
    path = table(folder, "path,label\n2.png,sea; sky\n3.png,\n1.png,sea\n")
    split = read_labelled_images(path, labels=LABELS, contract=CONTRACT, any_number=True)
    assert (split.name, split.label_names) == ("beach", LABELS)
    assert split.images[:, 0, 0, 0].tolist() == [2, 3, 1]
    assert split.targets is not None
    assert split.targets.tolist() == [[True, True], [False, False], [False, True]]
    assert [one.name for one in labelled_paths(path, LABELS)] == ["2.png", "3.png", "1.png"]
    part = split.take(split.ids[1:], name="part").targets
    assert part is not None
    assert part.tolist() == [[False, False], [False, True]]


def test_with_one_label_each_it_is_a_class(folder: Path) -> None:
    path = table(folder, "label,path,source\nsky,1.png,mine\nsea,2.png,mine\n")
    split = read_labelled_images(path, labels=LABELS, contract=CONTRACT)
    assert (split.labels.tolist(), split.targets) == ([0, 1], None)


def test_labels_are_sorted_as_keras_sorts_folders(folder: Path) -> None:
    assert label_names(table(folder, "path,label\n1.png,b;Z\n2.png,a\n")) == ("Z", "a", "b")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "its first line is empty"),
        ("1.png,sea\n", "its first line is 1.png,sea"),
        ("image,sea,sky\n1.png,1,0\n", "its first line is image,sea,sky"),
        ("path,label\n1.png,sea,sky\n", "line 2 has other columns"),
        ("path,label\n1.png\n", "line 2 has other columns"),
        ("path,label\n1.png,sea\n1.png,sky\n", "line 3 names 1.png again"),
        ("path,label\n1.png,\n", "names 1 pictures and no label"),
        ("path,label\n1.png,seaa\n", "line 2: label 'seaa'"),
        ("path,label\n4.png,sea\n", "4.png"),
    ],
)
def test_a_table_of_another_form_is_refused(text: str, what: str, folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_labelled_images(table(folder, text), labels=LABELS, contract=CONTRACT, any_number=True)
    assert what in caught.value.message
    assert caught.value.hint


def test_several_labels_are_refused_where_one_holds(folder: Path) -> None:
    path = table(folder, "path,label\n1.png,sea;sky\n")
    with pytest.raises(InputError, match=r"line 2 gives 1\.png 2 labels, expected one"):
        read_labelled_images(path, labels=LABELS, contract=CONTRACT)


def test_class_folders_are_refused_where_any_number_holds(folder: Path) -> None:
    with pytest.raises(InputError, match="gives each picture one label, expected a CSV file"):
        read_labelled_images(folder, labels=LABELS, contract=CONTRACT, any_number=True)
