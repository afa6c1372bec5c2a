"""What a figure of a report is: its words, its place on the page, and what draws it. It draws nothing."""

from dataclasses import dataclass
from typing import Literal, Protocol

from cifar_bench.results.report import Report

Section = Literal["results", "pareto", "latency", "roofline", "decisions", "starting"]
"""Sections of the HTML page, by their anchors."""

WIDE, NARROW, README_WIDTH = 960.0, 358.0, 860.0
"""Widths that a figure is drawn in: a desktop's text column, a phone's, a README's."""


class Draw(Protocol):
    """Draws a report."""

    def __call__(self, report: Report, *, width: float) -> str | None:
        """The SVG text, so many pixels wide; None where the report has nothing to draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    Attributes:
        name: how README names it: a-z and 0-9.
        title: what it shows; README's text in its place.
        section: where it stands on the page.
        heading: above it on the page; None where its section's own is enough.
        draw: what draws it.
    """

    name: str
    title: str
    section: Section
    heading: str | None = None
    draw: Draw
