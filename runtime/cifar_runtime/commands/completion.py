"""The script that lets a shell complete a command's options and values: what ``--completion SHELL`` prints.

shtab writes it from the parser, once: no TAB starts Python. Only that option imports this module, which never runs a
shell.
"""

import argparse
from pathlib import Path
from typing import Any, Literal

from cifar_runtime.errors import MissingDependencyError

Shell = Literal["bash", "zsh", "fish"]

_FOLDERS = ("DIR", "FOLDER")


def completion_script(parser: argparse.ArgumentParser, shell: Shell) -> str:
    """The text that ``shell`` evaluates.

    Args:
        parser: what completes; its options learn their values here, so it parses nothing afterwards.
        shell: for whom.

    Raises:
        MissingDependencyError: shtab is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise MissingDependencyError(
            f"{parser.prog}: --completion needs shtab, which is not installed.",
            hint="Run: pip install shtab",
        ) from error
    for action in parser._actions:
        _describe_values(action, file=shtab.FILE, folder=shtab.DIRECTORY)
    return f"{shtab.complete(parser, shell=shell)}\n"


def _describe_values(action: argparse.Action, *, file: Any, folder: Any) -> None:
    """Gives an option what it completes to: the choices of its type, folders or files."""
    choices = getattr(action.type, "choices", None)
    metavar = str(action.metavar or "")
    if choices is not None:
        action.choices = choices
    elif metavar in _FOLDERS:
        action.complete = folder  # type: ignore[attr-defined]
    elif action.type is Path or "FILE" in metavar or metavar in ("IMAGE", "MODEL"):
        action.complete = file  # type: ignore[attr-defined]
