"""Numbers and rows as text, for every table that is drawn from a report. Pure."""

import math
from collections.abc import Sequence

from cifar_runtime.plain_text import printable

NOT_APPLICABLE = "-"

_GAP = "  "


def percent(share: float) -> str:
    """A share, 0..1, as percent (or a difference as percentage points) with two decimals, no unit."""
    # Adding zero turns the minus zero of a tiny negative difference into zero.
    return f"{round(100 * share, 2) + 0.0:.2f}"


def microseconds(duration_ns: int) -> str:
    """A duration as microseconds with three significant digits, no unit: 0.512, 38.2, 1,230."""
    value = duration_ns / 1000
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(value))
    rounded = round(value, 2 - magnitude)
    # Rounding up can add a digit: 99.96 becomes 100, not 100.0.
    decimals = max(0, 2 - math.floor(math.log10(rounded)))
    return f"{rounded:,.{decimals}f}"


def counted(count: int, noun: str) -> str:
    """The count with its noun, in the plural unless it is one."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def markdown_rows(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int = 1
) -> list[str]:
    """The rows as lines of a Markdown table: the first ``text_columns`` to the left, numbers to the right.

    What would be HTML or a further column in a cell of ``rows`` is escaped: names come from files.
    """
    alignment = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    cells = [[_markdown_cell(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (header, alignment, *cells)]


def _markdown_cell(text: str) -> str:
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines: the first column to the left, numbers to the right; cells are made printable."""
    if not rows:
        return []
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        _GAP.join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


_TRAINED_ON = ("train", "official-train")


def training_notes(split: str) -> tuple[str, ...]:
    """What has to be said of accuracy on images that models are trained on; nothing of other images.

    Args:
        split: the name in a report, such as ``train[:200]``.
    """
    name, _, _ = split.partition("[")
    if name not in _TRAINED_ON:
        return ()
    note = f"Split {name} is what models are trained on: accuracy on new images is mostly lower."
    return (note,)
