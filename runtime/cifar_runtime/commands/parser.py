"""What all commands share: the parser, and one place that turns errors into exit codes.

It never imports numpy or anything slower: ``--help`` passes through here.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from cifar_runtime.commands.streams import StdoutError, discard_stdout, set_up_streams
from cifar_runtime.errors import (
    INTERRUPTED_EXIT_CODE,
    TERMINATED_EXIT_CODE,
    CifarEdgeError,
    CifarEdgeWarning,
    InputError,
    UsageError,
    not_one_of,
    suggestion,
)
from cifar_runtime.formats.known_formats import MAX_THREADS
from cifar_runtime.system.interruption import check_interrupted, interrupted, listening

ERROR_SCHEMA = "cifar-edge/error/1"
MAX_MESSAGE_LENGTH = 1_000  # of a usage error, characters
SHELLS = ("bash", "zsh", "fish")
MAX_NUMBER = 2**31 - 1  # what every library that gets one of these can count
EXIT_CODES = """\
exit codes:
  0    done
  1    unexpected error (a bug: please report it)
  2    usage: the command line makes no sense
  3    input or data: missing, unreadable, or wrong checksum
  4    model or artefact: not found, no contract, hash mismatch, unsupported operator
  5    a gate failed: a valid negative answer
  6    an optional dependency is missing: the message is the pip line
  130  interrupted
  143  terminated
"""


class Parser(argparse.ArgumentParser):
    """A parser that ends every help with the exit codes and raises UsageError on mistakes."""

    def __init__(self, *, prog: str, description: str, examples: str = "") -> None:
        epilog = f"examples:\n{examples}\n{EXIT_CODES}" if examples else EXIT_CODES
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument("--version", action="version", version=_version_line(prog))
        self.add_argument(
            "--completion",
            action=_PrintCompletion,
            choices=SHELLS,
            default=argparse.SUPPRESS,
            metavar="SHELL",
            help=f"print the script that completes this command in {', '.join(SHELLS)}, and exit",
        )

    def error(self, message: str) -> NoReturn:
        """Raises the usage error that :func:`execute` prints.

        Raises:
            UsageError: always.
        """
        from cifar_runtime.plain_text import shortened

        for action in (
            self._actions
        ):  # its choices stand in the message, and need not be the argument's name too
            if isinstance(action.type, Subcommand):
                message = message.removeprefix(f"argument {action.metavar}: ")
        if len(message) > MAX_MESSAGE_LENGTH:  # a word of it came from the command line
            message = shortened(message, MAX_MESSAGE_LENGTH)
        sentence = f"{message.rstrip('.')}{self._nearest_option(message)}"
        raise UsageError(f"{self.prog}: {sentence}.", hint=f"See {self.prog} --help.")

    def _nearest_option(self, message: str) -> str:
        """A suggestion for the first option that argparse says it does not know; empty where nothing is near."""
        import difflib

        _, unknown, words = message.partition("unrecognized arguments: ")
        wrong = next((word for word in words.split() if word.startswith("--")), None)
        if not unknown or wrong is None:
            return ""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        near = difflib.get_close_matches(wrong.partition("=")[0], known, n=1, cutoff=0.7)
        return f" (did you mean {near[0]}?)" if near else ""


class _PrintCompletion(argparse.Action):
    """Prints a shell's completion script, as ``--version`` prints a version."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: object, values: Any, option: object = None
    ) -> NoReturn:
        del namespace, option
        from cifar_runtime.commands.completion import completion_script

        sys.stdout.write(completion_script(parser, values))
        parser.exit()


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help of one width everywhere, so that documents can quote it; asking costs 3 ms (shutil)."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=98)


def _version_line(prog: str) -> str:
    from cifar_runtime import __version__

    return f"{prog} {__version__}"


class OneOf:
    """A parser type that takes one of ``choices``; a shell completes to these."""

    def __init__(self, choices: Sequence[str], *, aliases: Mapping[str, str] | None = None) -> None:
        self.choices = tuple(choices)
        self._aliases = aliases or {}

    def __call__(self, text: str) -> str:
        """The choice that ``text`` names."""
        value = self._aliases.get(text, text)
        if value in self.choices:
            return value
        raise argparse.ArgumentTypeError(not_one_of(value, self.choices))


class Subcommand(OneOf):
    """A parser type of a first word that says what to do."""

    def __call__(self, text: str) -> str:
        """The subcommand that ``text`` names."""
        if text in self.choices:
            return text
        expected = "expected one of " if len(self.choices) > 1 else "expected "
        raise argparse.ArgumentTypeError(
            f"unknown subcommand '{text}', {expected}{', '.join(self.choices)}"
            f"{suggestion(text, self.choices)}"
        )


class SomeOf:
    """A parser type that takes one or more of ``choices``, separated by commas."""

    def __init__(self, choices: Sequence[str], *, aliases: Mapping[str, str] | None = None) -> None:
        self._one = OneOf(choices, aliases=aliases)
        self.choices = self._one.choices

    def __call__(self, text: str) -> tuple[str, ...]:
        """Those of the choices that ``text`` names, each once, in its order."""
        return tuple(dict.fromkeys(self._one(word) for word in text.split(",")))


def choice(choices: Sequence[str]) -> OneOf:
    """A parser type that takes one of ``choices``, or else names them and the closest."""
    return OneOf(choices)


def positive_int(text: str) -> int:
    """A parser type for whole numbers from 1 to :data:`MAX_NUMBER`."""
    return _integer(text, 1, MAX_NUMBER, "a whole number above zero")


def whole_number(text: str) -> int:
    """A parser type for whole numbers from 0 to :data:`MAX_NUMBER`."""
    return _integer(text, 0, MAX_NUMBER, "a whole number from zero up")


