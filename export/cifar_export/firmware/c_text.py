"""C literals, comments, and the templates in ``c/``. It knows the syntax and nothing of networks."""

import textwrap
from collections.abc import Iterable
from importlib.resources import files

_WIDTH = 110


def template(name: str) -> str:
    """A file of ``c/``, as it is there."""
    return (files("cifar_export.firmware") / "c" / name).read_text(encoding="utf-8")


def comment(text: str) -> str:
    """Text as a C comment; it cannot end it early."""
    lines = text.replace("*/", "* /").splitlines()
    return "/* " + "\n".join([lines[0], *(f" * {line}".rstrip() for line in lines[1:])]) + " */"


def braced(values: Iterable[int]) -> str:
    """``{1, 2}``."""
    return "{" + ", ".join(map(str, values)) + "}"


def numbers(values: Iterable[int]) -> str:
    """A braced list over as many lines as it needs."""
    body = textwrap.fill(
        ",".join(map(str, values)).replace(",", ", "), _WIDTH, break_on_hyphens=False
    )
    return "{\n" + body + "}"


def string(text: str) -> str:
    """A string literal: printable ASCII as it is, every other byte of its UTF-8 in octal."""
    body = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode()
    )
    return f'"{body}"'
