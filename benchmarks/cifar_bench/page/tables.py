"""The tables of the HTML page. Pure: a report in, rows of text out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cifar_bench.figures.marks import network_name
from cifar_bench.results.cost import OperatorTime
from cifar_bench.results.latency import Latency
from cifar_bench.results.model import ModelReport, runtime_in_words
from cifar_bench.results.report import Report
from cifar_bench.results.steadiness import half_width
from cifar_bench.results.timings import ColdStart, Energy, Preprocessing
from cifar_eval.formatting import NOT_APPLICABLE, counted, microseconds, percent
from cifar_eval.parity.counts import Parity

MOST_OPERATORS = 12
MOST_CLASSES = 20
"""More columns than that no page can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with its column heads; the first column heads the rows.

    Attributes:
        name: unique within the page, of a-z, 0-9 and -.
        caption: what it shows, with units.
        head: one word or two for each column.
        rows: cells, as many as ``head`` has; what follows a line break, here or in ``head``, stands small.
        groups: where a group of rows begins, from 0; empty where rows are not grouped.
    """

    name: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError(f"{self.name}: a row has not {len(self.head)} cells")


Column = tuple[str, Callable[[ModelReport], str]]
Part = TypeVar("Part")


def results_table(report: Report) -> Table:
    """Accuracy, parity, latency, size and cost of every entry."""
    columns: list[Column] = [
        ("Top-1 %", _accuracy),
    ]
    if report.reference is not None:
        columns += [
            ("Agreement %", lambda model: _parity(model, lambda parity: percent(parity.agreement))),
            ("Drop, pp", lambda model: _parity(model, _drop)),
        ]
    columns += [
        ("Median µs", _median),
        ("p99 µs", lambda model: microseconds(model.latency.p99_ns)),
        ("File, bytes", lambda model: f"{model.model_file.size_bytes:,}"),
        ("MMACs", lambda model: _or_dash(model.cost.macs, lambda macs: f"{macs / 1e6:,.2f}")),
    ]
    seen, split = report.models[0].accuracy.seen, report.models[0].accuracy.split
    caption = f"Accuracy on {seen:,} images of {split}; single-image latency, {_threads(report)}"
    return Table(
        name="results",
        caption=caption,
        head=("Model", *(head for head, _ in columns)),
        rows=tuple(
            (f"{model.name}\n{runtime_in_words(model)}", *(cell(model) for _, cell in columns))
            for model in report.models
        ),
        groups=_networks(report.models),
    )


def latency_table(report: Report) -> Table:
    """Percentiles of every entry's latency."""
    columns: list[Column] = [
        ("Min", lambda model: microseconds(model.latency.min_ns)),
        ("p50", lambda model: microseconds(model.latency.median_ns)),
        ("p90", lambda model: microseconds(model.latency.p90_ns)),
        ("p95", lambda model: microseconds(model.latency.p95_ns)),
        ("p99", lambda model: microseconds(model.latency.p99_ns)),
        ("Max", lambda model: microseconds(model.latency.max_ns)),
        ("MLPerf mean", lambda model: microseconds(round(model.latency.mlperf_ns))),
        ("Runs", lambda model: f"{len(model.latency.samples):,}"),
        ("Rounds", lambda model: f"{len(model.latency.samples_ns)}"),
        ("Steady", lambda model: "yes" if model.latency.is_stable else "no"),
    ]
    return _table(report.models, "latency", "Latency of one inference, microseconds", columns)


def start_table(report: Report) -> Table:
    """What it takes to begin: import, load, first inference, memory, a whole process, a picture."""
    columns: list[Column] = [
        ("Import", lambda model: _milliseconds(model.startup.import_ns)),
        ("Load", lambda model: _milliseconds(model.startup.load_ns)),
        ("First\ninference", lambda model: _milliseconds(model.startup.first_inference_ns)),
        ("Whole\nprocess", lambda model: _or_dash(model.cold_start, _median_milliseconds)),
        ("Pre-\nprocessing", lambda model: _or_dash(model.preprocessing, _median_milliseconds)),
        ("Memory,\npeak MB", lambda model: _or_dash(model.startup.peak_rss_bytes, _megabytes)),
        ("Parameters", lambda model: f"{model.cost.parameters:,}"),
        ("Weights,\nbytes", lambda model: f"{model.cost.weight_bytes:,}"),
        ("ECE %", lambda model: percent(model.accuracy.ece)),
    ]
    if any(model.energy for model in report.models):
        columns.append(("Energy, mJ", lambda model: _or_dash(model.energy, _millijoules)))
    caption = (
        "Starting a fresh process, milliseconds; memory, weights, calibration error. Import, load, "
        "first inference, memory: one sample each. Whole process: cifar-classify, which tries a model "
        "without a card in a child process first"
    )
    return _table(report.models, "start", caption, columns)


def scaling_table(report: Report) -> Table | None:
    """Latency by threads and images a second by batch; None where neither was measured."""
    columns: list[Column] = []
    for threads in _distinct(
        latency.threads for model in report.models for latency in model.latencies
    ):
        columns.append((f"µs\n{_threads_in_words(threads)}", _latency_with(threads)))
    if len(columns) < 2:
        columns = []
    setups = _distinct(
        (batch.batch_size, batch.threads) for model in report.models for batch in model.throughput
    )
    for batch_size, threads in setups:
        head = f"images/s\nbatch {batch_size}, {_threads_in_words(threads)}"
        columns.append((head, _images_per_s(batch_size, threads)))
    if not columns:
        return None
    caption = "Median latency of one image by threads, ±: half its 95 % interval; images a second in batches"
    return _table(report.models, "scaling", caption, columns)


