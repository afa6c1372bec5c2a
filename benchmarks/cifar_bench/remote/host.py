"""Runs a benchmark on a board over ssh, with the cifar-edge that is installed there: the OpenSSH client, nothing else.

One connection: the recipe and the models go in on stdin, progress comes back on stderr, the report on stdout, and
the board removes what it was sent, also when the connection breaks (see ``board``). Keys, jump hosts and the like
are the business of ssh's own configuration; a password or a new host key is asked for by ssh, on the terminal.
"""

import dataclasses
import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from cifar_bench.recipe import BenchRecipe
from cifar_bench.remote.board import PROGRESS_PREFIX, framed
from cifar_bench.remote.bundle import Bundle, pack
from cifar_bench.remote.ssh_target import Target
from cifar_bench.results.report import Report, report_from_text
from cifar_runtime import __version__
from cifar_runtime.errors import (
    ArtefactError,
    CifarEdgeError,
    GateError,
    InputError,
    MissingDependencyError,
    UsageError,
)
from cifar_runtime.plain_text import reason_of

Progress = Callable[[str], None]

_ERRORS: Mapping[str, type[CifarEdgeError]] = {
    error.code: error
    for error in (UsageError, InputError, ArtefactError, GateError, MissingDependencyError)
}
_SSH_FAILED = 255  # Source: ssh(1), EXIT STATUS.
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # Source: POSIX.1-2017, Shell Command Language, 2.8.2.
_NOT_INSTALLED, _OTHER_VERSION = 61, 62
_INSTALL_THERE = "Copy this checkout there and run pip install ./runtime '.[bench]'"
# One line without single quotes, for whatever shell the user has there.
_BOOTSTRAP = (
    "import sys, importlib.util as u; "
    f'u.find_spec("cifar_bench") and u.find_spec("cifar_runtime") or sys.exit({_NOT_INSTALLED}); '
    "import cifar_runtime as r; "
    f"r.__version__ == sys.argv[1] or (print(r.__version__), sys.exit({_OTHER_VERSION})); "
    "from cifar_bench.remote.board import main; "
    "sys.exit(main())"
)


