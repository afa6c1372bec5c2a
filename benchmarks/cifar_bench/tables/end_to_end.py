"""The tables of :mod:`cifar_bench.measure.end_to_end`, for a terminal and, of its document, for a page."""

import json
from collections.abc import Sequence

from cifar_bench.measure.end_to_end import SCHEMA, Comparison
from cifar_eval.formatting import markdown_rows
from cifar_runtime.documents import from_document
from cifar_runtime.environment import Environment
from cifar_runtime.errors import InputError, json_error_reason

_HEADING = ("", "us", "bare us", "ratio", "goal", "limit")


def end_to_end_table(compared: Sequence[Comparison]) -> str:
    """One line a way to classify: microseconds a picture, the bare code's, their ratio, its goal and limit."""
    rows = [_cells(one) for one in compared]
    verdicts = ["", *("" if one.passed else "  missed" for one in compared)]
    width = max(len(row[0]) for row in rows)
    return "".join(
        f"{first:<{width}}" + "".join(f"  {cell:>9}" for cell in cells) + f"{verdict}\n"
        for (first, *cells), verdict in zip((_HEADING, *rows), verdicts, strict=True)
    )


def end_to_end_markdown(text: str, *, origin: str) -> str:
    """The table of a document of ``cifar-bench --end-to-end --json``, the machine below it, and a last newline.

    Args:
        text: the document.
        origin: where it was read, for the message.

    Raises:
        InputError: it is no such document.
    """
    try:
        document = json.loads(text)
        rows = [_cells(from_document(Comparison, entry)) for entry in document["compared"]]
        machine = from_document(Environment, document["environment"])
    except (ValueError, KeyError, TypeError) as cause:
        raise InputError(
            f"{origin}: is no {SCHEMA} document: {json_error_reason(cause)}.",
            hint="Measure again with cifar-bench --end-to-end --json FILE.",
        ) from cause
    load = "unknown" if machine.load_average is None else f"{machine.load_average[0]:.2f}"
    vnni = "with" if any("vnni" in flag for flag in machine.isa_flags) else "without"
    caption = (
        f"Machine: {machine.cpu_model} {vnni} VNNI, {machine.cores} cores, load {load} at the end."
    )
    return "\n".join([*markdown_rows(_HEADING, rows), "", caption]) + "\n"


def _cells(one: Comparison) -> tuple[str, ...]:
    return (
        one.what,
        f"{one.ours_ns / 1000:,.0f}",
        f"{one.bare_ns / 1000:,.0f}",
        f"{one.ratio:.2f}",
        f"{one.goal:.2f}",
        f"{one.limit:.2f}",
    )
