"""The board that ``--target`` names, as data; it connects nowhere (see ``remote``) and imports nothing slow."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cifar_runtime.commands.parser import Parser
from cifar_runtime.errors import UsageError

DEFAULT_PYTHON = "python3"

# A name that begins with a dash would be an option of ssh.
_WORD = r"[^-@/:\s\[\]][^@/:\s\[\]]*"
_TARGET = re.compile(
    rf"ssh://(?:(?P<user>{_WORD})@)?(?P<host>{_WORD}|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?/?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A machine reached over ssh.

    Attributes:
        user: the user to log in as; None for what ssh's configuration says.
        host: a host name, an address, or a ``Host`` of ssh's configuration.
        port: None for what ssh's configuration says.
        python: the Python there in whose environment cifar-edge is installed; ``~/`` is the home
            folder there.
    """

    user: str | None
    host: str
    port: int | None
    python: str = DEFAULT_PYTHON

    @property
    def shown(self) -> str:
        """The host as the user named it, for reports, which are passed on: neither user nor port.

        Who finds the name too telling gives it another one in ssh's configuration.
        """
        return f"ssh://{self.host}"


def target_from_text(text: str, *, python: str = DEFAULT_PYTHON) -> Target:
    """The target in ``ssh://[user@]host[:port]``.

    Raises:
        UsageError: it is something else.
    """
    match = _TARGET.fullmatch(text)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 0 < port < 65536):
        raise UsageError(
            f"target is '{text}', expected ssh://[user@]host[:port].",
            hint="Keys and jump hosts belong in ~/.ssh/config.",
        )
    return Target(user=match["user"], host=match["host"].strip("[]"), port=port, python=python)


def without_accounts(words: Sequence[str]) -> tuple[str, ...]:
    """A command line in which every target is as reports show it: without user and port."""
    return tuple(
        _TARGET.sub(lambda found: f"ssh://{found['host'].strip('[]')}", word) for word in words
    )


def add_target_options(parser: Parser) -> None:
    """Adds ``--target`` and ``--target-python``."""
    add = parser.add_argument_group("another machine").add_argument
    add(
        "--target",
        metavar="ssh://[USER@]HOST[:PORT]",
        help="measure on that board, where the same cifar-edge is installed",
    )
    add(
        "--target-python",
        metavar="PATH",
        help=f"the board's Python that has cifar-edge (default: {DEFAULT_PYTHON})",
    )


def target_from_arguments(arguments: argparse.Namespace) -> Target | None:
    """What the options of :func:`add_target_options` name; None: this machine.

    Raises:
        UsageError: they make no sense.
    """
    if arguments.target is None:
        if arguments.target_python is not None:
            raise UsageError(
                "--target-python is for a board.", hint="Give --target ssh://HOST as well."
            )
        return None
    return target_from_text(arguments.target, python=arguments.target_python or DEFAULT_PYTHON)
