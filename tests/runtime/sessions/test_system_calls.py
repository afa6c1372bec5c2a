"""A process with the filter can read files and run threads, and can do nothing to the rest of the machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cifar_runtime.sessions import system_calls

pytestmark = pytest.mark.skipif(
    system_calls.platform.machine() not in system_calls._MACHINES or sys.platform != "linux",
    reason="needs Linux on x86-64 or AArch64",
)
# What is tried, by its name; each is an expression.
ATTEMPTS = {
    "read": "open('readable').read()",
    "memory file": "os.memfd_create('x')",
    "thread": "threading.Thread(target=len, args=('',)).start()",
    "socket": "socket.socket()",
    "socket pair": "socket.socketpair()",
    "socket in an older thread": "older.submit(socket.socket).result()",
    "fork": "os.fork() or os._exit(0)",
    "program": "os.execv('/bin/true', ['true'])",
    "child": "subprocess.run(['true'])",
    "signal": "os.kill(os.getppid(), 0)",
    "write": "open('readable', 'r+')",
    "make": "open('new', 'w')",
    "append": "open('readable', 'a')",
    "folder": "os.mkdir('folder')",
    "rename": "os.rename('readable', 'renamed')",
    "link": "os.symlink('readable', 'link')",
    "remove": "os.unlink('readable')",
    "shorten": "os.truncate('readable', 0)",
    "mode": "os.chmod('readable', 0)",
    "time": "os.utime('readable')",
}
ALLOWED = {"read", "memory file", "thread"}
OF_FILES = {
    "write",
    "make",
    "append",
    "folder",
    "rename",
    "link",
    "remove",
    "shorten",
    "mode",
    "time",
}
SCRIPT = """
import concurrent.futures, json, os, socket, subprocess, sys, threading
from cifar_runtime.sessions.system_calls import forbid_system_calls
files, attempts = json.loads(sys.argv[1])
older = concurrent.futures.ThreadPoolExecutor(1)
older.submit(len, "").result()
refused = forbid_system_calls(files=files)
assert refused is None, refused
failed = {}
for name, attempt in attempts.items():
    try:
        eval(attempt)
    except OSError as error:
        failed[name] = error.errno
print(json.dumps(failed))
"""


def refused(tmp_path: Path, *, files: bool) -> dict[str, int]:
    """The errors of the attempts that failed, by name."""
    (tmp_path / "readable").write_text("text")
    attempts = ATTEMPTS if files else {k: v for k, v in ATTEMPTS.items() if k not in OF_FILES}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([files, attempts])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, int] = json.loads(ended.stdout)
    return answer


def test_sockets_programs_other_processes_and_new_files_are_refused(tmp_path: Path) -> None:
    not_permitted = dict.fromkeys(ATTEMPTS.keys() - ALLOWED, 1)  # EPERM
    assert refused(tmp_path, files=True) == not_permitted
    assert [path.name for path in tmp_path.iterdir()] == ["readable"]
    assert (tmp_path / "readable").read_text() == "text"


def test_a_process_that_measures_may_write_files(tmp_path: Path) -> None:
    not_permitted = dict.fromkeys(ATTEMPTS.keys() - ALLOWED - OF_FILES, 1)
    assert refused(tmp_path, files=False) == not_permitted


def test_a_system_without_such_filters_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_calls.platform, "machine", lambda: "riscv64")
    assert system_calls.forbid_system_calls(files=True) == ""


def test_a_kernel_that_refuses_the_filter_is_named() -> None:
    """The number of a call that no kernel has stands for one that was built without filters.

    In a process of its own, which gives up the right to gain privileges before it asks for the filter.
    """
    script = (
        "from cifar_runtime.sessions import system_calls as s; here = s.platform.machine(); "
        "s._MACHINES = {here: s._MACHINES[here]._replace(seccomp=4_000)}; "
        "print(s.forbid_system_calls(files=True))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "Function not implemented\n"
