"""Publishing: a kill at any moment leaves the former artefact or the new one, and the next export cleans up."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cifar_export.scratch import PREFIX, scratch_folder, scratch_parent, staging_folder, sweep

DRIVER = Path(__file__).with_name("drive_publish.py")
IN_PIECES = pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")


@IN_PIECES
def test_a_thousand_kills_leave_the_former_artefact_or_the_new_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, DRIVER, tmp_path, "1000", "40"], capture_output=True, text=True, check=True
    )
    result = json.loads(done.stdout)
    assert result["problems"] == []
    assert result["killed"] >= 990  # the last lines differ from run to run
    # Every start was left as it was by some kills, and had the new artefact after others.
    outcomes = set(result["outcomes"])
    assert {"empty: none", "empty: new", "former: former", "former: new"} <= outcomes
    assert {"interrupted: former", "interrupted: new"} <= outcomes
    assert {"after failed gate: former", "after failed gate: new"} <= outcomes
    assert set(result["failed"]) == {"none", "document"}


def test_a_folder_of_a_process_that_is_gone_is_swept_and_others_are_kept(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", ""], check=True)
    assert child.returncode == 0
    with staging_folder(tmp_path) as mine:
        host, pid, _ = mine.name.removeprefix(PREFIX).split("-", 2)
        assert pid == str(os.getpid())
        gone = tmp_path / f"{PREFIX}{host}-{_free_pid()}-x"
        elsewhere = tmp_path / f"{PREFIX}00000000-1-x"
        for folder in (gone, elsewhere):
            folder.mkdir()
            (folder / "model.tflite").write_bytes(b"half")
        assert sweep(tmp_path) == (gone,)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [mine.name, elsewhere.name]
        )
        a_day_later_s = elsewhere.stat().st_mtime + 25 * 3600
        assert set(sweep(tmp_path, now_s=a_day_later_s)) == {mine, elsewhere}
    assert list(tmp_path.iterdir()) == []


@IN_PIECES
def test_a_converters_files_of_a_killed_export_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    program = (
        "import os, signal\n"
        "from cifar_export.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n"
        "    (folder / 'data.npz').write_bytes(b'images')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == -9
    (left,) = tmp_path.iterdir()
    with scratch_folder() as mine:
        assert sweep(scratch_parent()) == (left,)
        assert list(tmp_path.iterdir()) == [mine]
    assert list(tmp_path.iterdir()) == []


@IN_PIECES
def test_the_child_that_trains_ends_with_its_parent() -> None:
    """The pipe that only the child still holds is closed when it ends."""
    child = (
        "import os, sys, time\n"
        "from cifar_export.qat.tfmot_child import end_with_parent\n"
        "end_with_parent(int(sys.argv[1])); print('watching', flush=True); time.sleep(60); print('late')\n"
    )
    parent = (
        "import os, subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())]); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent, child], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"watching\n"
        process.kill()
        process.wait()
        assert process.stdout.read() == b""  # it ended before it could say more


def _free_pid() -> int:
    """The id of a process that has just ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid
