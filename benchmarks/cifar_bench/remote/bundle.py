"""A recipe with the files it names, as the bytes of one ZIP archive that travels to a board; pure but for reading them.

A recipe is a frozen dataclass of numbers, texts, paths, tuples of these, and further dataclasses. Each path becomes
a folder of its own in the bundle, with the file, its card where it has one, or a whole folder of images.
"""

import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from cifar_bench.recipe import BenchRecipe
from cifar_runtime.artefact import card_path
from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.system.files import MAX_MODEL_BYTES, exists, is_folder, read_once
from cifar_runtime.user_contract import built_in_names

_REQUEST = "request.json"
_PATH, _PATH_AS_TEXT, _FIELDS = "path", "path-as-text", "fields"
_CONTRACT = "contract"  # the one field that holds a name or a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What is sent.

    Attributes:
        data: a ZIP archive.
        typed: for each path in the archive what the user calls it, for messages.
    """

    data: bytes
    typed: Mapping[str, str]


def pack(recipe: BenchRecipe, *, command: Sequence[str] = ()) -> Bundle:
    """The recipe, the files it names, and the command line that asked for it.

    Raises:
        ArtefactError: a model cannot be read.
        InputError: a folder cannot be read.
    """
    typed: dict[str, str] = {}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        fields = _packed_fields(recipe, archive, typed)
        request = {"recipe": fields, "command": list(command)}
        archive.writestr(_REQUEST, json.dumps(request))
    return Bundle(data=buffer.getvalue(), typed=typed)


def unpack(data: bytes, folder: Path) -> tuple[BenchRecipe, tuple[str, ...]]:
    """The recipe in a bundle, with its files in ``folder``, and the command line that asked for it.

    Args:
        data: what :func:`pack` made.
        folder: an empty one.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder)
    request = json.loads((folder / _REQUEST).read_text(encoding="utf-8"))
    recipe: BenchRecipe = _unpacked_fields(BenchRecipe, request["recipe"], folder)
    return recipe, tuple(request["command"])


def _packed_fields(part: Any, archive: zipfile.ZipFile, typed: dict[str, str]) -> dict[str, Any]:
    def packed(name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return [packed(name, item) for item in value]
        if isinstance(value, Path):
            return {_PATH: _store(archive, value, typed)}
        if name == _CONTRACT and value is not None and value not in built_in_names():
            return {_PATH_AS_TEXT: _store(archive, Path(value), typed)}
        if dataclasses.is_dataclass(value):
            return {_FIELDS: _packed_fields(value, archive, typed)}
        return value

    return {
        field.name: packed(field.name, getattr(part, field.name))
        for field in dataclasses.fields(part)
    }


def _unpacked_fields(part: type[Any], fields: Mapping[str, Any], folder: Path) -> Any:
    types = get_type_hints(part)

    def unpacked(name: str, value: Any) -> Any:
        match value:
            case list():
                return tuple(unpacked(name, item) for item in value)
            case {"path": str(stored)}:
                return folder / stored
            case {"path-as-text": str(stored)}:
                return str(folder / stored)
            case {"fields": dict(inner)}:
                return _unpacked_fields(types[name], inner, folder)
        return value

    return part(**{name: unpacked(name, value) for name, value in fields.items()})


def _store(archive: zipfile.ZipFile, path: Path, typed: dict[str, str]) -> str:
    stored = f"sent-{len(typed)}/{path.name}"
    typed[stored] = str(path)
    if is_folder(path):
        _store_folder(archive, path, stored)
        return stored
    archive.writestr(stored, read_once(path, max_bytes=MAX_MODEL_BYTES, error=ArtefactError))
    if exists(card_path(path)):
        card = read_once(card_path(path), max_bytes=MAX_MODEL_BYTES, error=ArtefactError)
        archive.writestr(card_path(Path(stored)).as_posix(), card)
    return stored


def _store_folder(archive: zipfile.ZipFile, folder: Path, stored: str) -> None:
    archive.mkdir(stored)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = read_once(path, max_bytes=MAX_MODEL_BYTES, error=InputError)
            archive.writestr(f"{stored}/{path.relative_to(folder).as_posix()}", data)
