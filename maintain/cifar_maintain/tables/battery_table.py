"""Makes docs/own-model.md's table of the battery from its report: text in, text out."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cifar_eval.formatting import counted, markdown_rows
from cifar_eval.intervals import exact_mcnemar_p

BATTERY_SCHEMA = "cifar-edge/battery/1"
_INT8 = ("int8.tflite", "int8.onnx")
_HEADER = ("kind", "Keras", "int8 TFLite", "plain", "int8 ONNX", "plain")
_MAX_DROP, _MIN_AGREEMENT = 0.005, 0.97  # the export's own limits for int8
_BEYOND_CHANCE = 0.05

Row = Mapping[str, Any]


def battery_table(text: str) -> str:
    """What became of the kinds in words, and the int8 files as a table, in Markdown with a last newline.

    Args:
        text: of the report.
    """
    document = json.loads(text)
    rows = document["rows"]
    table = "".join(f"{line}\n" for line in markdown_rows(_HEADER, list(map(_cells, rows))))
    return f"{_summary(rows)}\n\n{table}\n{_caption(document)}\n"


def is_behind(row: Row) -> bool:
    """Whether a plain file is better than ours: right more often beyond chance, or within the limits alone."""
    return any(_is_behind(row, ours, row["plain"][way]) for way, ours in row["ours"].items())


def _is_behind(row: Row, ours: Row, plain: Row) -> bool:
    if "accuracy" not in plain:
        return False
    if "accuracy" not in ours:
        drop = round(row["keras_accuracy"] - plain["accuracy"], 9)
        return bool(drop <= _MAX_DROP and plain["agreement"] >= _MIN_AGREEMENT)
    lost, won = plain["right_alone"], ours["right_alone"]
    return bool(lost > won and exact_mcnemar_p(lost, won) < _BEYOND_CHANCE)


def _summary(rows: Sequence[Row]) -> str:
    ended = Counter(map(_ending, rows))
    behind = [row["kind"] for row in rows if is_behind(row)]
    pairs = [(row["ours"][way], row["plain"][way]) for row in rows for way in _INT8]
    alone = [
        (ours["right_alone"], plain["right_alone"])
        for ours, plain in pairs
        if "right_alone" in ours
    ]
    failing = sum("accuracy" not in row["plain"][way] for row in rows for way in row["plain"])
    return (
        f"Of {counted(len(rows), 'kind')}, {ended['made']} gave all four files at the first call, "
        f"{ended['gate']} missed a gate, {ended['refused']} were refused in part or whole, {ended['crash']} ended in "
        f"exit code 1. Of {len(alone)} pairs of int8 files, ours decides more pictures rightly in "
        f"{sum(ours > plain for ours, plain in alone)}, the plain one in {sum(ours < plain for ours, plain in alone)}; "
        f"plain ahead beyond chance (p < {_BEYOND_CHANCE}), or alone within the limits: {', '.join(behind) or 'none'}. "
        f"{failing} of the {4 * len(rows)} plain files cannot be made or run."
    )


def _ending(row: Row) -> str:
    if row["exit_code"] in (0, 1):
        return "crash" if row["exit_code"] else "made"
    unpublished = [one for one in row["ours"].values() if not one.get("published")]
    return "gate" if all("gates" in one for one in unpublished) else "refused"


def _cells(row: Row) -> tuple[str, ...]:
    cells = [str(row["kind"]), f"{100 * row['keras_accuracy']:.1f}"]
    for way in _INT8:
        cells += [_figure(row["ours"][way]), _figure(row["plain"][way])]
    return tuple(cells)


def _figure(found: Row) -> str:
    if "accuracy" in found:
        return f"{100 * found['accuracy']:.1f} ({100 * found['agreement']:.1f})"
    if "gates" in found:
        gates = found["gates"]
        drop, agreement = 100 * gates["accuracy_drop"], 100 * gates["agreement"]
        return f"gate missed (drop {drop:.1f}, {agreement:.1f})"
    return "does not run" if "error" in found else "refused"


def _caption(document: Row) -> str:
    machine = document["environment"]
    seen = sorted({row["num_pictures"] for row in document["rows"]}, reverse=True)
    few = [row["kind"] for row in document["rows"] if row["num_pictures"] < seen[0]]
    fewer = f" ({seen[-1]:,} for {', '.join(few)})" if few else ""
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    return (
        f"On {seen[0]:,} test pictures{fewer}, with {machine['cpu_model']} "
        f"({counted(machine['cores'], 'core')}). {versions}. Again: `make battery`."
    )
