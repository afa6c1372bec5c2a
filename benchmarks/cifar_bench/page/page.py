"""Draws a report as one self-contained HTML page: no network, no script. Pure: a report in, text out."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING, Any, get_args

from cifar_bench.figures.catalogue import FIGURES
from cifar_bench.figures.figure import NARROW, WIDE, Section
from cifar_bench.figures.marks import network_name, published_beside
from cifar_bench.figures.svg import figure_style
from cifar_bench.page.decisions import confusion_views, flips_views
from cifar_bench.page.environment_table import environment_table
from cifar_bench.page.tables import (
    classes_table,
    latency_table,
    profile_tables,
    results_table,
    scaling_table,
    start_table,
)
from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_bench.results.steadiness import busy_sentence, unsteady_medians
from cifar_eval.formatting import counted, microseconds, percent, training_notes
from cifar_runtime.errors import MissingDependencyError
from cifar_runtime.install_hints import install_hint

if TYPE_CHECKING:
    import jinja2

_TEMPLATE = "report.html.j2"
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigure:
    """One of the figures at the head of the page: what it is, its value, whose it is."""

    title: str
    value: str
    unit: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warnings:
    """One kind of warning in a sentence without its full stop, and what it is about, if there is a list."""

    summary: str
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure, drawn for a wide and for a narrow screen, and the heading above it, if any."""

    heading: str | None
    wide: str
    narrow: str


def html_page(report: Report) -> str:
    """The report as one page that needs nothing else, with a last newline.

    Raises:
        MissingDependencyError: jinja2 is not installed.

    Example:
        >>> from cifar_bench import html_page, read_report
        >>> html_page(read_report("report.json"))[:15]
        '<!DOCTYPE html>'
    """
    page = _environment().get_template(_TEMPLATE)
    return page.render(**_content(report)) + "\n"


def key_figures(report: Report) -> tuple[KeyFigure, ...]:
    """The most accurate, the fastest, the smallest entry, and the one closest to the reference."""
    accurate = max(report.models, key=lambda model: model.accuracy.value)
    fastest = min(report.models, key=lambda model: model.latency.median_ns)
    smallest = min(report.models, key=lambda model: model.model_file.size_bytes)
    figures = [
        KeyFigure(
            title="Most accurate",
            value=percent(accurate.accuracy.value),
            unit="%",
            detail=_named_with_ties(report, accurate, lambda one: one.accuracy.interval),
        ),
        KeyFigure(
            title="Fastest",
            value=microseconds(fastest.latency.median_ns),
            unit="µs",
            detail=_faster_than_float32(report, fastest),
        ),
        KeyFigure(
            title="Smallest",
            value=f"{smallest.model_file.size_bytes:,}",
            unit="bytes",
            detail=smallest.model_file.file,
        ),
    ]
    compared = [(model.parity, model) for model in report.models if model.parity is not None]
    int8 = [one for one in compared if one[1].cost.precision == "int8"] or compared
    if int8:
        parity, model = max(int8, key=lambda one: one[0].agreement)
        detail = f"{model.name} with {model.reference}"
        title = f"Best {'int8 ' if model.cost.precision == 'int8' else ''}agreement"
        figures.append(
            KeyFigure(title=title, value=percent(parity.agreement), unit="%", detail=detail)
        )
    return tuple(figures)


def _named_with_ties(
    report: Report, best: ModelReport, interval: Callable[[ModelReport], Interval | None]
) -> str:
    """The entry, and how many others chance alone may have put behind it: their intervals overlap with its own."""
    own = interval(best)
    others = [interval(model) for model in report.models if model is not best]
    tied = [one for one in others if own and one and one[0] <= own[1] and own[0] <= one[1]]
    return f"{best.name}, tied with {counted(len(tied), 'other')}" if tied else best.name


def _faster_than_float32(report: Report, fastest: ModelReport) -> str:
    """The entry, and how it compares with its network in float32 in the same runtime; never with a Keras call."""
    named = _named_with_ties(report, fastest, lambda one: one.latency.median_interval_ns)
    alike = (
        model
        for model in report.models
        if model is not fastest
        and model.cost.precision == "float32"
        and (model.runtime, network_name(model)) == (fastest.runtime, network_name(fastest))
    )
    plain = next(alike, None)
    if plain is None:
        return named
    factor = plain.latency.median_ns / max(1, fastest.latency.median_ns)
    return f"{named}; {factor:.3g} times as fast as {plain.name}"


def _by_network(report: Report) -> Report:
    """The report with the entries of one network together, networks in the order of their first entries."""
    order = list(dict.fromkeys(map(network_name, report.models)))
    models = sorted(report.models, key=lambda model: order.index(network_name(model)))
    return replace(report, models=tuple(models))


def _warnings(report: Report) -> list[Warnings]:
    """What a reader should know before comparing: a count of each kind, and the list behind it."""
    unsteady, busy = unsteady_medians(report), busy_sentence(report)
    found = [Warnings(summary=note, details=()) for note in training_notes(_split(report))]
    if unsteady:
        are = "medians are" if len(unsteady) > 1 else "median is"
        summary = f"{len(unsteady)} {are} not known to 2 %: measure longer, or on an idle machine"
        found.append(Warnings(summary=summary, details=unsteady))
    if busy:
        found.append(Warnings(summary="The machine was busy with other work", details=(busy,)))
    return found


def _split(report: Report) -> str:
    return report.models[0].accuracy.split


def _content(report: Report) -> dict[str, Any]:
    """What the template names."""
    report = _by_network(report)
    accuracy = report.models[0].accuracy
    return {
        "report": report,
        "title": f"Benchmark of {counted(len(report.models), 'model')}",
        "accuracy": accuracy,
        "figure_style": figure_style(),
        "command": shlex.join(report.command),
        "key_figures": key_figures(report),
        "warnings": _warnings(report),
        "published": published_beside(report),
        "pictures": _pictures(report),
        "confusions": confusion_views(report),
        "flips": flips_views(report),
        "results": results_table(report),
        "latency": latency_table(report),
        "start": start_table(report),
        "scaling": scaling_table(report),
        "classes": classes_table(report),
        "profiles": profile_tables(report),
        "environment": environment_table(report),
    }


def _pictures(report: Report) -> dict[Section, list[Picture]]:
    """Every figure that the report has something to draw for, by its section."""
    pictures: dict[Section, list[Picture]] = {section: [] for section in get_args(Section)}
    for figure in FIGURES.values():
        wide, narrow = figure.draw(report, width=WIDE), figure.draw(report, width=NARROW)
        if wide is not None and narrow is not None:
            picture = Picture(heading=figure.heading, wide=wide, narrow=narrow)
            pictures[figure.section].append(picture)
    return pictures


def check_template_engine() -> None:
    """Refuses a page that could not be drawn in the end, before anything is measured for it.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    _environment()


def _environment() -> "jinja2.Environment":
    try:
        import jinja2
    except ImportError as error:
        raise MissingDependencyError(
            "jinja2 is not installed, the HTML page takes it.",
            hint=install_hint("bench"),
        ) from error
    folder = resources.files("cifar_bench") / "templates"
    sources = {_TEMPLATE: (folder / _TEMPLATE).read_text("utf-8")}
    return jinja2.Environment(
        loader=jinja2.DictLoader(sources),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
