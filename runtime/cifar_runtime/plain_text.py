"""Text from elsewhere as one plain line: what a file, a model or another package says, fit for a terminal.

Everything printed that this project did not write itself passes through here: a label with an escape
sequence, a path with a line break or a foreign exception of half a megabyte must not change what a
person sees. It never prints.
"""

from collections.abc import Iterable

MAX_REASON_LENGTH = 300


def printable(text: str) -> str:
    r"""The text with control characters, line breaks, invisible marks and undecodable bytes escaped.

    Example:
        >>> from cifar_runtime.plain_text import printable
        >>> printable("cat\x1b[31m\n")
        'cat\\x1b[31m\\n'
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def printable_lines(lines: Iterable[str]) -> str:
    """The lines as text that ends in a line break, each :func:`printable`: no name in one begins another."""
    return "".join(f"{printable(line)}\n" for line in lines)


def shortened(text: str, max_length: int = MAX_REASON_LENGTH) -> str:
    """The text, printable and on one line; of a longer one than ``max_length`` characters the beginning and ``...``."""
    beginning = text[: 4 * max_length]  # a first cut, so that megabytes are not searched for spaces
    line = printable(" ".join(beginning.split()))
    whole = len(line) <= max_length and len(beginning) == len(text)
    return line if whole else f"{line[: max_length - 3]}..."


def clause(text: str) -> str:
    """The text, :func:`shortened`, without its full stop: a part of a sentence."""
    line = shortened(text)
    return line if line.endswith("...") else line.rstrip(".")


def reason_of(error: BaseException) -> str:
    """What an exception says, as a :func:`clause`; its class where it says nothing."""
    return clause(str(error)) or type(error).__name__
