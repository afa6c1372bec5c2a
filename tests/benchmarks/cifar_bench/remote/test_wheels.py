"""An offline bundle holds all that a board installs; it is installed here without an index, and tests itself."""

import base64
import csv
import hashlib
import io
import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cifar_bench.commands.board import main
from cifar_bench.remote.wheels import runtime_wheel, write_offline_bundle
from cifar_runtime.classifier import default_model
from cifar_runtime.errors import InputError


def test_the_runtimes_wheel_records_every_file_and_is_the_same_every_time() -> None:
    name, data = runtime_wheel()
    assert name.startswith("cifar_edge_runtime-")
    assert name.endswith("-py3-none-any.whl")
    assert runtime_wheel() == (name, data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {one: archive.read(one) for one in archive.namelist()}
    (record,) = (one for one in files if one.endswith("/RECORD"))
    rows = list(csv.reader(files[record].decode().splitlines()))
    assert {row[0] for row in rows} == set(files)
    for one, digest, size in rows:
        if one != record:
            found = base64.urlsafe_b64encode(hashlib.sha256(files[one]).digest()).decode()
            assert (digest, size) == (f"sha256={found.rstrip('=')}", str(len(files[one])))
    assert {"cifar_runtime/py.typed", "cifar_runtime/models/edge-s-int8.tflite"} <= set(files)
    assert not [one for one in files if "__pycache__" in one]


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="a bundle for Linux on x86_64"
)
def test_a_bundle_is_installed_without_an_index_and_passes_its_self_test(tmp_path: Path) -> None:
    model = default_model("tflite")
    try:
        bundle = write_offline_bundle(
            tmp_path / "board.zip",
            machine="x86_64",
            python=f"3.{sys.version_info.minor}",
            models=[model],
        )
    except InputError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"pip can download nothing here: {error.message}")
    with zipfile.ZipFile(bundle.path) as archive:
        assert {f"models/{model.name}", f"models/{model.name}.json"} <= set(archive.namelist())
        archive.extractall(tmp_path / "board")
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_CONFIG_FILE": os.devnull}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["/bin/sh", tmp_path / "board" / "install.sh"],
        env=kept | nowhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "self-test   passed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["bundle"], 2, "--output"),
        (["bundle", "-o", "pi.tar"], 2, "expected a name that ends in .zip"),
        (["bundle", "-o", "pi.zip", "--machine", "armv7l"], 2, "aarch64"),
        (["bundle", "-o", "pi.zip", "--python", "new"], 2, "'new' is no version such as 3.11"),
        (["bundle", "none.tflite", "-o", "pi.zip"], 4, "none.tflite: is not there"),
    ],
)
def test_bad_input_is_refused_before_anything_is_fetched(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
