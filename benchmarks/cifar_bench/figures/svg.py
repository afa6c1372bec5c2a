"""The parts that figures are drawn from: SVG elements, scales, axes. Pure: numbers in, text out.

A figure takes its colours from CSS classes alone. ``figures.css`` states them, for light and dark;
a page includes that file once, and :func:`standalone` puts it into a single picture.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources

FONT_SIZE = 12.0
_CHARACTER_WIDTH = 0.62
"""Width of a character as a share of the font's size: DejaVu Sans' average, the widest of the usual faces."""

_LINE_HEIGHT = 1.3
NARROW_BELOW = 560.0
"""A picture less wide than this is for a phone."""

MARGIN = 12.0
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_FEWEST_TICKS = 2
_LINEAR_TICKS = 6

Attributes = Mapping[str, str | float]


def element(name: str, attributes: Attributes, *children: str) -> str:
    """One SVG element; the children are markup already, see :func:`text` for characters."""
    parts = "".join(f' {key}="{_attribute(value)}"' for key, value in attributes.items())
    if not children:
        return f"<{name}{parts}/>"
    return f"<{name}{parts}>{''.join(children)}</{name}>"


def text(x: float, y: float, content: str, attributes: Attributes | None = None) -> str:
    """A line of text whose baseline starts (or, by ``text-anchor``, ends or centres) at a point."""
    return element("text", {"x": x, "y": y, **(attributes or {})}, escape(content, quote=False))


def line(start: tuple[float, float], end: tuple[float, float], style: str) -> str:
    """A straight line of a CSS class."""
    ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    return element("line", {**ends, "class": style})


def path(points: Sequence[tuple[float, float]], style: str, *, closed: bool = False) -> str:
    """A polygon or polyline of a CSS class."""
    steps = " L".join(f"{number(x)} {number(y)}" for x, y in points)
    return element("path", {"d": f"M{steps}{'Z' if closed else ''}", "class": style})


def rectangle(corner: tuple[float, float], size: tuple[float, float], style: str) -> str:
    """A rectangle of a CSS class, from its upper left corner."""
    box = {"x": corner[0], "y": corner[1], "width": size[0], "height": size[1]}
    return element("rect", {**box, "class": style})


def titled(markup: str, tip: str) -> str:
    """The markup as a group with a title, which browsers show under the pointer."""
    return element("g", {}, element("title", {}, escape(tip, quote=False)), markup)


def figure(
    size: tuple[float, float], parts: Sequence[str], *, name: str, title: str, description: str
) -> str:
    """A whole picture that a screen reader can announce.

    Args:
        size: width and height in user units, which are pixels at full width.
        parts: markup, painted in this order.
        name: unique within a page, of a-z, 0-9 and -.
        title: what the picture is.
        description: what a reader sees in it.
    """
    frame: Attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {number(size[0])} {number(size[1])}",
        "class": "figure",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-description",
        "style": f"max-width:{number(size[0])}px",
        "font-size": FONT_SIZE,
    }
    detail = (
        element("title", {"id": f"{name}-title"}, escape(title, quote=False)),
        element("desc", {"id": f"{name}-description"}, escape(description, quote=False)),
    )
    return element("svg", frame, *detail, *parts)


def standalone(markup: str) -> str:
    """The figure as a file of its own: with its style, on its own background, with a last newline."""
    start, rest = markup.split(">", 1)
    background = element("rect", {"width": "100%", "height": "100%", "class": "ground"})
    # After title and desc, which have to come first.
    detail, drawn = rest.split("</desc>", 1)
    style = element("style", {}, figure_style())
    plain = _with_plain_colours(f"{background}{drawn}")
    return f'{start} fill="{_light_palette()["ink"]}">{detail}</desc>{style}{plain}\n'


def _with_plain_colours(markup: str) -> str:
    """The markup with the light colours as attributes too, for viewers without CSS variables; CSS overrides them."""
    return re.sub(r'class="([^"]+)"', lambda found: f"{found[0]}{_plain_colours(found[1])}", markup)


@cache
def _plain_colours(classes: str) -> str:
    """`` fill="#..."`` and the like, for an element of these classes."""
    names, palette = classes.split(), _light_palette()
    kinds = re.findall(r"^\.figure \.(\w+) \{ --kind: var\(--(\w+)\)", figure_style(), re.M)
    for kind, colour in kinds:
        if kind in names:
            palette["kind"] = palette[colour]
    found: dict[str, str] = {}
    for selectors, body in re.findall(r"^(\.figure .*?) \{ (.*) \}$", figure_style(), re.M):
        wanted = (selector.split(".")[2:] for selector in selectors.split(", "))
        if any(parts and set(parts) <= set(names) for parts in wanted):
            colours = re.findall(r"(fill|stroke): var\(--(\w+)\)", body)
            found |= {name: palette[colour] for name, colour in colours if colour in palette}
            found |= {"fill": "none"} if "fill: none" in body else {}
    return "".join(f' {name}="{colour}"' for name, colour in found.items())


@cache
def _light_colours() -> tuple[tuple[str, str], ...]:
    return tuple(re.findall(r"--(\w+): (#\w+)", figure_style().partition("@media")[0]))


def _light_palette() -> dict[str, str]:
    """The colours of a light page by their names in ``figures.css``."""
    return dict(_light_colours())


def figure_style() -> str:
    """The CSS of all figures."""
    return (resources.files("cifar_bench") / "templates" / "figures.css").read_text("utf-8")


def text_width(content: str, size: float = FONT_SIZE) -> float:
    """About how wide a line of text is in the widest usual face, in user units."""
    return len(content) * size * _CHARACTER_WIDTH


def fitted(content: str, room: float) -> str:
    """The end of a line that is too long for the room: names differ at their ends."""
    if text_width(content) <= room:
        return content
    kept = max(1, int(room / text_width("x")) - 1)
    return f"…{content[-kept:]}"


def text_height(size: float = FONT_SIZE) -> float:
    """How high a line of text is with its leading, in user units."""
    return size * _LINE_HEIGHT


def head_height(width: float) -> float:
    """How high the head of a row is in a picture of some width: see :func:`row_head`."""
    return 38.0 if width < NARROW_BELOW else 22.0


def row_head(name: str, detail: str, width: float, *, bottom: float) -> list[str]:
    """A row's name and, at the other end or (in a narrow picture) under it, its figures."""
    if width < NARROW_BELOW:
        shown = fitted(name, width - 2 * MARGIN)
        return [
            text(MARGIN, bottom - 21, shown, {"class": "key strong"}),
            text(MARGIN, bottom - 6, detail, {"class": "tick"}),
        ]
    room = width - 2 * MARGIN - text_width(detail) - 16
    return [
        text(MARGIN, bottom - 6, fitted(name, room), {"class": "key strong"}),
        text(width - MARGIN, bottom - 6, detail, {"class": "tick", "text-anchor": "end"}),
    ]


