"""A report survives its JSON, keeps raw numbers, and refuses documents that are none."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cifar_bench.results.report import Report, report_from_text
from cifar_maintain.tables.matrix_report import matrix_from_text
from cifar_runtime.errors import InputError

RECORDED = Path(__file__).parents[4] / "benchmarks" / "reports"


def test_report_survives_its_json(report: Report) -> None:
    assert report_from_text(report.to_text(), origin="report.json") == report


@pytest.mark.parametrize(
    ("name", "read"), [("shipped", report_from_text), ("matrix", matrix_from_text)]
)
def test_recorded_reports_open_and_keep_their_bytes(name: str, read: Callable[..., Any]) -> None:
    text = (RECORDED / f"{name}.json").read_text("utf-8")
    assert read(text, origin=name).to_text() == text


def test_json_names_its_schema_and_puts_the_raw_samples_on_one_line(report: Report) -> None:
    text = report.to_text()
    document = json.loads(text)
    assert document["schema"] == "cifar-edge/bench/1"
    rounds = document["models"][2]["latency"]["samples_ns"]
    assert [one for taken in rounds for one in taken] == [79_900 + 1000 * i for i in range(100)]
    assert "[79900, 80900, " in text
    assert document["models"][2]["accuracy"]["accuracy"] == 0.817


def test_edited_derived_figures_do_not_survive_reading(report: Report) -> None:
    document = report.to_json()
    document["models"][2]["accuracy"]["accuracy"] = 0.99
    document["models"][2]["latency"]["median_ns"] = 1
    document["models"][2]["latency"]["stable"] = True
    document["models"][2]["accuracy"]["ece"] = 0.0
    document["models"][2]["parity"]["agreement"] = 1.0
    document["models"][2]["roofline_share"] = 1.0
    document["why_int8"] = "because"
    assert report_from_text(json.dumps(document), origin="x") == report


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "report.json: is not a benchmark report: Expecting property name"),
        (
            "[]",
            "report.json: is not a benchmark report: a field is of another type than expected. "
            "Measure again with cifar-bench --json FILE.",
        ),
        (
            '{"schema": "cifar-edge/bench/9"}',
            "report.json: schema is 'cifar-edge/bench/9', expected 'cifar-edge/bench/1'. "
            "Measure again with cifar-bench --json FILE.",
        ),
        (
            '{"schema": "cifar-edge/bench/1"}',
            "report.json: is not a benchmark report: the field models is missing. "
            "Measure again with cifar-bench --json FILE.",
        ),
    ],
)
def test_what_is_no_report_is_an_input_error(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        report_from_text(text, origin="report.json")
    assert str(caught.value).startswith(message)


def test_a_report_of_before_there_were_boards_has_no_target(report: Report) -> None:
    document = report.to_json()
    del document["target"]
    assert report_from_text(json.dumps(document), origin="x") == report


def test_a_report_of_before_every_entry_named_its_reference_means_the_reports(
    report: Report,
) -> None:
    document = report.to_json()
    for model in document["models"]:
        del model["reference"]
    assert report_from_text(json.dumps(document), origin="x") == report


def test_counts_that_contradict_each_other_are_an_input_error(report: Report) -> None:
    document: dict[str, Any] = report.to_json()
    document["models"][2]["parity"]["flips_to_wrong"] = 0
    with pytest.raises(InputError, match=r"820 - 0 \+ 2 is not 817"):
        report_from_text(json.dumps(document), origin="report.json")


def test_two_models_of_one_name_are_refused(report: Report) -> None:
    with pytest.raises(ValueError, match="different names"):
        replace(report, models=(report.models[0], report.models[0]))


def test_a_reference_that_was_not_measured_is_refused(report: Report) -> None:
    with pytest.raises(ValueError, match="'other' is not among"):
        replace(report, reference="other")
