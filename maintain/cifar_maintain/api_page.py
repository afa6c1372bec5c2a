"""Draws ``docs/api.md`` from the packages' public docstrings: ``python -m cifar_maintain.api_page [--check]``."""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cifar_runtime.commands.parser import Parser, run_command
from cifar_runtime.errors import GateError

_PROGRAM = "python -m cifar_maintain.api_page"
_PAGE = Path("docs") / "api.md"
_PACKAGES = (
    "cifar_runtime",
    "cifar_data",
    "cifar_train",
    "cifar_export",
    "cifar_eval",
    "cifar_bench",
    "cifar_make",
    "cifar_batch",
)
_HEAD = """\
# Python API

How is each step called from Python? Every command has a function that does what it does, and never prints.
Paths may be `str` or `Path`; what goes wrong is a `cifar_runtime.CifarEdgeError` with `exit_code`, `code` and `hint`.
Drawn from the docstrings by `make readme`.
"""
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Source|Example|Examples):(.*)$")
_ENTRY = re.compile(r"^ {4}(\S[^:]*): (.*)$")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def _run(argv: Sequence[str]) -> int:
    parser = Parser(prog=_PROGRAM, description="Draw docs/api.md from the public docstrings.")
    parser.add_argument("--check", action="store_true", help="fail if the page is not up to date")
    options = parser.parse_args(argv)
    page = api_page()
    if options.check and _PAGE.read_text(encoding="utf-8") != page:
        raise GateError(f"{_PAGE}: is not what the docstrings say.", hint="Run make readme.")
    _PAGE.write_text(page, encoding="utf-8")
    return 0


def api_page(packages: Sequence[str] = _PACKAGES) -> str:
    """The page as Markdown: one section a package, one entry a public name."""
    parts = [_HEAD]
    for name in packages:
        package = importlib.import_module(name)
        parts += [f"## {name}\n\n{_prose(inspect.getdoc(package) or '')}"]
        parts += [_entry(name, public, getattr(package, public)) for public in _public(package)]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _public(package: Any) -> list[str]:
    return [name for name in package.__all__ if not name.startswith("__")]


def _entry(package: str, name: str, item: Any) -> str:
    signature = _signature(name, item)
    head = f"### {package}.{name}\n"
    code = f"\n```python\n{signature}\n```\n" if signature else ""
    is_called = inspect.isclass(item) or inspect.isroutine(item)
    text = _prose(inspect.getdoc(item) or "") if is_called else _value(item)
    methods = "".join(_methods(item)) if inspect.isclass(item) else ""
    return f"{head}{code}\n{text}\n{methods}"


def _value(item: Any) -> str:
    """A constant as it is written; of a mapping only the keys."""
    if isinstance(item, Mapping):
        return f"Keys: {', '.join(f'`{key}`' for key in item)}."
    return repr(item)


def _signature(name: str, item: Any) -> str:
    """The call as it is written in the source; empty for what is not called, or takes an error's arguments."""
    if not (inspect.isclass(item) or inspect.isroutine(item)):
        return ""
    if inspect.isclass(item) and issubclass(item, BaseException):
        return ""
    try:
        text = str(inspect.signature(item))
    except ValueError:
        return ""
    text = re.sub(r"<function .*? at 0x[0-9a-f]+>", "...", text)
    text = (
        re.sub(r"(?:[A-Za-z_]\w*\.)+(?=[A-Z_a-z]\w*)", "", text).replace("'", "").replace('"', "")
    )
    return f"{name}{text}"


def _methods(kind: type[Any]) -> Iterator[str]:
    """Public methods that are not a dataclass's plumbing, each with the first line of its docstring."""
    lines = [
        f"- `{name}`: {(inspect.getdoc(member) or '').splitlines()[0]}\n"
        for name, member in vars(kind).items()
        if not name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, property))
        and inspect.getdoc(member)
    ]
    if lines:
        yield "\n"
        yield from lines


def _prose(docstring: str) -> str:
    """A Google-style docstring as Markdown: sections in bold, their entries as a list, examples as code."""
    lines: list[str] = []
    section = ""
    for line in docstring.splitlines():
        found = _SECTION.match(line)
        if found:
            section = found[1]
            lines += ["", f"**{section}:**{found[2]}", ""]
        elif section in ("Args", "Attributes", "Raises") and (entry := _ENTRY.match(line)):
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif section and line.startswith("    "):
            lines.append(line if section.startswith("Example") else f"  {line.strip()}")
        else:
            lines.append(line)
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", "\n".join(lines))
    return _fenced(text).strip()


def _fenced(text: str) -> str:
    """Doctest examples inside code fences."""
    out: list[str] = []
    inside = False
    for line in text.splitlines():
        starts = line.lstrip().startswith(">>>")
        if starts and not inside:
            out.append("```pycon")
            inside = True
        if inside and not line.strip():
            out.append("```")
            inside = False
        out.append(line.strip() if inside else line)
    return "\n".join([*out, "```"] if inside else out)


if __name__ == "__main__":
    sys.exit(main())