def thread_count(text: str) -> int:
    """A parser type for threads, 1 to :data:`cifar_runtime.formats.known_formats.MAX_THREADS`."""
    return _integer(text, 1, MAX_THREADS, "a whole number above zero")


def _integer(text: str, lowest: int, highest: int, what: str) -> int:
    from cifar_runtime.plain_text import shortened

    try:
        number = int(text)
    except ValueError:  # no number, or one of thousands of digits
        number = lowest - 1
    if number < lowest:
        raise argparse.ArgumentTypeError(f"'{shortened(text, 40)}' is not {what}")
    if number > highest:
        raise argparse.ArgumentTypeError(
            f"'{shortened(text, 40)}' is too large, expected at most {highest}"
        )
    return number


def share(text: str) -> float:
    """A parser type for shares, 0..1, written ``0.005``, ``0.5%`` or ``0.5pp`` (percentage points)."""
    number, divisor = text, 1.0
    for unit in ("pp", "%"):
        if text.endswith(unit):
            number, divisor = text.removesuffix(unit), 100.0
    try:
        value = float(number) / divisor
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a share such as 0.005, 0.5% or 0.5pp")
    return value


def run_command(
    program: str, run: Callable[[Sequence[str]], int], argv: Sequence[str] | None
) -> int:
    """The exit code of ``run`` on a command line, the process's own where ``argv`` is None; see :func:`execute`."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    return execute(program, lambda: run(arguments), argv=arguments)


def execute(program: str, action: Callable[[], int], *, argv: Sequence[str]) -> int:
    """The exit code of ``action()``, with every error turned into one line on stderr.

    With ``--json`` or ``--jsonl`` among ``argv`` the error is a JSON object on stdout instead; with
    ``-v`` an unexpected error keeps its traceback. The standard streams are set up first.
    """
    set_up_streams()
    _show_own_warnings(program)
    try:
        try:
            with listening():
                code = _code_of(program, action, argv)
        finally:  # --help and --version end in SystemExit
            sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()  # the reader has left (| head -1)
        return 0
    except StdoutError as error:
        discard_stdout()
        sys.stderr.write(
            f"{program}: standard output cannot be written: {error.strerror}. "
            "Free space there, or write to another place.\n"
        )
        return InputError.exit_code
    return code


def _code_of(program: str, action: Callable[[], int], argv: Sequence[str]) -> int:
    """As :func:`execute`; it raises only what writing to stdout raises."""
    try:
        code = action()
        check_interrupted()
    except BaseException as error:  # noqa: BLE001 - SystemExit is raised again
        if interrupted() is not None or isinstance(error, KeyboardInterrupt):
            return _ended_by_signal(program)  # what else it led to is no news
        return _code_of_error(program, error, argv)
    return code


def _ended_by_signal(program: str) -> int:
    import signal

    terminated = interrupted() == signal.SIGTERM
    sys.stderr.write(f"{program}: {'terminated' if terminated else 'interrupted'}\n")
    return TERMINATED_EXIT_CODE if terminated else INTERRUPTED_EXIT_CODE


def _code_of_error(program: str, error: BaseException, argv: Sequence[str]) -> int:
    if isinstance(error, (BrokenPipeError, StdoutError)) or not isinstance(error, Exception):
        raise error
    if isinstance(error, CifarEdgeError):
        told = error
    elif isinstance(error, OSError):
        told = _unusable(error)
    else:  # the one boundary where a bug becomes exit code 1
        told = _unexpected(error)
        if "-v" in argv or "--verbose" in argv:
            import traceback

            traceback.print_exception(error)
    as_json = any(arg.split("=")[0] in ("--json", "--jsonl") for arg in argv)
    _report(program, told, as_json=as_json)
    return told.exit_code


def _unusable(error: OSError) -> InputError:
    """What the file system, asked without a boundary of its own, has refused."""
    from cifar_runtime.plain_text import reason_of

    what = "a file" if error.filename is None else os.fsdecode(error.filename)
    return InputError(
        f"{what}: cannot be used: {error.strerror or reason_of(error)}.",
        hint="Check the path, its permissions and the space left.",
    )


def _unexpected(error: Exception) -> CifarEdgeError:
    from cifar_runtime.plain_text import reason_of

    return CifarEdgeError(
        f"unexpected {type(error).__name__}: {reason_of(error)}.",
        hint="Run again with -v and report it.",
    )


def _show_own_warnings(program: str) -> None:
    """Prints a :class:`CifarEdgeWarning` as a message of ``program``; other warnings stay as they were."""
    show_others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if issubclass(category, CifarEdgeWarning):
            sentences_to_stderr(program)(str(message))
        else:
            show_others(message, category, *rest, **named)

    if not getattr(show_others, "shows_own_warnings", False):
        show.shows_own_warnings = True  # type: ignore[attr-defined]
        warnings.showwarning = show


def sentences_to_stderr(program: str) -> Callable[[str], None]:
    """Writes each sentence it is given to stderr, on a line that begins with the command's name."""

    def write(sentence: str) -> None:
        from cifar_runtime.plain_text import printable

        # On a terminal an open progress bar may stand on this line.
        start = "\r\x1b[K" if sys.stderr.isatty() else ""
        sys.stderr.write(f"{start}{program}: {printable(sentence)}\n")

    return write


def _report(program: str, error: CifarEdgeError, *, as_json: bool) -> None:
    if as_json:
        import json

        document = {"schema": ERROR_SCHEMA, "error": error.to_json()}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        sentences_to_stderr(program)(str(error).removeprefix(f"{program}: "))
