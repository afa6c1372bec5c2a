"""Every error a user can meet, as one tree; it holds no behaviour beyond exit codes and messages.

    CifarEdgeError                1  unexpected
    ├── UsageError                2  the command line or a recipe makes no sense
    ├── InputError                3  an image or data set is missing, unreadable or wrong
    ├── ArtefactError             4  a model or its card cannot be used
    ├── GateError                 5  a gate failed: a valid negative answer
    └── MissingDependencyError    6  an optional dependency is not installed

A message has three parts: what happened with which value, what was expected, and (``hint``) what to
do.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

INTERRUPTED_EXIT_CODE = 130
TERMINATED_EXIT_CODE = 143


class CifarEdgeError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        exit_code: what a command returns to the shell.
        code: the same as a word, for JSON.
        hint: what the user can do about it, one sentence.

    Example:
        >>> from cifar_runtime import CifarEdgeError, Classifier
        >>> try:
        ...     Classifier().classify("missing.png")
        ... except CifarEdgeError as error:
        ...     print(error.exit_code, error)
        3 missing.png: cannot be read: No such file or directory. Check the path.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "unexpected"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def to_json(self) -> dict[str, str | int]:
        """The error as JSON-ready data."""
        return {
            "code": self.code,
            "exit_code": self.exit_code,
            "message": self.message,
            "hint": self.hint,
        }

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(CifarEdgeError):
    """The command line, or a recipe, asks for what does not exist or does not go together."""

    exit_code = 2
    code = "usage"


class InputError(CifarEdgeError):
    """An image or a data set is missing, unreadable, or not what its checksum says."""

    exit_code = 3
    code = "input"


class ArtefactError(CifarEdgeError):
    """A model or its card is missing, damaged, without a contract, or not supported."""

    exit_code = 4
    code = "artefact"


class GateError(CifarEdgeError):
    """A measured model does not reach a limit."""

    exit_code = 5
    code = "gate"


class MissingDependencyError(CifarEdgeError):
    """An optional dependency is not installed; the hint is the pip line."""

    exit_code = 6
    code = "missing-dependency"


class CifarEdgeWarning(UserWarning):
    """What a user should know although nothing has failed, such as files that were left out; commands print it."""


def not_one_of(text: str, choices: Iterable[str]) -> str:
    """The sentence that refuses ``text`` and lists ``choices``, naming the closest one."""
    known = list(choices)
    return f"'{text}' is not one of {', '.join(known)}{suggestion(text, known)}"


def suggestion(text: str, known: Sequence[str]) -> str:
    """`` (did you mean X?)`` for the closest known word; empty where none is near."""
    import difflib

    closest = difflib.get_close_matches(text, known, n=1, cutoff=0.4)
    return f" (did you mean {closest[0]}?)" if closest else ""


def json_error_reason(error: Exception) -> str:
    """What the exception says of the document, without Python's words for it where they say little; no full stop."""
    if isinstance(error, KeyError):
        return f"the field {error.args[0]} is missing"
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    if isinstance(error, ValueError):
        return str(error).rstrip(".")
    return "a field is of another type than expected"
