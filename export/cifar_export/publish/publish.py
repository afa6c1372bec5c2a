"""Puts a verified artefact in its place: a kill at any moment leaves the former artefact or the new one, whole.

A model and its card are two files, and no file system renames two at once. The order that holds:

1. model and card are written, synced and verified in a staging folder of the same file system;
2. the new card is renamed into place carrying the former card as ``replaces``: the former model is in force with it;
3. the model is renamed into place: from here the new card is in force (:func:`cifar_runtime.artefact.card_in_force`);
4. the new card alone is renamed into place.

Where no former artefact is there, the card goes first and the model makes it one: a card alone is none. A folder
is locked meanwhile, so that two exports into it take turns.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cifar_runtime.artefact import MAX_CARD_BYTES, card_in_force, card_path, open_artefact
from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.system.files import (
    MAX_MODEL_BYTES,
    read_once,
    why_unwritable,
    write_atomically,
)
from cifar_runtime.system.interruption import check_interrupted


class DifferentArtefactError(ArtefactError):
    """A different artefact of the same name is there, and was kept."""


def check_folder(folder: Path) -> None:
    """Refuses a folder that could not be published into in the end, before anything slow has begun.

    Raises:
        InputError: it cannot be made or written.
    """
    reason = why_unwritable(folder / "model")
    if reason is not None:
        raise _unwritable(folder, "written", reason)


def make_folder(folder: Path) -> None:
    """Makes the folder to publish into.

    Raises:
        InputError: it cannot be made.
    """
    with _writing(folder, "made"):
        folder.mkdir(parents=True, exist_ok=True)


def write_artefact(path: Path, data: bytes, card: Mapping[str, Any]) -> None:
    """Writes a model and its card side by side, for a staging folder; :func:`publish` puts them in place.

    Raises:
        InputError: the folder cannot be written.
    """
    with _writing(path, "written"):
        write_atomically(path, data)
        write_atomically(card_path(path), _json_bytes(card))


def publish(staged: Path, target: Path, *, force: bool) -> None:
    """Moves a staged artefact to its place, after opening it once more.

    Args:
        staged: the model, its card beside it, in a staging folder beside ``target``.
        target: where the model belongs.
        force: replace a different model.

    Raises:
        ArtefactError: the staged pair does not open.
        DifferentArtefactError: a different model is there and ``force`` is not set.
        InputError: the folder cannot be written.
        KeyboardInterrupt: Ctrl-C was pressed, whatever became of it.
    """
    data = open_artefact(staged).data
    check_interrupted()  # a converter may have swallowed Ctrl-C
    with _locked(target.parent), _writing(target, "written"):
        former = _model_bytes(target)
        if former is not None and former != data and not force:
            raise DifferentArtefactError(
                f"{target}: a different artefact is there already, and was kept.",
                hint="Give --force to replace it, or another -o DIR.",
            )
        former_card = None if former in (None, data) else _card_of(target, former)
        if former_card is not None:
            new_card = json.loads(card_path(staged).read_bytes())
            both = staged.with_name("transition.json")
            write_atomically(both, _json_bytes({**new_card, "replaces": former_card}))
            _rename(both, card_path(target))
        else:
            _rename(card_path(staged), card_path(target))
        _rename(staged, target)
        if former_card is not None:
            _rename(card_path(staged), card_path(target))


def place(staged: Path, target: Path) -> None:
    """Moves one staged file to its place.

    Raises:
        InputError: the folder cannot be written.
    """
    with _writing(target, "written"):
        _rename(staged, target)


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Writes a JSON document.

    Raises:
        InputError: the folder cannot be written.
    """
    with _writing(path, "written"):
        write_atomically(path, _json_bytes(document))


def _model_bytes(target: Path) -> bytes | None:
    if not target.exists():
        return None
    return read_once(target, max_bytes=MAX_MODEL_BYTES, error=ArtefactError)


def _card_of(target: Path, data: bytes) -> Mapping[str, Any] | None:
    """The card in force for the model that is there; None when it has none that belongs to it."""
    try:
        open_artefact(target)
        text = read_once(card_path(target), max_bytes=MAX_CARD_BYTES, error=ArtefactError)
    except ArtefactError:
        return None
    return card_in_force(json.loads(text), data)


def _rename(source: Path, target: Path) -> None:
    """Renames, and makes the folder's entry durable, so that a power cut keeps the order too."""
    source.replace(target)
    if os.name == "posix":
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Waits for other exports into the folder; the lock is the folder's own and ends with the process."""
    if os.name != "posix":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _writing(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        raise _unwritable(path, verb, cause.strerror) from cause


def _unwritable(path: Path, verb: str, reason: str | None) -> InputError:
    return InputError(
        f"{path}: cannot be {verb}: {reason}.",
        hint="Check the folder and its free space, or give another -o DIR.",
    )


def _json_bytes(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
