"""What the figures show: every model by name, the unbeaten ones joined, samples and shares to scale."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from cifar_bench.figures.bars import Bar, roofline_figure
from cifar_bench.figures.catalogue import FIGURES
from cifar_bench.figures.distribution import Spread, distribution_figure
from cifar_bench.figures.figure import NARROW, WIDE
from cifar_bench.figures.marks import network_name, one_entry_a_network, published_beside
from cifar_bench.figures.pareto import CostAxis, Mark, MarkKind, frontier, pareto_figure
from cifar_bench.figures.published import MLPERF_TINY, not_measured
from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_eval.models.protocols import ModelFile

SVG = "{http://www.w3.org/2000/svg}"
AXIS = CostAxis(name="latency", title="µs", label=lambda value: f"{value:g}")


def mark(name: str, cost: float, accuracy: float, kind: MarkKind = "tflite") -> Mark:
    return Mark(name=name, kind=kind, cost=cost, accuracy=accuracy, interval=None, tip=name)


def parsed(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)  # noqa: S314 - what we have just drawn


def texts(markup: str) -> list[str]:
    return [one.text or "" for one in parsed(markup).iter(f"{SVG}text")]


def shapes(markup: str, style: str) -> list[ElementTree.Element]:
    classes = (one for one in parsed(markup).iter())
    return [one for one in classes if style in one.attrib.get("class", "").split()]


@pytest.mark.parametrize(
    ("marks", "names"),
    [
        ([("a", 1, 0.8), ("b", 2, 0.9)], ["a", "b"]),
        ([("a", 1, 0.9), ("b", 2, 0.8)], ["a"]),
        ([("a", 1, 0.9), ("b", 2, 0.9)], ["a"]),
        ([("a", 1, 0.8), ("b", 1, 0.9)], ["b"]),
        ([("c", 3, 0.95), ("b", 2, 0.7), ("a", 1, 0.8)], ["a", "c"]),
    ],
)
def test_the_frontier_holds_the_models_that_no_other_beats(
    marks: list[tuple[str, float, float]], names: list[str]
) -> None:
    assert [one.name for one in frontier([mark(*one) for one in marks])] == names


def test_a_published_model_is_never_on_the_frontier() -> None:
    marks = [mark("mine", 10, 0.8), mark("theirs", 1, 0.99, "published")]
    assert [one.name for one in frontier(marks)] == ["mine"]


def test_a_wide_plot_names_every_model_beside_its_mark() -> None:
    marks = [mark(f"model-{index}", 10 + index, 0.8 + index / 100) for index in range(9)]
    markup = pareto_figure(marks, AXIS, width=860)
    assert {one.name for one in marks} <= set(texts(markup))
    assert len(shapes(markup, "tflite")) >= len(marks)


def test_a_narrow_plot_numbers_the_marks_and_names_them_in_a_key() -> None:
    marks = [mark("first", 10, 0.8), mark("second", 20, 0.9)]
    drawn = texts(pareto_figure(marks, AXIS, width=358))
    assert drawn[-4:] == ["1", "first", "2", "second"]
    assert drawn.count("1") == drawn.count("2") == 2


def test_better_is_higher_and_dearer_is_further_right() -> None:
    marks = [mark("cheap", 10, 0.8), mark("dear", 1000, 0.9)]
    circles = [
        one for one in shapes(pareto_figure(marks, AXIS, width=860), "mark") if "r" in one.attrib
    ]
    *_, cheap, dear = circles
    assert float(cheap.attrib["cx"]) < float(dear.attrib["cx"])
    assert float(cheap.attrib["cy"]) > float(dear.attrib["cy"])


def test_a_plot_of_one_model_or_of_equal_ones_can_be_drawn() -> None:
    assert "alone" in texts(pareto_figure([mark("alone", 5, 1.0)], AXIS, width=860))
    twins = [mark("a", 5, 0.5), mark("b", 5, 0.5)]
    assert {"a", "b"} <= set(texts(pareto_figure(twins, AXIS, width=860)))


def test_the_spread_counts_what_it_does_not_draw() -> None:
    samples = (100,) * 200 + (1000,)
    told = texts(
        distribution_figure(
            [Spread(name="m", kind="onnx", samples_ns=samples, detail="t")], width=860
        )
    )
    assert "t · 1 slower, not drawn" in told
    assert "median" in told


def test_the_median_is_drawn_where_the_axis_says_median() -> None:
    spread = Spread(name="m", kind="onnx", samples_ns=tuple(range(900, 1101)), detail="t")
    markup = distribution_figure([spread], width=860)
    (median,) = shapes(markup, "median")
    label = next(one for one in parsed(markup).iter(f"{SVG}text") if one.text == "median")
    assert median.attrib["x1"] == label.attrib["x"]


def test_a_bar_is_as_long_as_its_share_of_the_track() -> None:
    bars = [
        Bar(name="half", kind="tflite", share=0.5, memory_share=0.25, detail="1 GMAC/s"),
        Bar(name="unknown", kind="onnx", share=0.5, memory_share=None, detail="2 GMAC/s"),
    ]
    markup = roofline_figure(bars, width=424)
    bar, _ = shapes(markup, "bar")
    (memory,) = shapes(markup, "area")
    track, _ = shapes(markup, "track")
    assert float(bar.attrib["width"]) == pytest.approx(0.5 * float(track.attrib["width"]))
    assert float(memory.attrib["width"]) == pytest.approx(0.25 * float(track.attrib["width"]))
    assert "50.0 % · 1 GMAC/s · memory 25.0 %" in texts(markup)
    assert "50.0 % · 2 GMAC/s" in texts(markup)


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("name", list(FIGURES))
def test_every_figure_of_a_report_is_well_formed(report: Report, name: str, width: float) -> None:
    markup = FIGURES[name].draw(report, width=width)
    assert markup is not None
    root = parsed(markup)
    assert root.attrib["viewBox"].startswith(f"0 0 {width:.0f} ")
    assert root[1].tag == f"{SVG}desc"
    assert "nan" not in markup


def measured(report: Report, sha256: str) -> Report:
    file = ModelFile(file="ic01.tflite", format="tflite", size_bytes=98_496, sha256=sha256)
    return replace(report, models=(*report.models[:2], replace(report.models[2], model_file=file)))


def test_published_references_are_drawn_only_where_they_were_not_measured(report: Report) -> None:
    assert published_beside(report) == MLPERF_TINY
    names = [one.name for one in published_beside(measured(report, MLPERF_TINY[1].sha256 or ""))]
    assert names == ["IC01 float32", "IC02 float32", "IC02 int8"]
    ic02 = ModelFile(file="x.tflite", format="tflite", size_bytes=512_024, sha256="0" * 64)
    assert MLPERF_TINY[3] not in not_measured([ic02])


def test_published_references_stand_beside_the_test_split_alone(report: Report) -> None:
    def on(split: str) -> Report:
        models = [
            replace(model, accuracy=replace(model.accuracy, split=split)) for model in report.models
        ]
        return replace(report, models=tuple(models))

    for name, shown in (("size", "IC01 int8"), ("macs", "IC01")):
        beside_test = FIGURES[name].draw(on("test[:500]"), width=WIDE)
        alone = FIGURES[name].draw(on("validation"), width=WIDE)
        assert beside_test is not None
        assert alone is not None
        assert shown in texts(beside_test)
        assert shown not in texts(alone)


def test_work_has_one_mark_a_network_and_latency_no_keras_call_beside_exports(
    report: Report,
) -> None:
    """The report's entries are all of one network, tiny, once as Keras and then exported."""
    formats = [model.model_file.format for model in report.models]
    assert formats.count("keras") == 1
    networks = {network_name(model) for model in report.models}
    macs, latency = (FIGURES[name].draw(report, width=WIDE) for name in ("macs", "latency"))
    assert macs is not None
    assert latency is not None
    measured = [one for one in shapes(macs, "mark") if "published" not in one.attrib["class"]]
    assert len(networks) < len(report.models)
    assert [one for one in texts(macs) if one in networks] == sorted(networks)
    assert len(measured) - 1 == len(networks)  # one stands in the legend
    assert "Keras" not in texts(latency)


@pytest.mark.parametrize(
    ("macs", "names"),
    [(17_940_512, ["pictures"]), (36_000_000, ["pictures", "model"])],
    ids=["an export", "another network"],
)
def test_a_checkpoint_of_another_name_shares_the_mark_of_its_export(
    report: Report, macs: int, names: list[str]
) -> None:
    keras, _, int8 = report.models
    models = (
        _renamed(keras, "model", "model.keras", macs=17_940_000, reference=None),
        _renamed(int8, "pictures-int8", "pictures-int8.tflite", macs=macs, reference="model"),
    )
    one = replace(report, reference="model", models=models)
    assert list(one_entry_a_network(one)) == names


def _renamed(
    model: ModelReport, name: str, file: str, *, macs: int, reference: str | None
) -> ModelReport:
    return replace(
        model,
        name=name,
        model_file=replace(model.model_file, file=file),
        cost=replace(model.cost, macs=macs),
        reference=reference,
    )