def classes_table(report: Report) -> Table:
    """Accuracy of every class, or of those that the first entry finds hardest, classes in columns."""
    first = report.models[0].accuracy.per_class
    hardest = sorted(range(len(first)), key=lambda index: first[index].value or 0.0)
    shown = sorted(hardest[:MOST_CLASSES])
    part = "" if len(shown) == len(first) else f", the {len(shown)} lowest of {len(first)}"
    return Table(
        name="classes",
        caption=f"Accuracy of each class, percent{part}",
        head=("Model", *(first[index].label for index in shown)),
        rows=tuple(
            (model.name, *(_or_dash(model.accuracy.per_class[i].value, _share) for i in shown))
            for model in report.models
        ),
    )


def profile_tables(report: Report) -> tuple[Table, ...]:
    """The slowest operators of each profiled entry."""
    return tuple(
        _profile_table(model.name, model.profile, f"profile-{index}")
        for index, model in enumerate(report.models, start=1)
        if model.profile
    )


def _table(
    models: Sequence[ModelReport], name: str, caption: str, columns: Sequence[Column]
) -> Table:
    return Table(
        name=name,
        caption=caption,
        head=("Model", *(head for head, _ in columns)),
        rows=tuple((model.name, *(cell(model) for _, cell in columns)) for model in models),
        groups=_networks(models),
    )


def _networks(models: Sequence[ModelReport]) -> tuple[int, ...]:
    """Where entries of another network begin, if there is more than one."""
    names = [network_name(model) for model in models]
    starts = tuple(at for at, name in enumerate(names) if at == 0 or name != names[at - 1])
    return starts if len(starts) > 1 else ()


def _profile_table(name: str, profile: Sequence[OperatorTime], anchor: str) -> Table:
    slowest = sorted(profile, key=lambda one: -one.total_ns)
    whole = max(1, sum(one.total_ns for one in profile))
    shown = slowest[:MOST_OPERATORS]
    rows = [
        (
            one.operator,
            f"{one.calls:,}",
            microseconds(round(one.total_ns / max(1, one.calls))),
            f"{100 * one.total_ns / whole:.1f}",
            _gmacs_per_s(one),
        )
        for one in shown
    ]
    more = f" ({len(shown)} of {len(slowest)})" if len(shown) < len(slowest) else ""
    return Table(
        name=anchor,
        caption=f"{name}: time by operator, the slowest first{more}",
        head=("Operator", "Calls", "µs a call", "Share %", "GMAC/s"),
        rows=tuple(rows),
    )


def _gmacs_per_s(one: OperatorTime) -> str:
    """Of an operator that has any; what was too fast to be seen has no rate."""
    if not one.macs or not one.total_ns:
        return NOT_APPLICABLE
    return f"{one.macs * one.calls / one.total_ns:.1f}"


def _share(value: float) -> str:
    return f"{100 * value:.1f}"


def _or_dash(value: Part | None, written: Callable[[Part], str]) -> str:
    return NOT_APPLICABLE if value is None else written(value)


def _parity(model: ModelReport, written: Callable[[Parity], str]) -> str:
    return _or_dash(model.parity, written)


def _accuracy(model: ModelReport) -> str:
    return f"{percent(model.accuracy.value)}\n{_percent_range(model.accuracy.interval)}"


def _drop(parity: Parity) -> str:
    return f"{percent(parity.accuracy_drop)}\n{_percent_range(parity.accuracy_drop_interval)}"


def _percent_range(interval: tuple[float, float]) -> str:
    return f"{percent(interval[0])} to {percent(interval[1])}"


def _median(model: ModelReport) -> str:
    median, interval = microseconds(model.latency.median_ns), model.latency.median_interval_ns
    if interval is None:
        return median
    return f"{median}\n{microseconds(interval[0])} to {microseconds(interval[1])}"


def _latency_with(threads: int | None) -> Callable[[ModelReport], str]:
    def cell(model: ModelReport) -> str:
        found = next((one for one in model.latencies if one.threads == threads), None)
        return _or_dash(found, _median_with_half_width)

    return cell


def _median_with_half_width(latency: Latency) -> str:
    return f"{microseconds(latency.median_ns)}\n±{half_width(latency)}"


def _images_per_s(batch_size: int, threads: int | None) -> Callable[[ModelReport], str]:
    def cell(model: ModelReport) -> str:
        setup = (batch_size, threads)
        found = (one for one in model.throughput if (one.batch_size, one.threads) == setup)
        return _or_dash(next(found, None), lambda batch: f"{batch.images_per_s:,.0f}")

    return cell


def _threads(report: Report) -> str:
    return ", ".join(_distinct(map(_threads_in_words, _latency_threads(report))))


def _latency_threads(report: Report) -> list[int | None]:
    return [model.latency.threads for model in report.models]


def _threads_in_words(threads: int | None) -> str:
    return "threads of its own choice" if threads is None else counted(threads, "thread")


def _distinct(values: Iterable[Part]) -> list[Part]:
    return list(dict.fromkeys(values))


def _median_milliseconds(timed: ColdStart | Preprocessing) -> str:
    return _milliseconds(timed.median_ns)


def _milliseconds(duration_ns: int) -> str:
    """Three significant digits, as for microseconds."""
    return microseconds(round(duration_ns / 1000))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f}"


def _millijoules(energy: Energy) -> str:
    return f"{1000 * energy.joules_per_inference:.3g}"
