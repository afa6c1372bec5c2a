"""A benchmark on a board over ssh, against a real sshd on loopback with keys of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cifar_bench.commands.bench import parse
from cifar_bench.remote.host import ssh_command
from cifar_bench.remote.ssh_target import Target, target_from_text, without_accounts
from cifar_bench.results.report import report_from_text
from cifar_runtime import __version__
from cifar_runtime.errors import UsageError

SCRIPT = Path(sysconfig.get_path("scripts")) / "cifar-bench"
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
needs_sshd = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None, reason="openssh-server is not installed"
)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ssh://pi", Target(user=None, host="pi", port=None)),
        ("ssh://me@Board-1.local:2222", Target(user="me", host="Board-1.local", port=2222)),
        ("ssh://10.0.0.2/", Target(user=None, host="10.0.0.2", port=None)),
        ("ssh://me@[fe80::1]:22", Target(user="me", host="fe80::1", port=22)),
    ],
)
def test_a_target_is_user_host_and_port(text: str, target: Target) -> None:
    assert target_from_text(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "pi",
        "ssh://",
        "ssh://@pi",
        "ssh://pi:0",
        "ssh://pi:65536",
        "ssh://pi:x",
        "ssh://pi/home",
        "ssh://me:secret@pi",
        "ssh://-oProxyCommand=true",
        "ssh://-x@pi",
        "ssh://pi pi",
        "http://pi",
    ],
)
def test_what_is_no_target_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        target_from_text(text)
    assert str(caught.value) == (
        f"target is '{text}', expected ssh://[user@]host[:port]. "
        "Keys and jump hosts belong in ~/.ssh/config."
    )


def test_a_report_names_neither_user_nor_port() -> None:
    assert target_from_text("ssh://me@board:2222").shown == "ssh://board"
    invocation = parse(["m.tflite", "--target", "ssh://me@board:2222"])
    assert invocation.command == ("cifar-bench", "m.tflite", "--target", "ssh://board")
    assert without_accounts(["--target=ssh://me@[fe80::1]:22"]) == ("--target=ssh://fe80::1",)


@pytest.mark.parametrize(
    ("python", "word"),
    [
        ("python3", "python3"),
        ("~/my env/bin/python", "~/'my env/bin/python'"),
        ("/a;b", "'/a;b'"),
    ],
)
def test_the_command_there_is_one_word_that_no_shell_takes_apart(python: str, word: str) -> None:
    target = target_from_text("ssh://me@[fe80::1]:2222", python=python)
    *words, there = ssh_command(target, ssh="/usr/bin/ssh")
    assert words == ["/usr/bin/ssh", "-T", "-p", "2222", "-l", "me", "--", "fe80::1"]
    assert there.startswith(f"exec {word} -c 'import sys, ")
    assert there.endswith(f"' {__version__}")
    assert "\n" not in there


class Board:
    """A running sshd, and how to reach it.

    Attributes:
        url: for ``--target``.
        environment: of commands that shall find the client with the throw-away keys.
        temporary: the folder in which the board makes temporary folders.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"ssh://localhost:{self.port}"
        self.temporary = folder / "board-tmp"
        self.temporary.mkdir()
        _make_keys(folder)
        self._config = folder / "sshd_config"
        self._config.write_text(self._server_settings(folder))
        self.environment = {**os.environ, "PATH": f"{_client(folder)}:{os.environ['PATH']}"}

    def start(self) -> subprocess.Popen[bytes]:
        assert SSHD is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # as the service does; sshd refuses without it
        log = self._config.with_suffix(".log")
        server = subprocess.Popen([SSHD, "-D", "-f", self._config, "-E", log])
        deadline = time.monotonic() + 60
        while not _listens(self.port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        return server

    def bench(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=self.environment,
            check=False,
        )

    def _server_settings(self, folder: Path) -> str:
        # The code under test, which may be not the installed one.
        paths = os.pathsep.join(path for path in sys.path if path)
        return f"""\
ListenAddress 127.0.0.1
Port {self.port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv PYTHONPATH={paths} TMPDIR={self.temporary} CIFAR_EDGE_CACHE={folder}/no-data
"""


def _make_keys(folder: Path) -> None:
    for name in ("host_key", "user_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(command, check=True)


def _client(folder: Path) -> Path:
    """A folder with an ``ssh`` that has a configuration of its own: a real one is read from a fixed place."""
    settings = folder / "ssh_config"
    settings.write_text(
        f"IdentityFile {folder}/user_key\nIdentitiesOnly yes\nBatchMode yes\n"
        f"UserKnownHostsFile {folder}/known_hosts\nStrictHostKeyChecking accept-new\n"
    )
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    _script(bin_folder / "ssh", f'exec {shutil.which("ssh")} -F {settings} "$@"')
    return bin_folder


def _script(path: Path, line: str) -> Path:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    board = Board(tmp_path_factory.mktemp("board"))
    server = board.start()
    yield board
    server.terminate()
    server.wait(timeout=60)


@needs_sshd
def test_a_model_is_measured_on_the_board_and_nothing_stays_there(
    board: Board, tiny_onnx: Path, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    options = ["--limit", "20", "--quick", "--runs", "10", "--json", target]
    ended = board.bench(
        tiny_onnx, "--target", board.url, "--target-python", sys.executable, *options
    )
    assert ended.returncode == 0, ended.stderr
    assert "cifar-bench: scoring 20 images with tiny-float32\n" in ended.stderr
    assert "\ntiny-float32" in ended.stdout
    assert f"CPython {sys.version.split()[0]}, ssh://localhost.\n" in ended.stdout
    report = report_from_text(target.read_text(), origin="report")
    assert report.target == "ssh://localhost"
    assert report.models[0].accuracy.seen == 20
    assert report.environment.python == f"CPython {sys.version.split()[0]}"
    assert f":{board.port}" not in target.read_text()
    assert list(board.temporary.iterdir()) == []


@needs_sshd
def test_json_on_stdout_is_one_document_that_follows_its_schema(
    board: Board, tiny_onnx: Path
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from importlib import resources

    schema = json.loads(
        (resources.files("cifar_bench") / "schemas" / "bench.schema.json").read_text()
    )
    options = [
        "--limit",
        "10",
        "--quick",
        "--runs",
        "10",
        "--json",
        "-q",
        "--target-python",
        sys.executable,
    ]
    ended = board.bench(tiny_onnx, "--target", board.url, *options)
    assert (ended.returncode, ended.stderr) == (0, "")
    document = json.loads(ended.stdout)
    assert document["target"] == "ssh://localhost"
    jsonschema.Draft202012Validator(schema).validate(document)


@needs_sshd
def test_a_model_that_the_board_refuses_is_called_what_it_is_called_here(
    board: Board, tiny_onnx: Path, tmp_path: Path
) -> None:
    changed = tmp_path / tiny_onnx.name
    changed.write_bytes(tiny_onnx.read_bytes() + b"\0")
    card = tiny_onnx.with_name(f"{tiny_onnx.name}.json")
    changed.with_name(card.name).write_bytes(card.read_bytes())
    ended = board.bench(changed, "--target", board.url, "--target-python", sys.executable)
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.startswith(f"cifar-bench: ssh://localhost: {changed}: sha256 is ")
    assert "the file changed after export" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert list(board.temporary.iterdir()) == []


@needs_sshd
def test_a_contract_file_travels_with_a_model_from_elsewhere(
    board: Board, tiny_onnx: Path, tmp_path: Path
) -> None:
    from onnx import load, save

    model = load(tiny_onnx)
    del model.metadata_props[:]
    save(model, tmp_path / "foreign.onnx")
    contract = tmp_path / "mine.json"
    card = json.loads(tiny_onnx.with_name(f"{tiny_onnx.name}.json").read_text())
    contract.write_text(json.dumps(card["contract"]))
    options = ["--limit", "10", "--quick", "--runs", "10", "-q", "--target-python", sys.executable]
    ended = board.bench(
        tmp_path / "foreign.onnx", "--contract", contract, "--target", board.url, *options
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\nforeign" in ended.stdout


@needs_sshd
def test_what_a_start_up_file_prints_is_no_part_of_the_answer(
    board: Board, tiny_onnx: Path, tmp_path: Path
) -> None:
    python = _script(
        tmp_path / "python", f'echo Welcome, you have mail; exec {sys.executable} "$@"'
    )
    options = ["--limit", "10", "--quick", "--runs", "10", "-q", "--target-python", python]
    ended = board.bench(tiny_onnx, "--target", board.url, *options)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\ntiny-float32" in ended.stdout


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A Python that has nothing: neither an environment nor the board's search path."""
    line = f'exec env -u PYTHONPATH {Path(sys.base_prefix) / "bin" / "python3"} -I "$@"'
    return _script(tmp_path / "bare-python", line)


@pytest.fixture
def old_python(tmp_path: Path) -> Path:
    """A Python with an older cifar-edge, from before there was a board's side."""
    for package, text in (("cifar_runtime", '__version__ = "0.0.9"\n'), ("cifar_bench", "")):
        (tmp_path / "old" / package).mkdir(parents=True)
        (tmp_path / "old" / package / "__init__.py").write_text(text)
    python = Path(sys.base_prefix) / "bin" / "python3"
    line = f'exec env PYTHONPATH={tmp_path / "old"} {python} "$@"'
    return _script(tmp_path / "old-python", line)


@needs_sshd
def test_a_board_without_that_python(board: Board, tiny_onnx: Path) -> None:
    options = ["--target-python", "/nowhere/python"]
    ended = board.bench(tiny_onnx, "--target", board.url, *options)
    assert (ended.returncode, ended.stdout) == (6, "")
    assert ended.stderr == (
        "cifar-bench: ssh://localhost: its /nowhere/python cannot be run, expected a Python with "
        "cifar-edge. Name another one with --target-python PATH.\n"
    )


@needs_sshd
def test_a_board_without_cifar_edge(board: Board, tiny_onnx: Path, bare_python: Path) -> None:
    ended = board.bench(tiny_onnx, "--target", board.url, "--target-python", bare_python)
    assert (ended.returncode, ended.stdout) == (6, "")
    assert ended.stderr == (
        f"cifar-bench: ssh://localhost: cifar-edge is not installed for its {bare_python}. "
        "Copy this checkout there and run pip install ./runtime '.[bench]', or name the environment that has "
        "it: --target-python PATH.\n"
    )


@needs_sshd
def test_a_board_with_another_version(board: Board, tiny_onnx: Path, old_python: Path) -> None:
    ended = board.bench(tiny_onnx, "--target", board.url, "--target-python", old_python)
    assert (ended.returncode, ended.stdout) == (6, "")
    assert ended.stderr == (
        f"cifar-bench: ssh://localhost: has cifar-edge 0.0.9, expected {__version__} as here. "
        "Copy this checkout there and run pip install ./runtime '.[bench]'.\n"
    )


@needs_sshd
def test_a_board_that_is_not_there(board: Board, tiny_onnx: Path) -> None:
    port = free_port()
    ended = board.bench(tiny_onnx, "--target", f"ssh://localhost:{port}")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("cifar-bench: ssh://localhost: cannot be reached: ")
    assert ended.stderr.endswith(
        f"Connection refused. Try it first: ssh -p {port} -- localhost true\n"
    )
    assert ended.stderr.count("\n") == 1


def test_without_an_ssh_client(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    ended = subprocess.run(
        [SCRIPT, tiny_onnx, "--target", "ssh://board"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (6, "")
    assert ended.stderr == (
        "cifar-bench: --target needs the OpenSSH client, and there is no ssh here. "
        "apt-get install openssh-client (or your system's package of it)\n"
    )


@needs_sshd
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_when_the_line_breaks_the_board_stops_and_removes_what_it_was_sent(
    board: Board, tiny_onnx: Path, by: signal.Signals
) -> None:
    options = [
        "--quick",
        "--runs",
        "100000000",
        "--target",
        board.url,
        "--target-python",
        sys.executable,
    ]
    command = [SCRIPT, tiny_onnx, *map(str, options)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=board.environment) as run:
        assert run.stderr is not None
        assert run.stderr.readline().startswith(b"cifar-bench: timing 100,000,000 inferences")
        assert list(board.temporary.iterdir())
        run.send_signal(by)
        run.stderr.read()
    assert run.returncode == (130 if by == signal.SIGINT else -by)
    deadline = time.monotonic() + 60
    while list(board.temporary.iterdir()):
        assert time.monotonic() < deadline, "the board still has its folder"
        time.sleep(0.05)
