"""CIFAR-10's binary records and images are the same numbers."""

import numpy as np
import pytest

from cifar_data.cifar10.binary_format import RECORD_BYTES, images_from_records, records_from_images
from cifar_runtime.errors import InputError


@pytest.mark.parametrize("count", [0, RECORD_BYTES + 1])
def test_part_of_a_record_is_refused(count: int) -> None:
    with pytest.raises(InputError, match="are not whole records of 3073 bytes"):
        images_from_records(b"\0" * count, origin="x")


def test_records_and_images_are_inverse() -> None:
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, size=(3, 32, 32, 3), dtype=np.uint8)
    labels = np.array([1, 9, 0], np.uint8)
    data = records_from_images(images, labels)
    assert data[0] == 1
    assert data[1] == images[0, 0, 0, 0]
    assert data[1 + 1024] == images[0, 0, 0, 1]
    back, back_labels = images_from_records(data, origin="x")
    assert np.array_equal(back, images)
    assert np.array_equal(back_labels, labels)
