"""Class folders become labelled images, and folders that are not the labels are refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_data.image_folder import class_names, images_below, read_image_folder
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import CifarEdgeWarning, InputError

CONTRACT = InputContract(
    shape=(8, 8, 3),
    dtype="float32",
    multiplier=1.0,
    offset=0.0,
    scale=None,
    zero_point=None,
    resize_filter="bicubic",
)
LABELS = ("cat", "ant")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three plain cats of two sizes and one plain ant, whose red is the number of the file."""
    for label, reds in (("cat", (1, 2, 3)), ("ant", (9,))):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for red in reds:
            size = (16, 8) if red == 2 else (8, 8)
            picture = Image.new("RGB", size, (red, 0, 0))
            picture.save(tmp_path / "pets" / label / f"{red}.png")
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "pets" / ".cache").mkdir()
    return tmp_path / "pets"


def test_images_come_in_the_order_of_the_labels_and_fit_the_contract(folder: Path) -> None:
    split = read_image_folder(folder, labels=LABELS, contract=CONTRACT)
    assert (split.name, split.label_names) == ("pets", LABELS)
    assert split.images.shape == (4, 8, 8, 3)
    assert split.images[:, 0, 0, 0].tolist() == [1, 2, 3, 9]
    assert split.labels.tolist() == [0, 0, 0, 1]


def test_without_labels_the_classes_are_the_folders_sorted(folder: Path) -> None:
    split = read_image_folder(str(folder), contract=CONTRACT)
    assert split.label_names == ("ant", "cat")
    assert split.images[:, 0, 0, 0].tolist() == [9, 1, 2, 3]


def test_a_limit_takes_every_class_in_turn_and_the_name_says_so(folder: Path) -> None:
    split = read_image_folder(folder, labels=LABELS, contract=CONTRACT, limit=2)
    assert split.name == "pets[:2]"
    assert split.images[:, 0, 0, 0].tolist() == [1, 9]
    assert split.labels.tolist() == [0, 1]
    assert split.ids.tolist() == [0, 3]


@pytest.mark.parametrize(("limit", "name"), [(4, "pets[:4]"), (5, "pets")])
def test_the_name_says_what_the_limit_left(folder: Path, limit: int, name: str) -> None:
    assert read_image_folder(folder, contract=CONTRACT, limit=limit).name == name


def test_the_digest_names_the_pixels_and_the_labels(folder: Path) -> None:
    one = read_image_folder(folder, labels=LABELS, contract=CONTRACT).sha256()
    (folder / "cat" / "1.png").rename(folder / "cat" / "0.png")
    assert read_image_folder(folder, labels=LABELS, contract=CONTRACT).sha256() == one
    (folder / "cat" / "0.png").rename(folder / "ant" / "0.png")
    assert read_image_folder(folder, labels=LABELS, contract=CONTRACT).sha256() != one


def test_the_root_folder_has_no_name_to_quote() -> None:
    with pytest.raises(InputError, match="the root folder is no folder of images"):
        read_image_folder("/", contract=CONTRACT)


def test_class_names_are_the_visible_folders_sorted(folder: Path) -> None:
    assert class_names(folder) == ("ant", "cat")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            ("cat", "aunt"),
            "{folder}: class folder 'ant' is not one of cat, aunt (did you mean aunt?). "
            "Name the folders like the model's labels.",
        ),
        (
            ("cat", "ant", "bee"),
            "{folder}: has no folder for bee, expected one for each of the 3 labels. "
            "Make an empty folder for a class that has no images.",
        ),
    ],
)
def test_folders_that_are_not_the_labels_are_refused(
    folder: Path, labels: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_image_folder(folder, labels=labels, contract=CONTRACT)
    assert str(caught.value) == message.format(folder=folder)


def test_folders_without_images_and_images_that_do_not_decode_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder of images"):
        read_image_folder(tmp_path / "missing", labels=LABELS, contract=CONTRACT)
    with pytest.raises(InputError, match="holds no class folders"):
        read_image_folder(tmp_path, labels=LABELS, contract=CONTRACT)
    for label in LABELS:
        (tmp_path / label).mkdir()
    with pytest.raises(InputError, match="its class folders hold no image"):
        read_image_folder(tmp_path, labels=LABELS, contract=CONTRACT)
    (tmp_path / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match=r"broken\.png: is not a readable PNG image"):
        read_image_folder(tmp_path, labels=LABELS, contract=CONTRACT)


def test_the_same_pixels_as_the_runtime_sees(folder: Path) -> None:
    images = read_image_folder(folder, labels=LABELS, contract=CONTRACT).images
    assert images.dtype == np.uint8
    assert np.array_equal(images[1], np.full((8, 8, 3), (2, 0, 0), dtype=np.uint8))


def test_litter_beside_pictures_is_passed_over(folder: Path) -> None:
    """Each of these once ended the command, doubled an image or was taken for a class."""
    for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX", ".Trash"):
        for place in (folder, folder / "cat"):
            (place / name).mkdir()
            shutil.copy(folder / "cat" / "1.png", place / name / "1.png")
    (folder / "cat" / "._1.png").write_bytes(b"\0\5\x16\7")
    split = read_image_folder(folder, contract=CONTRACT)
    assert split.label_names == ("ant", "cat")
    assert split.images[:, 0, 0, 0].tolist() == [9, 1, 2, 3]


def test_links_to_folders_are_followed_and_none_is_read_twice(folder: Path) -> None:
    (folder / "cat").rename(folder.parent / "felines")
    (folder / "cat").symlink_to(folder.parent / "felines")
    (folder.parent / "felines" / "again").symlink_to(folder.parent / "felines")
    split = read_image_folder(folder, contract=CONTRACT)
    assert split.images[:, 0, 0, 0].tolist() == [9, 1, 2, 3]
    assert [path.name for path in images_below(folder)] == ["9.png", "1.png", "2.png", "3.png"]


def test_a_label_is_equal_to_itself_in_both_forms_of_unicode(folder: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    (folder / "cat").rename(folder / decomposed)
    for label in (composed, decomposed):
        split = read_image_folder(folder, labels=(label, "ant"), contract=CONTRACT)
        assert split.label_names == (label, "ant")
    assert class_names(folder) == ("ant", composed)
    (folder / composed).mkdir()
    with pytest.raises(InputError, match="two class folders are named"):
        class_names(folder)


def test_pictures_that_cannot_be_decoded_are_counted_and_named(folder: Path) -> None:
    for number in range(5):
        (folder / "cat" / f"IMG_{number}.HEIC").write_bytes(b"heic")
    with pytest.warns(CifarEdgeWarning) as caught:
        split = read_image_folder(folder, contract=CONTRACT)
    assert len(split.labels) == 4
    assert [str(one.message) for one in caught] == [
        f"{folder / 'cat'}: 5 pictures are left out, since this decodes no such format: "
        "IMG_0.HEIC, IMG_1.HEIC, IMG_2.HEIC, .... Save them as PNG or JPEG."
    ]


def test_a_broken_link_to_a_picture_is_no_silence(folder: Path) -> None:
    (folder / "cat" / "4.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(InputError, match=r"4\.png: cannot be read: No such file or directory"):
        read_image_folder(folder, contract=CONTRACT)
