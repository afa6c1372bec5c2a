"""SVG parts: what they escape, where scales put values, which figures stand at an axis."""

from xml.etree import ElementTree

import pytest

from cifar_bench.figures.svg import (
    Scale,
    element,
    figure,
    fitted,
    line,
    number,
    rectangle,
    standalone,
    text,
    text_width,
)

SVG = "{http://www.w3.org/2000/svg}"


def test_text_and_attributes_are_escaped() -> None:
    assert text(1, 2.5, "<b> & co") == '<text x="1" y="2.5">&lt;b&gt; &amp; co</text>'
    assert element("g", {"class": 'a"b'}) == '<g class="a&quot;b"/>'


@pytest.mark.parametrize(
    ("value", "written"), [(3, "3"), (3.0, "3"), (3.14159, "3.14"), (-0.5, "-0.5"), (2.999, "3")]
)
def test_coordinates_have_at_most_two_decimals(value: float, written: str) -> None:
    assert number(value) == written


def test_a_linear_scale_keeps_differences_and_a_logarithmic_one_ratios() -> None:
    linear = Scale(low=0, high=10, start=100, end=0)
    assert [linear(value) for value in (0, 5, 10)] == [100, 50, 0]
    ratios = Scale(low=1, high=100, start=0, end=10, logarithmic=True)
    assert [ratios(value) for value in (1, 10, 100)] == [0, 5, 10]


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0)])
def test_a_scale_without_room_is_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="has no room"):
        Scale(low=ends[0], high=ends[1], start=0, end=1)


@pytest.mark.parametrize(
    ("low", "high", "most", "logarithmic", "ticks"),
    [
        (0.78, 0.93, 4, False, (0.8, 0.85, 0.9)),
        (0.0, 1.0, 5, False, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (50, 12_000, 8, True, (50, 100, 200, 500, 1000, 2000, 5000, 10_000)),
        (50, 12_000, 4, True, (100, 1000, 10_000)),
        (98_000, 160_000, 8, True, (100_000, 150_000)),
        (21.3, 28.2, 9, True, (22, 24, 26, 28)),  # no round figure of a decade
        (18, 24, 3, True, (18, 20, 22, 24)),  # but one
    ],
)
def test_ticks_are_round_and_not_too_many(
    low: float, high: float, most: int, logarithmic: bool, ticks: tuple[float, ...]
) -> None:
    scale = Scale(low=low, high=high, start=0, end=1, logarithmic=logarithmic)
    assert scale.ticks(most) == pytest.approx(ticks)


def test_a_figure_names_itself_to_screen_readers_and_stands_alone_with_its_style() -> None:
    markup = figure((100, 50), [text(1, 2, "x")], name="demo", title="A <title>", description="d")
    file = standalone(markup)
    root = ElementTree.fromstring(file)  # noqa: S314 - what we have just drawn
    assert root.attrib["aria-labelledby"] == "demo-title demo-description"
    assert [child.tag.removeprefix(SVG) for child in root] == [
        "title",
        "desc",
        "style",
        "rect",
        "text",
    ]
    assert root[0].text == "A <title>"
    assert "prefers-color-scheme: dark" in (root[2].text or "")
    assert file.endswith("</svg>\n")


def test_a_picture_has_plain_light_colours_for_viewers_without_css_variables() -> None:
    """librsvg, which draws the thumbnails of most Linux desktops, made all of it black."""
    drawn = rectangle((0, 0), (1, 1), "mark tflite") + line((0, 0), (1, 1), "frontier")
    markup = figure((100, 50), [drawn], name="demo", title="t", description="d")
    root = ElementTree.fromstring(standalone(markup))  # noqa: S314 - what we have just drawn
    ground, mark, frontier = root[3:]
    assert root.attrib["fill"] == "#1c2430"
    assert ground.attrib["fill"] == "#ffffff"
    assert (mark.attrib["fill"], mark.attrib["stroke"]) == ("#0f62a8", "#ffffff")
    assert (frontier.attrib["fill"], frontier.attrib["stroke"]) == ("none", "#5a6675")


def test_a_name_that_is_too_long_keeps_its_end() -> None:
    assert fitted("short", 200) == "short"
    shown = fitted("a-very-long-model-name-int8.tflite", 100)
    assert shown.startswith("…")
    assert "a-very-long-model-name-int8.tflite".endswith(shown[1:])
    assert text_width(shown) <= 100
