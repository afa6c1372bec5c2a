"""Labelled images of any size and classes; arrays that do not belong together are refused."""

import hashlib
from typing import Any

import numpy as np
import pytest

from cifar_data.split import Split
from cifar_runtime.errors import InputError

GREY = {
    "name": "odd",
    "images": np.full((2, 16, 24, 1), 128, np.uint8),
    "labels": np.array([2, 0], np.uint8),
    "label_names": ("ash", "birch", "cedar"),
    "ids": np.array([7, 9]),
}


def test_a_split_knows_its_images_shape_and_its_classes() -> None:
    split = Split(**GREY)
    assert (split.image_shape, split.num_classes) == ((16, 24, 1), 3)
    assert split.labels.dtype == np.int64


def test_part_of_a_split_keeps_its_class_names() -> None:
    part = Split(**GREY).take(np.array([1]), name="part")
    assert (part.name, part.label_names) == ("part", ("ash", "birch", "cedar"))
    assert (part.labels.tolist(), part.ids.tolist()) == ([0], [9])


def test_the_digest_is_that_of_the_pixels_and_then_the_labels() -> None:
    data = bytes([128]) * (2 * 16 * 24) + (2).to_bytes(8, "little") + (0).to_bytes(8, "little")
    assert Split(**GREY).sha256() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": np.zeros(1, np.uint8)},
            "split odd: 2 images, 1 labels and 2 ids do not belong together. "
            "Give one label and one id for each image.",
        ),
        (
            {"images": np.zeros((2, 16, 24), np.uint8)},
            "split odd: images are uint8 of shape (2, 16, 24), expected uint8 of shape "
            "(n, height, width, channels). Give whole pixels 0..255.",
        ),
        (
            {"images": np.zeros((2, 16, 24, 3), np.float32)},
            "split odd: images are float32 of shape (2, 16, 24, 3), expected uint8 of shape "
            "(n, height, width, channels). Give whole pixels 0..255.",
        ),
        (
            {"labels": np.array([0.0, 1.0])},
            "split odd: labels are float64 of shape (2,), expected integers of shape (n,). "
            "Give each image the index of its class.",
        ),
        (
            {"labels": np.array([0, 3])},
            "split odd: its labels are 0 to 3, expected 0 to 2 for 3 label names. "
            "Give one name for each class.",
        ),
        (
            {"labels": np.array([-1, 1])},
            "split odd: its labels are -1 to 1, expected 0 to 2 for 3 label names. "
            "Give one name for each class.",
        ),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        Split(**{**GREY, **changes})
    assert str(caught.value) == message
