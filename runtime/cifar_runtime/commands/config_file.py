"""Options from a TOML file, ``--config FILE``, and the same written back, so that a pipeline keeps its choices.

A key is an option without its dashes (``min-agreement = 0.97``), or a positional's name; what the command line says
goes first. Paths in it start from the current folder, as on the command line. Like ``parser``, nothing slow is
imported; it never runs anything.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cifar_runtime.commands.parser import Parser
from cifar_runtime.errors import InputError, UsageError

_OPTION = "--config"
_MAX_BYTES = 1_000_000
# What belongs to one call of a command and never to its choices.
_NOT_CHOICES = ("help", "version", "completion", "config", "dry_run", "quiet", "verbose")


def add_config_option(parser: Parser) -> None:
    """Adds ``--config FILE``; :func:`parse_with_config` reads it."""
    text = "options from a TOML file, such as seed = 1; the command line goes first"
    parser.add_argument(_OPTION, metavar="FILE", help=text)


def parse_with_config(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """The options of ``argv``, and of the file that it names for the rest.

    Raises:
        InputError: the file cannot be read, or is no TOML.
        UsageError: the command line or the file asks for what does not exist.
    """
    path = _config_path(argv)
    if path is None:
        return parser.parse_args(argv)
    given = _given(argv)
    for action, value in _settings(parser, path):
        if not _excluded(parser, action, given):
            action.default, action.required = _converted(parser, action, value, path), False
    return parser.parse_args(argv)


def choices_as_toml(parser: Parser, argv: Sequence[str]) -> str:
    """What ``argv`` and its file choose, as the text of a file for ``--config``."""
    path = _config_path(argv)
    chosen: dict[str, Any] = {}
    if path is not None:
        given = _given(argv)
        settings = _settings(parser, path)
        chosen = {_key(one): text for one, text in settings if not _excluded(parser, one, given)}
    for action in parser._actions:
        action.type, action.default = None, argparse.SUPPRESS
    named = vars(parser.parse_args(argv))
    chosen |= {_key(one): named[one.dest] for one in _choosing(parser) if one.dest in named}
    return "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
        for key, value in chosen.items()
        if value not in (None, [])
    )


def _config_path(argv: Sequence[str]) -> str | None:
    """The file after ``--config``; the parser itself refuses the option without one."""
    for place, argument in enumerate(argv):
        name, separator, path = argument.partition("=")
        if name == _OPTION:
            return path if separator else next(iter(argv[place + 1 : place + 2]), None)
    return None


def _given(argv: Sequence[str]) -> set[str]:
    return {argument.partition("=")[0] for argument in argv if argument.startswith("-")}


def _settings(parser: Parser, path: str) -> Iterator[tuple[argparse.Action, Any]]:
    """Each key of the file as the option that it names, and its value.

    Raises:
        InputError: the file cannot be read, or is no TOML.
        UsageError: there is no such option.
    """
    import tomllib
    from pathlib import Path

    from cifar_runtime.system.files import read_text_once

    text = read_text_once(Path(path), max_bytes=_MAX_BYTES, error=InputError)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"{path}: is not TOML: {error}.", hint="Write lines such as seed = 1."
        ) from error
    known = {_key(action): action for action in _choosing(parser)}
    for key, value in document.items():
        if key not in known:
            raise _refused(parser, path, f"{key} is no option of this command", near=(key, known))
        yield known[key], value


def _choosing(parser: Parser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.dest not in _NOT_CHOICES]


def _key(action: argparse.Action) -> str:
    long = (name for name in action.option_strings if name.startswith("--"))
    return next(long, f"--{action.dest}").removeprefix("--")


def _excluded(parser: Parser, action: argparse.Action, given: set[str]) -> bool:
    """Whether the command line gives an option that excludes this one, or this one, which would add to the file's."""
    if isinstance(action, argparse._AppendAction) and given.intersection(action.option_strings):
        return True
    return any(
        given.intersection(other.option_strings)
        for group in parser._mutually_exclusive_groups
        if action in group._group_actions
        for other in group._group_actions
        if other is not action
    )


def _converted(parser: Parser, action: argparse.Action, value: Any, path: str) -> Any:
    """What the option's type makes of the value.

    Raises:
        UsageError: it takes no such value.
    """
    key = _key(action)
    if action.nargs == 0:
        if isinstance(value, bool):
            return value
        raise _refused(parser, path, f"{key} is {value!r}, expected true or false")
    try:
        if action.nargs in ("*", "+") or isinstance(action, argparse._AppendAction):
            return [parser._get_value(action, _text(one)) for one in _listed(value)]
        return parser._get_value(action, _text(value))
    except (argparse.ArgumentError, TypeError) as error:
        said = error.message if isinstance(error, argparse.ArgumentError) else str(error)
        raise _refused(parser, path, f"{key}: {said}") from error


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    """The value as it is written on a command line; a list with commas.

    Raises:
        TypeError: it is nothing that a command line can say.
    """
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(f"{value!r} is neither text, a number nor a list of these")
    return str(value)


def _refused(
    parser: Parser, path: str, what: str, *, near: tuple[str, Mapping[str, Any]] | None = None
) -> UsageError:
    suggestion = ""
    if near is not None:
        import difflib

        closest = difflib.get_close_matches(near[0], near[1], n=1, cutoff=0.6)
        suggestion = f" (did you mean {closest[0]}?)" if closest else ""
    return UsageError(f"{path}: {what}{suggestion}.", hint=f"See {parser.prog} --help.")
