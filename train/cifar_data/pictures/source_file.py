"""``data.json`` of a training run: where its pictures lie on this machine, and which they were; never published."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_data.pictures.load import Pictures, load_pictures, picture_contract
from cifar_data.split import Split
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.system.files import read_once, write_atomically

SCHEMA = "cifar-edge/picture-source/1"
FILE_NAME = "data.json"
_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSource:
    """The pictures of a run.

    Attributes:
        path: the folder or CSV file, absolute.
        contract: the size, and how pictures are brought to it.
        splits: number and digest of each split's pictures.
    """

    path: Path
    contract: InputContract
    splits: dict[str, dict[str, Any]]


def write_source(folder: Path, source: PictureSource) -> None:
    """Writes ``data.json`` into a run folder."""
    height, width, _ = source.contract.shape
    document = {
        "schema": SCHEMA,
        "path": str(source.path),
        "size": [height, width],
        "resize_filter": source.contract.resize_filter,
        "jpeg_decoding": source.contract.jpeg_decoding,
        "splits": source.splits,
    }
    write_atomically(folder / FILE_NAME, (json.dumps(document, indent=1) + "\n").encode())


def read_source(folder: Path) -> PictureSource | None:
    """What ``data.json`` in a run folder says; None where there is none.

    Raises:
        InputError: it is there and cannot be read.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        document = json.loads(read_once(path, max_bytes=_MAX_BYTES, error=InputError))
        height, width = document["size"]
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']!r}, expected {SCHEMA!r}")
        return PictureSource(
            path=Path(document["path"]),
            contract=picture_contract(
                (height, width),
                document["resize_filter"],
                document.get("jpeg_decoding", "full"),  # runs of earlier versions
            ),
            splits=document["splits"],
        )
    except (ValueError, KeyError, TypeError, ArtefactError) as cause:
        raise InputError(
            f"{path}: does not say where the run's pictures are: {cause}.",
            hint="Train again, or move the file away and name the pictures by options.",
        ) from cause


def load_source(
    source: PictureSource,
    *,
    processes: int = 1,
    on_done: Callable[[int, int], None] | None = None,
) -> Pictures:
    """The pictures that a run had.

    Raises:
        InputError: they are no longer there, or are others now.
    """
    pictures = load_pictures(source.path, source.contract, processes=processes, on_done=on_done)
    found = pictures.splits_document()
    for part, document in source.splits.items():
        if found.get(part) != document:
            raise InputError(
                f"{source.path}: its {part} pictures are not those of the run: {found[part]['images']} with digest "
                f"{found[part]['sha256'][:12]}…, expected {document['images']} with {document['sha256'][:12]}….",
                hint="Restore the pictures, or train again on those that are there now.",
            )
    return pictures


def load_test_pictures(folder: Path) -> Split:
    """The test pictures of a training run.

    Args:
        folder: the run's.

    Raises:
        InputError: it holds no run on pictures, or they are no longer there, or are others now.
    """
    source = read_source(folder)
    if source is None:
        raise InputError(
            f"{folder}: holds no {FILE_NAME}, expected the folder of a run on pictures.",
            hint="Give the folder that cifar-train --data wrote.",
        )
    return load_source(source).splits["test"]
