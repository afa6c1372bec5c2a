"""CIFAR-10's six members with random content, as archives and folders that ``cifar-data fetch`` reads."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from cifar_data.cifar10 import sources
from cifar_data.cifar10.binary_format import RECORD_BYTES

COMMAND = Path(sys.executable).with_name("cifar-data")
Members = dict[str, bytes]


@pytest.fixture
def members(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Members:
    """Six members of full size and random content, with their digests in place of the canonical ones."""
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    tile = generator.integers(0, 256, size=(10_000, RECORD_BYTES), dtype=np.uint8)
    made = {}
    for number, name in enumerate(sources.MEMBER_SHA256):
        records = np.roll(tile, number, axis=0)
        records[:, 0] = np.arange(10_000) % 10
        made[name] = records.tobytes()
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in made.items()}
    monkeypatch.setattr(sources, "MEMBER_SHA256", digests)
    monkeypatch.setattr("cifar_data.cifar10.fetch.MEMBER_SHA256", digests)
    return made


def archive_of(path: Path, members: Members, folder: str = "cifar-10-batches-bin") -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in {"batches.meta.txt": b"airplane\n", **members}.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def folder_of(path: Path, members: Members) -> Path:
    path.mkdir()
    for name, data in members.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(data)
    return path


def gzipped(kind: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/data_batch_1.png")
        entry.size = 100_000
        archive.addfile(entry, io.BytesIO(np.random.default_rng(0).bytes(entry.size)))
    data = bytearray(buffer.getvalue())
    if kind == "cut short":
        return bytes(data[: len(data) // 2])
    if kind == "damaged":
        data[50:60] = b"\xff" * 10
    return bytes(data) if kind != "no archive" else b"no archive"


def run_data(*arguments: object, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"CIFAR_EDGE_CACHE": str(cache)} if cache else {})}
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
