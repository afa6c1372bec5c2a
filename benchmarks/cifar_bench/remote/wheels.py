"""All that a board without a network installs, as one ZIP archive: wheels, a script, models. It runs no model."""

import base64
import csv
import hashlib
import importlib.metadata
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cifar_runtime
from cifar_runtime.artefact import card_path
from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.system.files import MAX_MODEL_BYTES, exists, read_once, write_atomically

Machine = Literal["aarch64", "x86_64"]
RUNTIME = "cifar-edge-runtime"
_GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
_INSTALL = """\
#!/bin/sh
# On the board, without a network: sh install.sh [FOLDER] makes a virtual environment and tests it.
set -e
cd "$(dirname "$0")"
folder=${1:-cifar-edge}
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --no-index --find-links wheels cifar-edge-runtime
"$folder/bin/cifar-info" --self-test
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineBundle:
    """What was written.

    Attributes:
        path: the archive.
        size_bytes: of it.
        wheels: names of the wheels in it, sorted.
        models: names of the models in it.
    """

    path: Path
    size_bytes: int
    wheels: tuple[str, ...]
    models: tuple[str, ...]


def write_offline_bundle(
    path: Path, *, machine: Machine, python: str, models: Sequence[Path] = ()
) -> OfflineBundle:
    """Writes the archive: wheels of the runtime and of all it needs, ``install.sh``, and models with their cards.

    Args:
        path: a .zip file; replaced where it is there.
        machine: the board's, as ``uname -m`` says.
        python: the board's version, such as 3.11.
        models: to bring along, besides the packaged ones.

    Raises:
        ArtefactError: a model or its card cannot be read.
        InputError: pip finds no wheels, or the archive cannot be written.
    """
    files = _model_files(models)
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path(folder)
        name, data = runtime_wheel()
        (wheels / name).write_bytes(data)
        _download(wheels, machine, python)
        found = sorted(wheels.glob("*.whl"))
        files |= {f"wheels/{one.name}": one.read_bytes() for one in found}
    files["install.sh"] = _INSTALL.encode()
    archive = _zipped(files)
    try:
        write_atomically(path, archive)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror}.", hint="Give a file in another folder."
        ) from error
    return OfflineBundle(
        path=path,
        size_bytes=len(archive),
        wheels=tuple(one.name for one in found),
        models=tuple(model.name for model in models),
    )


def runtime_wheel() -> tuple[str, bytes]:
    """Name and bytes of a wheel of the runtime as it is installed here: the same bytes every time.

    Source: packaging.python.org, Binary distribution format.
    """
    installed = importlib.metadata.distribution(RUNTIME)
    package = Path(cifar_runtime.__file__).parent
    stem = f"{RUNTIME.replace('-', '_')}-{installed.version}"
    files = {
        f"{package.name}/{one.relative_to(package).as_posix()}": one.read_bytes()
        for one in sorted(package.rglob("*"))
        if one.is_file() and "__pycache__" not in one.parts
    }
    for name in ("METADATA", "entry_points.txt", "licenses/LICENSE"):
        files[f"{stem}.dist-info/{name}"] = (installed.read_text(name) or "").encode()
    files[f"{stem}.dist-info/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: cifar-board\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = f"{stem}.dist-info/RECORD"
    files[record] = _record(files, record)
    return f"{stem}-py3-none-any.whl", _zipped(files)


def _record(files: Mapping[str, bytes], own_name: str) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(data)))
    rows.writerow((own_name, "", ""))
    return text.getvalue().encode()


def _download(folder: Path, machine: Machine, python: str) -> None:
    """The wheels that those in the folder need, for another machine, into the folder."""
    platforms = [f"--platform={glibc}_{machine}" for glibc in _GLIBC]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--only-binary=:all:", f"--python-version={python}", *platforms),
        # pip asks this machine, not the board, whether LiteRT has wheels: it is named.
        *(f"--find-links={folder}", f"--dest={folder}", RUNTIME, "ai-edge-litert"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip, of this environment
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = said[-1].removeprefix("ERROR: ") if said else "it gives no reason"
        raise InputError(
            f"pip finds no wheels for Python {python} on {machine}: {reason.rstrip('.')}.",
            hint="Check the network and the version; for boards without wheels there is cifar-export --format c.",
        )


def _model_files(models: Sequence[Path]) -> dict[str, bytes]:
    files = {}
    for model in models:
        for one in (model, card_path(model)):
            if not exists(one):
                raise ArtefactError(
                    f"{one}: is not there, expected a model with its card beside it.",
                    hint="Give a file that cifar-export wrote.",
                )
            files[f"models/{one.name}"] = read_once(
                one, max_bytes=MAX_MODEL_BYTES, error=ArtefactError
            )
    return files


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """A ZIP archive whose bytes depend on nothing but the files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            entry.compress_type = (
                zipfile.ZIP_STORED if name.endswith(".whl") else zipfile.ZIP_DEFLATED
            )
            archive.writestr(entry, files[name])
    return buffer.getvalue()
