"""Puts a verified artefact in its place: the model by renaming, then its card, never one that differs unasked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cifar_runtime.artefact import card_path
from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.files import MAX_MODEL_BYTES, read_once, write_atomically


def refuse_different(path: Path, data: bytes, *, force: bool) -> None:
    """Checks that publishing would not replace another model.

    Raises:
        ArtefactError: a different file is there and ``force`` is not set.
    """
    if force or not path.exists():
        return
    if read_once(path, max_bytes=MAX_MODEL_BYTES, error=ArtefactError) != data:
        raise ArtefactError(
            f"{path}: a different artefact is there already, and was kept.",
            hint="Give --force to replace it, or another -o DIR.",
        )


def make_folder(folder: Path) -> None:
    """Makes the folder to publish into.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise InputError(
            f"{folder}: cannot be made: {cause.strerror}.", hint="Give another -o DIR."
        ) from cause


def write_artefact(path: Path, data: bytes, card: Mapping[str, Any]) -> None:
    """Writes the model, then the card that names its digest: between the two, loading refuses the pair.

    Raises:
        InputError: the folder cannot be written.
    """
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    try:
        write_atomically(path, data)
        write_atomically(card_path(path), text.encode())
    except OSError as cause:
        raise InputError(
            f"{path}: cannot be written: {cause.strerror}.",
            hint="Check the folder and its free space.",
        ) from cause
