"""Draws a report as CSV for spreadsheets: one line a model, raw units, no thousands separators. Pure."""

import csv
import io
from collections.abc import Callable

from cifar_bench.results.model import ModelReport, runtime_in_words
from cifar_bench.results.report import Report

_COLUMNS: dict[str, Callable[[ModelReport], object]] = {
    "name": lambda model: model.name,
    "file": lambda model: model.model_file.file,
    "format": lambda model: model.model_file.format,
    "sha256": lambda model: model.model_file.sha256,
    "runtime": runtime_in_words,
    "precision": lambda model: model.cost.precision,
    "size_bytes": lambda model: model.model_file.size_bytes,
    "weight_bytes": lambda model: model.cost.weight_bytes,
    "parameters": lambda model: model.cost.parameters,
    "macs": lambda model: model.cost.macs,
    "moved_bytes": lambda model: model.cost.moved_bytes,
    "split": lambda model: model.accuracy.split,
    "correct": lambda model: model.accuracy.correct,
    "seen": lambda model: model.accuracy.seen,
    "accuracy": lambda model: model.accuracy.value,
    "accuracy_low_95": lambda model: model.accuracy.interval[0],
    "accuracy_high_95": lambda model: model.accuracy.interval[1],
    "ece": lambda model: model.accuracy.ece,
    "agreement": lambda model: model.parity and model.parity.agreement,
    "accuracy_drop": lambda model: model.parity and model.parity.accuracy_drop,
    "threads": lambda model: model.latency.threads,
    "min_ns": lambda model: model.latency.min_ns,
    "median_ns": lambda model: model.latency.median_ns,
    "median_low_95_ns": lambda model: (model.latency.median_interval_ns or (None, None))[0],
    "median_high_95_ns": lambda model: (model.latency.median_interval_ns or (None, None))[1],
    "p90_ns": lambda model: model.latency.p90_ns,
    "p95_ns": lambda model: model.latency.p95_ns,
    "p99_ns": lambda model: model.latency.p99_ns,
    "max_ns": lambda model: model.latency.max_ns,
    "macs_per_s": lambda model: model.macs_per_s,
    "load_ns": lambda model: model.startup.load_ns,
    "first_inference_ns": lambda model: model.startup.first_inference_ns,
    "peak_rss_bytes": lambda model: model.startup.peak_rss_bytes,
    "cold_start_ns": lambda model: model.cold_start and model.cold_start.median_ns,
    "preprocessing_ns": lambda model: model.preprocessing and model.preprocessing.median_ns,
    "joules_per_inference": lambda model: model.energy and model.energy.joules_per_inference,
}
"""Every column's name, with its unit, and its cell; what is None stays empty."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_table(report: Report) -> str:
    """The report as CSV (RFC 4180, but with line feeds), a line of names first; shares are 0..1."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_COLUMNS, "roofline_share", "memory_share", "date", "cpu_model", "target"])
    for model in report.models:
        cells = [cell(model) for cell in _COLUMNS.values()]
        cells += [report.roofline_share(model), report.memory_share(model)]
        cells += [report.date, report.environment.cpu_model, report.target]
        writer.writerow([_harmless(cell) for cell in cells])
    return stream.getvalue()


def _harmless(cell: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe, as OWASP advises."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
