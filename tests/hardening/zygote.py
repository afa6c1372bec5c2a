"""A Python that has imported what the child of ``isolation`` imports, and forks one such child for each model.

Starting Python costs fifty times what the model does. Everything after that is the product's own: the parent's
``IsolatedSession``, the child's ``main``, its limits and its filter. The process is single and has no threads.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, BinaryIO
from unittest.mock import patch

from cifar_runtime.sessions import isolation


class Zygote:
    """The side of the process that opens models; it starts the other at the first need."""

    def __init__(self, model_format: str) -> None:
        self._format = model_format
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def forks(self, *, unless: bool = False) -> Iterator[None]:
        """Within it ``isolation`` gets forked children for started ones."""
        if unless:
            yield
            return
        names = SimpleNamespace(
            Popen=lambda *_, **__: self._child(),
            PIPE=subprocess.PIPE,
            DEVNULL=subprocess.DEVNULL,
        )
        with patch.object(isolation, "subprocess", names):
            yield

    def close(self) -> None:
        """Ends the other side."""
        if self._connection is not None and self._process is not None:
            self._connection.close()
            self._process.wait()

    def _child(self) -> "_Forked":
        if self._connection is None:
            self._connection, other = socket.socketpair()
            command = [sys.executable, "-P", __file__, self._format]
            self._process = subprocess.Popen(
                [*command, str(other.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
            )
            other.close()
        return _Forked(self._connection)


class _Forked:
    """What ``isolation`` uses of a ``subprocess.Popen``."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._code: int | None = None
        reading, to_child = os.pipe()
        from_child, writing = os.pipe()
        socket.send_fds(connection, [b"f"], [reading, writing])
        os.close(reading)
        os.close(writing)
        self.stdin: BinaryIO = os.fdopen(to_child, "wb")
        self.stdout: BinaryIO = os.fdopen(from_child, "rb")
        self.pid = int(_line(connection))

    def kill(self) -> None:
        """Ends it; it waits to be reaped until ``wait``, so that the number stays its own."""
        if self._code is None:
            os.kill(self.pid, 9)

    def wait(self) -> int:
        """Its return code, as ``subprocess`` gives it."""
        if self._code is None:
            self._connection.sendall(b"w")
            self._code = int(_line(self._connection))
        return self._code


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(32)
        if not part:
            raise OSError("the zygote ended")
        line += part
    return line


def _serve(model_format: Any, connection: socket.socket) -> None:
    from cifar_runtime.formats.known_formats import KNOWN_FORMATS, load
    from cifar_runtime.sessions import isolation_child
    from cifar_runtime.sessions.interpreters import import_interpreter

    import_interpreter(model_format)
    load(KNOWN_FORMATS[model_format].session)
    pid = 0
    while True:
        word, descriptors, _, _ = socket.recv_fds(connection, 1, 2)
        if not word:
            return
        if word == b"w":
            _, status = os.waitpid(pid, 0)
            connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if pid == 0:
            connection.close()
            _run_child(descriptors, isolation_child.main)
        for descriptor in descriptors:
            os.close(descriptor)
        connection.sendall(b"%d\n" % pid)


def _run_child(descriptors: list[int], main: Callable[[], int]) -> None:
    code = 1
    try:
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
            os.close(descriptor)
        sys.stdin = os.fdopen(0, "r")
        code = main()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
