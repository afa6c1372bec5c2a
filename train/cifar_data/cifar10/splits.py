"""CIFAR-10 as splits, opened from the user cache; it never downloads (see ``sources``) and never writes.

The stored set is four ``.npy`` files that memory-map and one ``dataset.json`` that says where they came from.
"""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_runtime.errors import InputError, MissingDependencyError
from cifar_runtime.install_hints import install_hint
from cifar_runtime.plain_text import reason_of
from cifar_runtime.system.files import archive_boundary, exists, is_file

StoredSplit = Literal["train", "validation", "test", "official-train"]

# The official order: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
LABELS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
IMAGE_SHAPE = (32, 32, 3)
STORED_FILES = (
    "dataset.json",
    "train_images.npy",
    "train_labels.npy",
    "test_images.npy",
    "test_labels.npy",
)
VALIDATION_IDS_PATH = Path(__file__).parents[1] / "samples" / "validation_ids.npy"


def cache_folder() -> Path:
    """Where downloaded data lives: ``CIFAR_EDGE_CACHE``, or the user's cache folder.

    Raises:
        InputError: there is no home folder.
        MissingDependencyError: platformdirs, which knows the user's cache folder, is not installed.
    """
    chosen = os.environ.get("CIFAR_EDGE_CACHE")
    if chosen:
        return Path(chosen)
    try:
        from platformdirs import user_cache_dir
    except ImportError as cause:
        raise MissingDependencyError(
            "the user's cache folder, where CIFAR-10 is kept, needs platformdirs, which is not installed.",
            hint=f"{install_hint('train')} (or, to measure only, '.[bench]')",
        ) from cause
    try:
        folder = Path(user_cache_dir("cifar-edge", appauthor=False)).expanduser()
    except RuntimeError as cause:  # HOME is unset and the user unknown, as in containers
        raise InputError(
            "the user's cache folder, where CIFAR-10 is kept, is unknown: there is no home folder.",
            hint="Set CIFAR_EDGE_CACHE to a folder, or HOME.",
        ) from cause
    return folder


def dataset_folder() -> Path:
    """The folder of the stored set, whether or not it exists."""
    return cache_folder() / "cifar10"


def aside_folder(target: Path) -> Path:
    """Where the old set stands while a new one takes its place."""
    return target.with_name(f"{target.name}.replaced")


def bring_back(target: Path) -> None:
    """Puts the old set back where a fetch was killed between its two renames, or clears it away after them."""
    aside = aside_folder(target)
    if not exists(aside):
        return
    if exists(target):
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.rename(target)


def _stored_folder() -> Path:
    """The folder of the stored set, which comes back here when a fetch was killed while replacing it."""
    folder = dataset_folder()
    if not exists(folder):
        with suppress(OSError):  # a cache that cannot be written, or another process was first
            bring_back(folder)
    return folder


def is_available() -> bool:
    """Whether the full data set is stored on this machine."""
    try:
        folder = _stored_folder()
    except InputError:  # without a cache nothing is stored in it
        return False
    return all(is_file(folder / name) for name in STORED_FILES)


def dataset_record() -> dict[str, Any]:
    """What ``cifar-data fetch`` wrote about the stored set: schema, source and the six SHA-256 digests.

    Raises:
        InputError: the set was not fetched, or its record cannot be read.
    """
    path = _stored_folder() / "dataset.json"
    if not is_file(path):
        raise InputError(
            f"CIFAR-10 is not in {dataset_folder()}.",
            hint="Run cifar-data fetch, once, while online.",
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as cause:
        raise InputError(
            f"{path}: is not JSON: {reason_of(cause)}.", hint="Run cifar-data fetch --force."
        ) from cause
    if not isinstance(record, dict) or not isinstance(record.get("source"), str):
        raise InputError(
            f"{path}: does not say where the set came from.", hint="Run cifar-data fetch --force."
        )
    return record


def load_official(part: Literal["train", "test"]) -> Split:
    """CIFAR-10's own 50,000 training or 10,000 test images in official order, memory-mapped.

    Raises:
        InputError: the set was not fetched, or a file of it is damaged.
    """
    dataset_record()
    folder = dataset_folder()
    with archive_boundary(
        f"{folder}: the stored {part} files cannot be read",
        error=InputError,
        hint="Run cifar-data fetch --force.",
    ):
        images = np.load(folder / f"{part}_images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / f"{part}_labels.npy", allow_pickle=False)
    name = "official-train" if part == "train" else "test"
    return Split(
        name=name,
        images=images,
        labels=labels,
        label_names=LABELS,
        ids=np.arange(len(labels)),
    )


def open_split(name: StoredSplit) -> Split:
    """The split of that name: train (45,000), validation (5,000), test (10,000), official-train (50,000).

    Validation is a fixed stratified part of the official training set, 500 a class, and train is the rest;
    the 5,000 ids are recorded in the package, so that they are the same on every machine.

    Raises:
        InputError: the set was not fetched, or a file of it is damaged.
    """
    if name == "test":
        return load_official("test")
    official = load_official("train")
    if name == "official-train":
        return official
    validation_ids = recorded_validation_ids()
    if name == "validation":
        return official.take(validation_ids, name=name)
    return official.take(np.setdiff1d(official.ids, validation_ids), name=name)


def recorded_validation_ids() -> NDArray[np.int64]:
    """The validation images' positions in the official training order, int64, shape (5000,), ascending."""
    ids: NDArray[np.int64] = np.load(VALIDATION_IDS_PATH, allow_pickle=False).astype(np.int64)
    return ids
