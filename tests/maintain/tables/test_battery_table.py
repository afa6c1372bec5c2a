"""The battery's table says what became of every kind, and counts it in words."""

import json
from typing import Any

import pytest

from cifar_maintain.tables.battery_table import battery_table, is_behind

WAYS = ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx")
MADE = {"published": True, "accuracy": 0.94, "agreement": 0.996, "right_alone": 0}
PLAIN = {"accuracy": 0.94, "agreement": 0.996, "right_alone": 0}
MISSED = {"published": False, "gates": {"accuracy_drop": 0.02, "agreement": 0.91}}


def row(kind: str = "some", *, code: int = 0, ours: Any = MADE, plain: Any = PLAIN) -> Any:
    return {
        "kind": kind,
        "num_pictures": 1000,
        "keras_accuracy": 0.95,
        "exit_code": code,
        "says": "",
        "ours": {**dict.fromkeys(WAYS, MADE), "int8.onnx": ours},
        "plain": {**dict.fromkeys(WAYS, PLAIN), "int8.onnx": plain},
    }


def test_the_table_has_accuracy_agreement_and_what_went_wrong() -> None:
    rows = [
        row("plain one", ours={**MADE, "right_alone": 3}),
        row("odd one", code=5, ours=MISSED, plain={"error": "x"}),
        {**row("refused one", code=4, ours={"published": False}), "num_pictures": 500},
        row("crashed one", code=1, ours={"published": False}),
    ]
    document = {
        "environment": {"cpu_model": "Example CPU", "cores": 2},
        "versions": {"keras": "3.15.1", "tf2onnx": "1.17.0"},
        "rows": rows,
    }
    assert battery_table(json.dumps(document)) == (
        "Of 4 kinds, 1 gave all four files at the first call, 1 missed a gate, 1 were refused in part or whole, "
        "1 ended in exit code 1. Of 5 pairs of int8 files, ours decides more pictures rightly in 1, the plain one in "
        "0; plain ahead beyond chance (p < 0.05), or alone within the limits: none. 1 of the 16 plain files cannot be "
        "made or run.\n"
        "\n"
        "| kind | Keras | int8 TFLite | plain | int8 ONNX | plain |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| plain one | 95.0 | 94.0 (99.6) | 94.0 (99.6) | 94.0 (99.6) | 94.0 (99.6) |\n"
        "| odd one | 95.0 | 94.0 (99.6) | 94.0 (99.6) | gate missed (drop 2.0, 91.0) | does not run |\n"
        "| refused one | 95.0 | 94.0 (99.6) | 94.0 (99.6) | refused | 94.0 (99.6) |\n"
        "| crashed one | 95.0 | 94.0 (99.6) | 94.0 (99.6) | refused | 94.0 (99.6) |\n"
        "\n"
        "On 1,000 test pictures (500 for refused one), with Example CPU (2 cores). keras 3.15.1, tf2onnx 1.17.0. "
        "Again: `make battery`.\n"
    )


@pytest.mark.parametrize(
    ("ours", "plain", "behind"),
    [
        (MADE, PLAIN, False),
        (MADE, {"error": "x"}, False),
        (MISSED, {"error": "x"}, False),
        (MISSED, {**PLAIN, "accuracy": 0.944}, False),  # misses the limits itself: 0.6 points
        (MISSED, {**PLAIN, "accuracy": 0.95}, True),
        (MISSED, {**PLAIN, "accuracy": 0.95, "agreement": 0.96}, False),
        ({**MADE, "right_alone": 0}, {**PLAIN, "right_alone": 5}, False),  # p = 2 / 2**5
        ({**MADE, "right_alone": 0}, {**PLAIN, "right_alone": 6}, True),  # p = 2 / 2**6
        ({**MADE, "right_alone": 6}, {**PLAIN, "right_alone": 0}, False),
    ],
)
def test_a_row_is_behind_where_the_plain_file_is_better_beyond_chance(
    ours: Any, plain: Any, behind: bool
) -> None:
    assert is_behind(row(ours=ours, plain=plain)) is behind
