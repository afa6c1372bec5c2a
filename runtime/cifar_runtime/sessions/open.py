"""The one interface of all interpreters, and the choice between them.

Which interpreter runs which format is in ``formats.known_formats``; none is imported here.
"""

from collections.abc import Callable
from typing import get_args

from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import UsageError
from cifar_runtime.formats.known_formats import (
    KNOWN_FORMATS,
    MAX_THREADS,
    ModelFormat,
    RuntimeChoice,
    load,
)
from cifar_runtime.sessions.base import DEFAULT_OPTIONS, Session, SessionOptions


def open_session(
    artefact: Artefact,
    *,
    runtime: RuntimeChoice = "auto",
    threads: int = 1,
    options: SessionOptions = DEFAULT_OPTIONS,
) -> Session:
    """An open session for the artefact, in the interpreter of its format.

    A foreign model runs in a child process (see ``isolation``).

    Args:
        artefact: the model to run.
        runtime: ``auto``, or the format whose interpreter must be used.
        threads: worker threads inside the interpreter, 1..256.
        options: further set-up, for measuring what the defaults are worth.

    Raises:
        UsageError: ``runtime`` cannot run this format, or ``threads`` is out of range.
        ArtefactError: the interpreter refuses the model, or it is not what its contract says.
        MissingDependencyError: the interpreter is not installed.
    """
    check_runtime(runtime, artefact.format, name=str(artefact.path))
    if not 1 <= threads <= MAX_THREADS:
        raise UsageError(
            f"threads is {threads}, expected 1 to {MAX_THREADS}.", hint="Give threads=1."
        )
    if artefact.foreign:
        from cifar_runtime.sessions.isolation import IsolatedSession

        return IsolatedSession(artefact, threads=threads, options=options)
    session_class: Callable[..., Session] = load(KNOWN_FORMATS[artefact.format].session)
    return session_class(artefact, threads=threads, options=options)


def check_runtime(runtime: str, model_format: ModelFormat, *, name: str) -> None:
    """Refuses a runtime that cannot run a format.

    Raises:
        UsageError: they do not go together, or the runtime is unknown.
    """
    if runtime not in get_args(RuntimeChoice):
        raise UsageError(
            f"runtime is '{runtime}', expected one of {', '.join(get_args(RuntimeChoice))}.",
            hint="Leave it out to choose by the file.",
        )
    if runtime not in ("auto", model_format):
        raise UsageError(
            f"{name}: is a {model_format} model, which runtime '{runtime}' cannot run.",
            hint=f"Give a .{runtime} model, or leave the runtime out to choose by the file.",
        )
