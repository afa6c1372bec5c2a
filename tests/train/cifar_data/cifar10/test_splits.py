"""CIFAR-10 as splits: what is stored, what is shipped, and that both are what the official files hold."""

import hashlib
import json
import pwd
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cifar_data import packaged
from cifar_data.cifar10.fetch import describe, verify
from cifar_data.cifar10.splits import (
    LABELS,
    dataset_record,
    is_available,
    load_official,
    open_split,
    recorded_validation_ids,
)
from cifar_maintain.build_samples import NUM_VALIDATION, stratified_ids
from cifar_runtime.errors import InputError, MissingDependencyError

SAMPLES = Path(packaged.__file__).parent / "samples"


def test_an_unfetched_set_is_an_input_error_that_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path))
    assert not is_available()
    with pytest.raises(InputError) as caught:
        open_split("train")
    assert str(caught.value) == (
        f"CIFAR-10 is not in {tmp_path}/cifar10. Run cifar-data fetch, once, while online."
    )


def test_a_runtime_only_install_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CIFAR_EDGE_CACHE", raising=False)
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(MissingDependencyError) as caught:
        open_split("test")
    assert caught.value.exit_code == 6
    assert str(caught.value) == (
        "the user's cache folder, where CIFAR-10 is kept, needs platformdirs, which is not installed. "
        "In cifar-edge's checkout, run: pip install ./runtime '.[train]' (or, to measure only, '.[bench]')"
    )


def test_a_set_that_a_killed_fetch_put_aside_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old set was lost to every reader until the next fetch."""
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path))
    aside = tmp_path / "cifar10.replaced"
    aside.mkdir()
    (aside / "dataset.json").write_text('{"source": "official"}')
    assert dataset_record() == {"source": "official"}
    assert [path.name for path in tmp_path.iterdir()] == ["cifar10"]


def test_without_a_home_nothing_is_stored_and_the_variable_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container with an unknown user: the shipped samples serve, and cifar-data says what to set."""
    for name in ("CIFAR_EDGE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # raises KeyError, as for an unknown user
    assert not is_available()
    with pytest.raises(InputError) as caught:
        open_split("test")
    assert str(caught.value) == (
        "the user's cache folder, where CIFAR-10 is kept, is unknown: there is no home folder. "
        "Set CIFAR_EDGE_CACHE to a folder, or HOME."
    )


def test_recorded_validation_ids_are_5000_different_training_positions() -> None:
    ids = recorded_validation_ids()
    assert len(np.unique(ids)) == len(ids) == NUM_VALIDATION
    assert ids.min() >= 0
    assert ids.max() < 50_000
    digest = hashlib.sha256(ids.astype("<i8").tobytes()).hexdigest()
    assert digest.startswith("c55e1c0db57b")


@pytest.mark.parametrize(
    ("load", "name", "counts"),
    [
        (packaged.calibration_sample, "calibration-sample", [52, 52, *[51] * 8]),
        (packaged.test_sample, "test-sample", [100] * 10),
    ],
)
def test_shipped_samples_are_stratified_uint8_images(load, name: str, counts: list[int]) -> None:
    split = load()
    assert split.name == name
    assert split.images.dtype == np.uint8
    assert split.images.shape == (sum(counts), 32, 32, 3)
    assert np.bincount(split.labels).tolist() == counts


def test_calibration_never_sees_validation_images() -> None:
    assert not set(packaged.calibration_sample().ids) & set(recorded_validation_ids())


def test_sample_images_are_one_png_a_class() -> None:
    assert [path.stem for path in packaged.sample_images()] == sorted(LABELS)


def test_every_shipped_file_has_its_recorded_digest() -> None:
    record = json.loads((SAMPLES / "samples.json").read_text())
    digests = {entry["file"]: entry["sha256"] for entry in record["splits"].values()}
    digests |= record["files"]
    files = {
        path.relative_to(SAMPLES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in SAMPLES.rglob("*.*")
        if path.name != "samples.json"
    }
    assert len(files) == 13
    assert digests == files


def test_a_damaged_sample_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    for name in ("samples.json", "test-sample.bin"):
        (folder / name).write_bytes((SAMPLES / name).read_bytes())
    damaged = bytearray((SAMPLES / "test-sample.bin").read_bytes())
    damaged[5000] ^= 1
    (folder / "test-sample.bin").write_bytes(damaged)
    monkeypatch.setattr(packaged, "_PACKAGE", tmp_path)
    with pytest.raises(InputError, match="sha256 is not the recorded one"):
        packaged.test_sample()


def test_stratified_ids_take_the_same_number_of_each_class() -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), 20)
    ids = stratified_ids(labels, 32, salt="any")
    assert np.bincount(labels[ids]).tolist() == [4, 4, *[3] * 8]
    assert np.all(np.diff(ids) > 0)
    assert ids.tolist() != stratified_ids(labels, 32, salt="other").tolist()


@pytest.mark.full_data
def test_splits_partition_the_official_images() -> None:
    train, validation, test = (open_split(name) for name in ("train", "validation", "test"))
    assert [len(split.labels) for split in (train, validation, test)] == [45_000, 5_000, 10_000]
    assert np.bincount(train.labels).tolist() == [4_500] * 10
    assert np.bincount(validation.labels).tolist() == [500] * 10
    assert np.array_equal(np.sort(np.concatenate([train.ids, validation.ids])), np.arange(50_000))
    official = load_official("train")
    assert np.array_equal(train.images[:50], official.images[train.ids[:50]])


@pytest.mark.full_data
def test_stored_set_has_the_published_channel_statistics() -> None:
    verify()
    described = describe()
    assert described["channel_means"] == pytest.approx(
        [0.49139968, 0.48215841, 0.44653091], abs=5e-9
    )
    assert described["channel_standard_deviations"] == pytest.approx(
        [0.24703223, 0.24348513, 0.26158784], abs=5e-9
    )


@pytest.mark.full_data
def test_shipped_samples_regenerate_byte_for_byte(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "cifar_maintain.build_samples", str(tmp_path)], check=True
    )
    built = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    kept = {path.relative_to(SAMPLES): path.read_bytes() for path in SAMPLES.rglob("*.*")}
    assert built == kept
