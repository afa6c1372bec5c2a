"""Draws a report as a table for a terminal or as Markdown. Pure: a report in, text out."""

from collections.abc import Sequence

from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_bench.results.steadiness import half_width, steadiness_notes
from cifar_bench.tables.details import (
    ceiling_notes,
    detail_rows,
    details_caption,
    machine_notes,
    rate_cells,
    thread_rows,
)
from cifar_eval.formatting import (
    NOT_APPLICABLE,
    aligned,
    counted,
    markdown_rows,
    microseconds,
    percent,
    training_notes,
)
from cifar_runtime.plain_text import printable_lines

_HALF_WIDTH = "±: half the 95 % interval of the median."


def plain_table(report: Report) -> str:
    """The report for a terminal, about 100 columns wide, with a last newline."""
    header = ["model", "top-1", "95 %", "correct"]
    if report.reference is not None:
        header += ["agree", "drop"]
    header += ["min", "median", "±", "p90", "p99", "bytes"]
    rows = [_plain_row(model, report.reference) for model in report.models]
    details = detail_rows(report)
    parts = [
        _measured_how(report),
        aligned([header, *rows]),
        [*details_caption(details[0]), *aligned(details)],
        aligned(thread_rows(report)),
        _parity_notes(report),
        machine_notes(report),
        steadiness_notes(report),
    ]
    return "\n".join(printable_lines(part) for part in parts if part)


def markdown_table(report: Report) -> str:
    """The report as a Markdown table and how, and how well, it was measured, with a last newline.

    Example:
        >>> from cifar_bench import markdown_table, read_report
        >>> markdown_table(read_report("report.json"))[:19]
        '| model | runtime |'
    """
    header = ["model", "runtime", "top-1 % (95 % interval)", "correct / seen"]
    if report.reference is not None:
        header += ["agreement %", "drop in points (95 % interval)"]
    header += ["median µs", "±", "p99 µs", "bytes", "MMACs", "GMAC/s", "of ceiling"]
    rows = [_markdown_row(report, model) for model in report.models]
    table = markdown_rows(header, rows, text_columns=2)
    notes = (
        [
            *_measured_how(report),
            *_compared_with(report),
            _HALF_WIDTH,
            *ceiling_notes(report),
            *_bounds(report),
        ],
        steadiness_notes(report),
    )
    paragraphs = [" ".join(lines) for lines in notes if lines]
    return "\n".join(table) + "\n\n" + "\n\n".join(paragraphs) + "\n"


def _plain_row(model: ModelReport, reference: str | None) -> list[str]:
    low, high = model.accuracy.interval
    row = [
        model.name,
        percent(model.accuracy.value),
        f"{percent(low)}-{percent(high)}",
        f"{model.accuracy.correct}/{model.accuracy.seen}",
    ]
    if reference is not None:
        row += _parity_cells(model, with_interval=False)
    cells = _cost_cells(model)
    return [*row, *cells[:2], half_width(model.latency), *cells[2:]]


def _markdown_row(report: Report, model: ModelReport) -> list[str]:
    low, high = model.accuracy.interval
    row = [
        model.name,
        model.runtime,
        f"{percent(model.accuracy.value)} ({percent(low)} to {percent(high)})",
        f"{model.accuracy.correct:,} / {model.accuracy.seen:,}",
    ]
    if report.reference is not None:
        row += _parity_cells(model, with_interval=True)
    latency, macs = model.latency, model.cost.macs
    return [
        *row,
        microseconds(latency.median_ns),
        half_width(latency),
        microseconds(latency.p99_ns),
        f"{model.model_file.size_bytes:,}",
        NOT_APPLICABLE if macs is None else f"{macs / 1e6:.2f}",
        *rate_cells(report, model),
    ]


def _parity_cells(model: ModelReport, *, with_interval: bool) -> list[str]:
    if model.parity is None:
        return [NOT_APPLICABLE, NOT_APPLICABLE]
    drop = percent(model.parity.accuracy_drop)
    if with_interval:
        low, high = model.parity.accuracy_drop_interval
        drop = f"{drop} ({percent(low)} to {percent(high)})"
    return [percent(model.parity.agreement), drop]


def _cost_cells(model: ModelReport) -> list[str]:
    latency = model.latency
    durations = (latency.min_ns, latency.median_ns, latency.p90_ns, latency.p99_ns)
    return [*(microseconds(duration) for duration in durations), f"{model.model_file.size_bytes:,}"]


def _measured_how(report: Report) -> list[str]:
    accuracy, latency = report.models[0].accuracy, report.models[0].latency
    machine = report.environment
    return [
        f"Accuracy: percent, split {accuracy.split}, {counted(accuracy.seen, 'image')}.",
        *training_notes(accuracy.split),
        f"Latency: one inference of one ready image, microseconds, {_threads(report.models)}, "
        f"{counted(len(latency.samples), 'run')} in {counted(len(latency.samples_ns), 'round')}.",
        f"Machine: {machine.cpu_model}, {counted(machine.cores, 'core')}"
        f"{_load(machine.load_average)}, {machine.os}, {machine.python}"
        f"{'' if report.target is None else f', {report.target}'}.",
    ]


def _bounds(report: Report) -> list[str]:
    return [] if report.bound_sentence is None else [report.bound_sentence]


def _load(load_average: tuple[float, float, float] | None) -> str:
    return "" if load_average is None else f", load {load_average[0]:.2f}"


def _threads(models: Sequence[ModelReport]) -> str:
    counts = {model.latency.threads for model in models}
    if len(counts) == 1:
        (count,) = counts
        return "threads chosen by the runtime" if count is None else counted(count, "thread")
    each = (f"{model.name} {model.latency.threads or 'its own choice'}" for model in models)
    return f"threads: {', '.join(each)}"


def _compared_with(report: Report) -> list[str]:
    if len(report.references) < 2:
        return []
    compared = (
        f"{', '.join(model.name for model in report.models if model.reference == reference)} "
        f"with {reference}"
        for reference in report.references
    )
    return [f"Agreement and drop: {'; '.join(compared)}."]


def _parity_notes(report: Report) -> list[str]:
    notes: list[str] = []
    for reference in report.references:
        notes.append(f"Against {reference}:")
        for model in report.models:
            if model.parity is None or model.reference != reference:
                continue
            low, high = model.parity.accuracy_drop_interval
            notes.append(
                f"{model.name}: drop {percent(model.parity.accuracy_drop)} points "
                f"(95 % interval {percent(low)} to {percent(high)}), "
                f"{model.parity.flips_to_wrong:,} turned wrong, {model.parity.flips_to_right:,} right"
            )
    return notes