def number(value: float) -> str:
    """A coordinate with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Places values between two coordinates.

    Attributes:
        low: value at ``start``; above zero on a logarithmic scale.
        high: value at ``end``, above ``low``.
        start: coordinate.
        end: coordinate; below ``start`` for an axis that points up.
        logarithmic: equal ratios, not differences, take equal room.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.logarithmic and self.low <= 0):
            raise ValueError(f"a scale from {self.low} to {self.high} has no room")

    def __call__(self, value: float) -> float:
        """The coordinate of a value."""
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int) -> tuple[float, ...]:
        """Round values within the scale, at most about ``most`` of them."""
        if self.logarithmic:
            return _logarithmic_ticks(self.low, self.high, most)
        return _linear_ticks(self.low, self.high, most)


def horizontal_axis(
    scale: Scale, span: tuple[float, float], ticks: Sequence[float], label: Callable[[float], str]
) -> list[str]:
    """Vertical grid lines and the figures under them.

    Args:
        scale: of the axis.
        span: y of the grid lines' upper and lower end.
        ticks: values to mark.
        label: a value in words.
    """
    top, bottom = span
    parts = []
    for tick in ticks:
        x = scale(tick)
        parts.append(line((x, top), (x, bottom), "grid"))
        where = {"class": "tick", "text-anchor": "middle"}
        parts.append(text(x, bottom + 17, label(tick), where))
    return parts


def vertical_axis(
    scale: Scale, span: tuple[float, float], ticks: Sequence[float], label: Callable[[float], str]
) -> list[str]:
    """Horizontal grid lines and the figures to their left; ``span`` is x of the lines' ends."""
    left, right = span
    parts = []
    for tick in ticks:
        y = scale(tick)
        parts.append(line((left, y), (right, y), "grid"))
        where = {"class": "tick", "text-anchor": "end"}
        parts.append(text(left - 8, y + 4, label(tick), where))
    return parts


def _linear_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    raw = (high - low) / max(1, most)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(step * magnitude for step in _STEPS if step * magnitude >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(index * step, 12) for index in range(first, last + 1))


def _logarithmic_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    """The densest of 1-2-3-5, 1-2-5, 1-3, 1 in each decade that is not too many; between two of these, even steps."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in (
        (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
        (1.0, 2.0, 3.0, 5.0),
        (1.0, 2.0, 5.0),
        (1.0, 3.0),
    ):
        ticks = tuple(
            digit * 10.0**decade
            for decade in decades
            for digit in digits
            if low <= digit * 10.0**decade <= high
        )
        if len(ticks) < _FEWEST_TICKS:
            return _linear_ticks(low, high, min(most, _LINEAR_TICKS))
        if len(ticks) <= most:
            return ticks
    powers = [10.0**decade for decade in decades if low <= 10.0**decade <= high]
    return tuple(powers[:: -(-len(powers) // max(1, most))])


def _attribute(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else number(value)
