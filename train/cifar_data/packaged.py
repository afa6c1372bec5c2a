"""What the package brings along, so that nothing needs the data set's download: samples and a trained checkpoint."""

import hashlib
import json
from pathlib import Path

import numpy as np

from cifar_data.cifar10.binary_format import images_from_records
from cifar_data.cifar10.splits import LABELS
from cifar_data.split import Split
from cifar_runtime.errors import InputError

_PACKAGE = Path(__file__).parent


def calibration_sample() -> Split:
    """512 images of the train split, stratified, for quantization ranges.

    Raises:
        InputError: the installed file is damaged.
    """
    return _sample("calibration-sample")


def test_sample() -> Split:
    """1,000 images of the test split: the first 100 of each class in official order.

    Raises:
        InputError: the installed file is damaged.
    """
    return _sample("test-sample")


def sample_images() -> tuple[Path, ...]:
    """Ten 32x32 PNG files, one a class, named by their label: the first of each class in the test split."""
    return tuple(sorted((_PACKAGE / "samples" / "images").glob("*.png")))


def checkpoint() -> Path:
    """The trained ``edge-s``, the default, as a Keras file without optimizer state; its card lies beside it."""
    return _PACKAGE / "checkpoints" / "edge-s.keras"


def soft_labels() -> Path:
    """A teacher's answers for the 45,000 training images, which recipes distil from; their card lies beside them."""
    return _PACKAGE / "checkpoints" / "soft-labels.npy"


def _sample(name: str) -> Split:
    record = json.loads((_PACKAGE / "samples" / "samples.json").read_text(encoding="utf-8"))[
        "splits"
    ][name]
    path = _PACKAGE / "samples" / record["file"]
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != record["sha256"]:
        raise InputError(
            f"{path}: its sha256 is not the recorded one.", hint="Install cifar-edge again."
        )
    images, labels = images_from_records(data, origin=str(path))
    return Split(
        name=name,
        images=images,
        labels=labels.astype(np.int64),
        label_names=LABELS,
        ids=np.array(record["ids"], dtype=np.int64),
    )
