"""The CSV table: one line a model, raw units, nothing that a spreadsheet would run."""

import csv
import io
from dataclasses import replace

from cifar_bench.page.environment_table import environment_table
from cifar_bench.results.report import Report
from cifar_bench.tables.csv import csv_table


def test_every_model_is_a_line_of_raw_figures(report: Report) -> None:
    lines = list(csv.DictReader(io.StringIO(csv_table(report))))
    assert [line["name"] for line in lines] == [model.name for model in report.models]
    int8 = lines[2]
    assert (int8["correct"], int8["seen"], int8["accuracy"]) == ("817", "1000", "0.817")
    assert (int8["min_ns"], int8["size_bytes"], int8["macs"]) == ("79900", "397432", "17940000")
    assert (int8["runtime"], int8["cold_start_ns"]) == ("litert, xnnpack", "161000000")
    # 17.94 M multiply-accumulates in the median 128.9 us, of 128 G a second.
    assert abs(float(int8["roofline_share"]) - 17.94e6 / 128.9e-6 / 128e9) < 1e-4


def test_what_was_not_measured_stays_empty(report: Report) -> None:
    keras = next(csv.DictReader(io.StringIO(csv_table(report))))
    for name in ("agreement", "macs", "cold_start_ns", "joules_per_inference", "roofline_share"):
        assert keras[name] == ""


def test_a_name_that_looks_like_a_formula_is_made_harmless(report: Report) -> None:
    named = replace(report.models[1], name='=HYPERLINK("x")')
    text = csv_table(replace(report, models=(report.models[0], named)))
    assert list(csv.reader(io.StringIO(text)))[2][0] == '\'=HYPERLINK("x")'


def test_the_board_is_named_where_there_is_one(report: Report) -> None:
    here, there = (
        next(csv.DictReader(io.StringIO(csv_table(one))))["target"]
        for one in (report, replace(report, target="ssh://board"))
    )
    assert (here, there) == ("", "ssh://board")
    assert ("Target", "ssh://board") in environment_table(
        replace(report, target="ssh://board")
    ).rows
    assert "Target" not in dict(environment_table(report).rows)
