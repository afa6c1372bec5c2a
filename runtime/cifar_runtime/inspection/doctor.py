"""What a bug report needs to know of an installation: versions, processor, interpreters, caches, disks, extras.

Interpreters are tried in processes of their own, since a broken one can end the process that loads it. Paths below
the home folder begin with ``~``. It changes nothing and asks no network; nothing prints (see ``commands.doctor``).
"""

import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_runtime import __version__
from cifar_runtime.classifier import default_model
from cifar_runtime.documents import to_document
from cifar_runtime.environment import Environment, read_environment
from cifar_runtime.errors import CifarEdgeError
from cifar_runtime.formats.known_formats import KNOWN_FORMATS, KnownFormat
from cifar_runtime.plain_text import clause

SCHEMA = "cifar-edge/doctor/1"
_DISTRIBUTIONS = ("cifar-edge", "cifar-edge-runtime")
_SELF_TEST = "from cifar_runtime.commands.info import main; raise SystemExit(main())"
_TIMEOUT_S = 120.0
_REQUIREMENT = re.compile(
    r"""(?P<name>[\w.-]+)(\[(?P<extras>[\w,-]+)\])?.*\bextra == ['"](?P<of>[\w-]+)['"]"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterCheck:
    """Whether an interpreter works here.

    Attributes:
        title: its name.
        works: it gives the scores in the packaged model's card.
        answer: what the self-test said, or why there was none.
    """

    title: str
    works: bool
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder that the tools write to, and the disk below it.

    Attributes:
        purpose: what it is for.
        path: where it is.
        used_bytes: what it holds; None where that was not counted.
        free_bytes: free on its disk; None where the folder cannot be asked.
    """

    purpose: str
    path: str
    used_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """An installation, described.

    Attributes:
        version: of cifar-edge.
        environment: machine, processor, Python and packages.
        interpreters: one check for each format.
        data_set: whether CIFAR-10 is stored here, or why that is unknown.
        folders: those that the tools write to.
        lacking: for each extra, the packages that are not installed; empty for a complete one.
    """

    version: str
    environment: Environment
    interpreters: tuple[InterpreterCheck, ...]
    data_set: str
    folders: tuple[Folder, ...]
    lacking: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        """The description as JSON-ready data."""
        return {"schema": SCHEMA, **to_document(self)}


def diagnose() -> Diagnosis:
    """The installation that runs this."""
    data_set, cache = _data_set()
    return Diagnosis(
        version=__version__,
        environment=read_environment(),
        interpreters=tuple(check_interpreter(known) for known in KNOWN_FORMATS.values()),
        data_set=data_set,
        folders=tuple(_folders(cache)),
        lacking=lacking_packages(),
    )


def check_interpreter(known: KnownFormat) -> InterpreterCheck:
    """The packaged model's self-test, in a process of its own."""
    model = str(default_model(known.name))
    command = [sys.executable, "-c", _SELF_TEST, model, "--self-test"]
    try:
        run = subprocess.run(  # noqa: S603 - our own code on our own model
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return InterpreterCheck(
            title=known.title, works=False, answer=f"no answer in {_TIMEOUT_S:.0f} s"
        )
    except OSError as error:
        answer = f"could not be started: {error.strerror}"
        return InterpreterCheck(title=known.title, works=False, answer=answer)
    said = [line for line in run.stdout.splitlines() if line.startswith("self-test")]
    last = said or run.stderr.splitlines()[-1:] or [f"ended with status {run.returncode}"]
    answer = clause(last[-1].removeprefix("self-test").removeprefix(f"cifar-info: {model}:"))
    return InterpreterCheck(title=known.title, works=run.returncode == 0, answer=answer)


def lacking_packages() -> dict[str, tuple[str, ...]]:
    """For each extra of the installed distributions, what of it is not installed; markers of platforms are kept."""
    lacking: dict[str, dict[str, None]] = {}
    for distribution in _DISTRIBUTIONS:
        for found in _requirements_of_extras(distribution):
            lacking.setdefault(found["of"], {}).update(dict.fromkeys(_lacking(found)))
    return {extra: tuple(packages) for extra, packages in sorted(lacking.items())}


def _lacking(found: re.Match[str]) -> list[str]:
    """What of one requirement is not installed, its own extras included; of ours, package by package."""
    name, extras = found["name"], (found["extras"] or "").split(",")
    within = [
        package
        for inner in _requirements_of_extras(name)
        if inner["of"] in extras
        for package in _lacking(inner)
    ]
    if name in _DISTRIBUTIONS:
        return within
    return [_readable(found.string)] if within or not _is_installed(name) else []


def _requirements_of_extras(distribution: str) -> list[re.Match[str]]:
    matches = map(_REQUIREMENT.match, _requirements(distribution))
    return [found for found in matches if found is not None]


def _readable(requirement: str) -> str:
    """The requirement without the word that names its extra."""
    return re.sub(r"""\s*(;|and) extra == ['"][\w-]+['"]""", "", requirement)


def _requirements(distribution: str) -> list[str]:
    try:
        return importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _data_set() -> tuple[str, Path | None]:
    """What is known of CIFAR-10 here, and the folder of caches; the package that knows is not part of the runtime."""
    try:
        splits = importlib.import_module("cifar_data.cifar10.splits")
    except ImportError:
        return "unknown: cifar-edge, which fetches data sets, is not installed", None
    try:
        cache = splits.cache_folder()
    except CifarEdgeError as error:
        return f"unknown: {clause(str(error))}", None
    return "stored" if splits.is_available() else "not stored: run cifar-data fetch", cache


def _folders(cache: Path | None) -> Iterator[Folder]:
    if cache is not None:
        entries = sorted(cache.iterdir()) if cache.is_dir() else []
        for entry in entries:
            yield _folder(f"cache: {entry.name}", entry, used_bytes=_size(entry))
    yield _folder("temporary", Path(tempfile.gettempdir()))
    yield _folder("current", Path.cwd())


def _folder(purpose: str, path: Path, *, used_bytes: int | None = None) -> Folder:
    try:
        free = shutil.disk_usage(path).free
    except OSError:
        free = None
    return Folder(purpose=purpose, path=_shown(path), used_bytes=used_bytes, free_bytes=free)


def _shown(path: Path) -> str:
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.expanduser raises where there is no home
    text = str(path)
    return f"~{text.removeprefix(home)}" if home != "/" and text.startswith(home) else text


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; what goes meanwhile counts nothing."""
    total = 0
    for file in path.rglob("*") if path.is_dir() else [path]:
        with suppress(OSError):
            total += 0 if file.is_dir() else file.lstat().st_size
    return total