def bench_on(
    target: Target,
    recipe: BenchRecipe,
    *,
    command: Sequence[str] = ("cifar_bench.remote.host",),
    progress: Progress | None = None,
) -> Report:
    """What ``bench`` reports on the board, with the board named.

    Args:
        target: the board.
        recipe: what to measure; the paths are here, and are sent.
        command: the command line, for the report.
        progress: takes a sentence whenever something long begins there.

    Raises:
        InputError: the board cannot be reached, or a split was not fetched there.
        ArtefactError: a model cannot be used.
        MissingDependencyError: there is no ssh here, or no such cifar-edge there.
    """
    text = _report_text(target, pack(recipe, command=command), progress)
    return dataclasses.replace(report_from_text(text, origin=target.shown), target=target.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """How one ssh ended: its exit status, the last line on stdout, and the last on stderr that is no progress."""

    status: int
    answer: bytes
    last_words: str


def ssh_command(target: Target, *, ssh: str) -> list[str]:
    """The arguments that run the board's side: no terminal there, the command in one word.

    Args:
        target: the board.
        ssh: the ssh client's path.
    """
    words = ["exec", _quoted(target.python), "-c", f"'{_BOOTSTRAP}'", shlex.quote(__version__)]
    return [ssh, "-T", *_destination(target), " ".join(words)]


def _destination(target: Target) -> list[str]:
    port = [] if target.port is None else ["-p", str(target.port)]
    user = [] if target.user is None else ["-l", target.user]
    return [*port, *user, "--", target.host]


def _report_text(target: Target, bundle: Bundle, progress: Progress | None) -> str:
    ssh = shutil.which("ssh")
    if ssh is None:
        raise MissingDependencyError(
            "--target needs the OpenSSH client, and there is no ssh here.",
            hint="apt-get install openssh-client (or your system's package of it)",
        )
    outcome = _run(ssh_command(target, ssh=ssh), framed(bundle.data), progress or _ignore)
    if outcome.status != 0:
        raise _failure(target, outcome)
    return _text_in_answer(target, outcome.answer, bundle)


def _run(command: list[str], request: bytes, progress: Progress) -> _Outcome:
    with tempfile.TemporaryFile() as answers:
        process = subprocess.Popen(  # noqa: S603 - ssh itself, and its arguments are a list
            command, stdin=subprocess.PIPE, stdout=answers, stderr=subprocess.PIPE
        )
        try:
            # Open until the end: on the board its end means that nobody waits any more.
            _send(process.stdin, request)
            last_words = _follow(process.stderr, progress)
            status = process.wait()
        finally:
            process.kill()
            process.communicate()
        answers.seek(0)
        # Whatever a shell's start-up file prints there comes before the answer.
        lines = answers.read().split(b"\n")
    answer = next((line for line in reversed(lines) if line), b"")
    return _Outcome(status=status, answer=answer, last_words=last_words)


def _send(stream: IO[bytes] | None, request: bytes) -> None:
    if stream is None:
        return
    try:
        stream.write(request)
        stream.flush()
    except BrokenPipeError:  # refused before all was sent: the exit status says why
        return


def _follow(stream: IO[bytes] | None, progress: Progress) -> str:
    """Passes the board's progress on as it comes, and returns the last line that is something else."""
    last_words = ""
    for line in stream or ():
        text = line.decode(errors="replace").strip()
        if text.startswith(PROGRESS_PREFIX):
            progress(text.removeprefix(PROGRESS_PREFIX))
        elif text:
            last_words = text
    return last_words


def _failure(target: Target, outcome: _Outcome) -> CifarEdgeError:
    where, words = target.shown, outcome.last_words.rstrip(".")
    match outcome.status:
        case int(status) if status == _SSH_FAILED:
            return InputError(
                f"{where}: cannot be reached: {words or 'ssh gives no reason'}.",
                hint=f"Try it first: {shlex.join(['ssh', *_destination(target), 'true'])}",
            )
        case int(status) if status in (_NOT_FOUND, _NOT_EXECUTABLE):
            return MissingDependencyError(
                f"{where}: its {target.python} cannot be run, expected a Python with cifar-edge.",
                hint="Name another one with --target-python PATH.",
            )
        case int(status) if status == _NOT_INSTALLED:
            return MissingDependencyError(
                f"{where}: cifar-edge is not installed for its {target.python}.",
                hint=f"{_INSTALL_THERE}, or name the environment that has it: --target-python PATH.",
            )
        case int(status) if status == _OTHER_VERSION:
            return MissingDependencyError(
                f"{where}: has cifar-edge {outcome.answer.decode(errors='replace').strip()}, "
                f"expected {__version__} as here.",
                hint=f"{_INSTALL_THERE}.",
            )
    return CifarEdgeError(
        f"{where}: the run there ended with status {outcome.status}"
        f"{f': {words}' if words else ''}.",
        hint="Look at the board: memory, disk, power.",
    )


def _text_in_answer(target: Target, answer: bytes, bundle: Bundle) -> str:
    try:
        document = json.loads(answer)
    except ValueError as error:
        raise CifarEdgeError(
            f"{target.shown}: its answer is no report: {reason_of(error)}.",
            hint="The connection may have ended early: run again.",
        ) from error
    if "error" in document:
        raise _error_there(target, document["error"], bundle.typed)
    return str(document["report"])


def _error_there(
    target: Target, error: Mapping[str, str], typed: Mapping[str, str]
) -> CifarEdgeError:
    message, hint = error["message"], error["hint"]
    for stored, name in typed.items():
        message, hint = message.replace(stored, name), hint.replace(stored, name)
    return _ERRORS.get(error["code"], CifarEdgeError)(f"{target.shown}: {message}", hint=hint)


def _quoted(python: str) -> str:
    """The path as one word for a shell that still expands ``~/`` to the home folder."""
    home = "~/" if python.startswith("~/") else ""
    return home + shlex.quote(python.removeprefix(home))


def _ignore(sentence: str) -> None:
    del sentence
