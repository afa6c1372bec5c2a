"""Where a command's result goes: stdout or a FILE that was asked for. Like ``parser``, nothing slow is imported."""

import sys
from typing import TYPE_CHECKING

from cifar_runtime.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

STDOUT = "-"


def check_result_file(
    option: str, target: str | None, *, suffix: str, program: str, operands: str
) -> None:
    """Refuses a FILE of another kind: ``--json model.tflite`` means a model, and must not overwrite it.

    Args:
        option: the flag, such as ``--json``.
        target: what was given with it: None, ``-`` for stdout, or a file.
        suffix: what the file's name must end in.
        program: the command, for the message.
        operands: what the command takes besides options, for the message.

    Raises:
        UsageError: the file has another suffix.
        InputError: it could not be written.
    """
    if target not in (None, STDOUT) and not str(target).endswith(suffix):
        raise UsageError(
            f"{program}: {option} would write to {target}, expected a name that ends in {suffix}.",
            hint=f"Give {operands} before {option}, or {option} FILE{suffix}.",
        )
    if target not in (None, STDOUT):
        check_writable(str(target))


def check_writable(path: str) -> None:
    """Refuses a file that could not be written in the end, before anything slow has begun.

    Raises:
        InputError: its folder cannot be written, or cannot be made.
    """
    from cifar_runtime.system.files import why_unwritable

    reason = why_unwritable(path)
    if reason is not None:
        raise _unwritable(path, reason)


def _unwritable(path: "str | Path", reason: str | None) -> InputError:
    return InputError(
        f"{path}: cannot be written: {reason}.", hint="Give a file in a writable folder."
    )


def write_document(target: "str | Path", text: str) -> None:
    """Writes a document where an option such as ``--json`` asked for it: ``-`` is stdout.

    Raises:
        InputError: the file cannot be written.
    """
    if target == STDOUT:
        sys.stdout.write(text)
    else:
        write_result_file(target, text)


def write_result_file(path: "str | Path", data: str | bytes) -> None:
    """Writes a result, so that a kill never leaves a half; text as UTF-8.

    Raises:
        InputError: the file cannot be written.
    """
    from pathlib import Path  # after --help has left

    from cifar_runtime.system.files import write_atomically
    from cifar_runtime.system.interruption import check_interrupted

    check_interrupted()
    try:
        write_atomically(
            Path(path), data.encode(errors="backslashreplace") if isinstance(data, str) else data
        )
    except OSError as error:
        raise _unwritable(path, error.strerror) from error
