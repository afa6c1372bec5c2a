"""Options that several commands have, each declared once. Like ``parser``, nothing slow is imported.

Each function takes a parser or a group of its options, so that a command decides what excludes what.
"""

import argparse
from collections.abc import Sequence

from cifar_runtime.commands.parser import choice, positive_int, thread_count, whole_number
from cifar_runtime.commands.result_file import STDOUT

Options = argparse._ActionsContainer

DEFAULT_SIZE = (96, 96)
# As :data:`cifar_runtime.contract.ResizeFilter` has them, which is slower to import.
RESIZE_FILTERS = ("bilinear", "bicubic", "lanczos")


def add_document_option(options: Options, name: str, what: str) -> None:
    """Adds ``name [FILE]``, such as ``--json``: None when absent, ``-`` for stdout, or a file.

    Args:
        options: a parser or a group.
        name: the option.
        what: what is written, such as ``the report as JSON``.
    """
    text = f"write {what}, to stdout without FILE"
    options.add_argument(name, nargs="?", const=STDOUT, metavar="FILE", help=text)


def add_quiet_option(options: Options, text: str = "no progress on stderr") -> None:
    """Adds ``-q``; ``text`` is its help."""
    options.add_argument("-q", "--quiet", action="store_true", help=text)


def add_verbose_option(options: Options, also: str = "") -> None:
    """Adds ``-v``, which shows the traceback of an unexpected error; ``also``: what else it shows."""
    text = f"show {also and f'{also}, and '}the traceback of an unexpected error"
    options.add_argument("-v", "--verbose", action="store_true", help=text)


def add_threads_option(options: Options) -> None:
    """Adds ``--threads``."""
    text = "threads per inference, at most 256 (default: 1)"
    options.add_argument("--threads", type=thread_count, default=1, metavar="N", help=text)


def add_contract_option(options: Options) -> None:
    """Adds ``--contract``: a built-in contract's name, or a JSON file."""
    text = "for models without a card: cifar10-raw255, cifar10-unit, or a .json file"
    options.add_argument("--contract", metavar="NAME|FILE", help=text)


def add_split_option(options: Options, splits: Sequence[str]) -> None:
    """Adds ``--split``, one of ``splits``; None when absent, which stands for ``test-sample``."""
    text = f"labelled images: {', '.join(splits)} (default: test-sample)"
    options.add_argument("--split", type=choice(splits), metavar="NAME", help=text)


def add_eval_data_option(options: Options, *, or_table: bool = False) -> None:
    """Adds ``--eval-data``, a folder of labelled images, or perhaps a CSV file that lists them."""
    from pathlib import Path

    text = "your own images instead: one folder a class, named like the model's labels"
    if or_table:
        text += ", or a CSV file of path,label (path,label;label where several hold)"
    options.add_argument(
        "--eval-data", type=Path, metavar="DIR|FILE" if or_table else "DIR", help=text
    )


def add_limit_option(options: Options) -> None:
    """Adds ``--limit``, a number of images."""
    text = "use N images only, evenly over the classes"
    options.add_argument("--limit", type=positive_int, metavar="N", help=text)


def add_seed_option(options: Options, what: str) -> None:
    """Adds ``--seed``; ``what`` is drawn from it."""
    text = f"of {what} (default: 0)"
    options.add_argument("--seed", type=whole_number, default=0, metavar="N", help=text)


def add_picture_options(options: Options) -> None:
    """Adds ``--size`` and ``--resize``, which are a contract's; None when absent, see DEFAULT_SIZE."""
    options.add_argument(
        "--size",
        type=picture_size,
        metavar="N|HxW",
        help="pixels that the model sees, such as 96 or 64x96, height first (default: 96)",
    )
    options.add_argument(
        "--resize",
        type=choice(RESIZE_FILTERS),
        metavar="|".join(RESIZE_FILTERS),
        help="how pictures are scaled to that (default: bicubic)",
    )


def picture_size(text: str) -> tuple[int, int]:
    """A parser type for (height, width), written ``96`` or ``64x96``; each is 16 to 1,024."""
    sizes = text.lower().split("x")
    if len(sizes) > 2 or not all(size.isdecimal() and 16 <= int(size) <= 1024 for size in sizes):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a size such as 96 or 64x96, of 16 to 1024 pixels"
        )
    return int(sizes[0]), int(sizes[-1])
