"""Reading never blocks, and a kill during writing leaves the old file or the new one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.system import files
from cifar_runtime.system.files import (
    read_once,
    read_text_once,
    replace_atomically,
    why_unwritable,
    write_atomically,
)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    assert read_once(path, max_bytes=10, error=InputError) == b"0123456789"


def test_a_small_file_asks_for_little_memory(tmp_path: Path) -> None:
    """Opening a model of 100 kB once asked for 512 MiB, which an address-space limit refuses."""
    (tmp_path / "x").write_bytes(b"0123456789")
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from cifar_runtime.errors import InputError\n"
        "from cifar_runtime.system.files import read_once\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))\n"
        "print(len(read_once(Path(sys.argv[1]), max_bytes=2**29, error=InputError)))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "x"], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "10\n", "")


@pytest.mark.parametrize("name", ["x" * 300, f"{'y' * 300}/x", "nul\0"])
def test_asking_what_is_there_never_fails(name: str) -> None:
    """``Path.exists`` and ``is_dir`` raise for the first two."""
    assert not files.exists(name)
    assert not files.is_folder(name)
    assert not files.is_file(name)


def test_text_has_no_byte_order_mark_and_one_form_of_unicode(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffcafe\u0301\n".encode())
    assert read_text_once(path, max_bytes=100, error=InputError) == "caf\u00e9\n"
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_text_once(path, max_bytes=100, error=InputError)


def test_what_cannot_be_written_is_known_before_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert why_unwritable(tmp_path / "new" / "folders" / "x.json") is None
    assert why_unwritable(tmp_path / "file") is None
    assert why_unwritable(tmp_path) == "Is a directory"
    assert why_unwritable(tmp_path / "file" / "x.json") == "Not a directory"
    assert why_unwritable(tmp_path / ("x" * 256)) == "File name too long"
    assert why_unwritable(tmp_path / ("x" * 256) / "x.json") == "File name too long"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_a_folder_that_refuses_root_is_known_by_trying() -> None:
    assert why_unwritable("/proc/new/x.json") == "No such file or directory"


def test_a_larger_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    with pytest.raises(InputError) as caught:
        read_once(path, max_bytes=9, error=InputError)
    assert str(caught.value) == f"{path}: is larger than 9 bytes. Give a smaller file."


@pytest.mark.parametrize("error", [ArtefactError, InputError])
def test_fifos_folders_and_devices_are_refused_without_waiting(
    tmp_path: Path, error: type[ArtefactError] | type[InputError]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    started = time.monotonic()
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(error) as caught:
            read_once(path, max_bytes=10, error=error)
        assert str(caught.value) == f"{path}: is not a regular file. Give the path of a file."
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none", "No such file or directory"), ("a\0b", "embedded null byte")],
)
def test_a_path_that_cannot_be_opened_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_once(tmp_path / name, max_bytes=10, error=InputError)


def test_refusals_leave_no_descriptor_open(tmp_path: Path) -> None:
    def lowest_free() -> int:
        descriptor = os.dup(0)
        os.close(descriptor)
        return descriptor

    before = lowest_free()
    for _ in range(3):
        with pytest.raises(InputError):
            read_once(tmp_path, max_bytes=10, error=InputError)
    assert lowest_free() == before


def test_writing_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["x.json"]


def test_a_new_file_has_the_users_usual_permissions(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.write_bytes(b"")
    write_atomically(tmp_path / "x", b"")
    assert (tmp_path / "x").stat().st_mode == usual.stat().st_mode


def test_the_temporary_name_keeps_the_suffix(tmp_path: Path) -> None:
    seen: list[Path] = []
    replace_atomically(tmp_path / "model.keras", seen.append)
    assert seen[0].suffix == ".keras"
    assert seen[0].parent == tmp_path


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path: Path) -> None:
    """After 445 kills 287 files of 803 MB lay there for ever."""
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from cifar_runtime.system.files import replace_atomically\n"
        "replace_atomically(Path(sys.argv[1]), lambda temporary: os.kill(os.getpid(), 9))\n"
    )
    path = tmp_path / "x.json"
    killed = subprocess.run([sys.executable, "-c", program, path], check=False)
    (left,) = tmp_path.iterdir()
    assert killed.returncode == -signal.SIGKILL
    assert left.name.startswith(".cifar-edge-")
    running: list[Path] = []

    def write(temporary: Path) -> None:
        write_atomically(path, b"one that writes meanwhile")
        running.append(temporary)
        assert temporary.exists()

    replace_atomically(path, write)
    assert list(tmp_path.iterdir()) == [path]
    assert len(running) == 1


def test_a_failing_writer_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def write(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        replace_atomically(path, write)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import sys
from pathlib import Path
from cifar_runtime.system.files import write_atomically
path = Path(sys.argv[1])
print("ready", flush=True)
step = 0
while True:
    step += 1
    write_atomically(path, bytes([step % 251]) * 3_000_000)
"""


def test_kill_9_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"\xff" * 3_000_000)
    for attempt in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.003 * attempt)
            process.send_signal(signal.SIGKILL)
        data = path.read_bytes()
        assert len(data) == 3_000_000
        assert len(set(data)) == 1
