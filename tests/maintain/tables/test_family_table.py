"""The table of the family says what the report says, beside MLPerf Tiny's references."""

import hashlib
import json
from pathlib import Path

import pytest

from cifar_bench.regression.baseline import read_report
from cifar_bench.results.report import Report
from cifar_maintain.tables.family_table import family_table
from cifar_runtime.classifier import default_model
from cifar_runtime.errors import InputError

SHIPPED = Path(__file__).parents[3] / "benchmarks" / "reports" / "shipped.json"


def test_every_row_is_what_the_committed_report_measured() -> None:
    measured = {model["file"]: model for model in json.loads(SHIPPED.read_text())["models"]}
    lines = family_table(read_report(SHIPPED)).splitlines()
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in lines[2:-2]]
    unit = measured["pretrainedResnet_quant.tflite"]["latency"]["median_ns"]
    named = {
        "edge-s": "edge-s-int8.tflite",
        "edge-xs": "edge-xs-int8.tflite",
        "edge-m": "edge-m-int8.tflite",
        "resnet8": "resnet8-int8.tflite",
        "seed-cnn": "seed-cnn-int8.tflite",
        "notebook": "notebook-int8.tflite",
        "MLPerf Tiny IC01": "pretrainedResnet_quant.tflite",
    }
    assert {row[0] for row in rows} == {*named, "MLPerf Tiny IC02, published"}
    for name, accuracy, macs, size, median, share in rows:
        if name not in named:
            # Its interval is Wilson's of 9,131 in 10,000, computed apart.
            published = ["91.31 (90.74 to 91.85)", "76.47", "512,024", "-", "-"]
            assert [accuracy, macs, size, median, share] == published
            continue
        model = measured[named[name]]
        assert float(accuracy.split()[0]) == round(100 * model["accuracy"]["accuracy"], 2)
        assert float(macs) == round(model["cost"]["macs"] / 1e6, 2)
        assert int(size.replace(",", "")) == model["size_bytes"]
        taken = model["latency"]["median_ns"]
        assert float(median.replace(",", "")) == float(f"{taken / 1000:.3g}")
        assert float(share.removesuffix(" x")) == round(taken / unit, 2)
    # The caption says so.
    packaged = default_model("tflite")
    assert packaged.name == named["edge-s"]
    assert measured[packaged.name]["sha256"] == hashlib.sha256(packaged.read_bytes()).hexdigest()
    accuracies = [float(row[1].split()[0]) for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)


def test_without_a_yardstick_there_is_no_table(report: Report) -> None:
    with pytest.raises(InputError, match="does not hold IC01 int8 on all 10,000 test images"):
        family_table(report)
