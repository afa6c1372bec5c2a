"""The battery's report goes on where it was stopped, and its table says what became of every kind."""

import json
from pathlib import Path
from typing import Any

import pytest

from cifar_maintain import battery


def row(kind: str, **parts: Any) -> dict[str, Any]:
    found = {"published": True, "accuracy": 0.94, "agreement": 0.996}
    int8 = dict.fromkeys(("int8.tflite", "int8.onnx"), found)
    return {
        "kind": kind,
        "keras_accuracy": 0.95,
        "exit_code": 0,
        "says": "",
        "ours": int8,
        "plain": int8,
        **parts,
    }


def test_a_stopped_run_measures_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report, asked = tmp_path / "battery.json", []

    def measured(kind: str, folder: Path | None) -> dict[str, Any]:
        assert folder is None
        asked.append(kind)
        return row(kind)

    monkeypatch.setattr(battery, "_kinds", lambda: ["a", "b"])
    monkeypatch.setattr(battery, "_measured", measured)
    assert battery.main(["--report", str(report), "--max-seconds", "0", "b"]) == 0
    assert battery.main(["--report", str(report), "b"]) == 0
    assert battery.main(["--report", str(report)]) == 0
    assert asked == ["b", "a"]
    assert [one["kind"] for one in json.loads(report.read_text())["rows"]] == ["b", "a"]
    assert capsys.readouterr().out == "b: exit code 0 \na: exit code 0 \n"


def test_the_table_has_accuracy_agreement_and_what_went_wrong() -> None:
    mixed = {
        "int8.tflite": {"published": False, "gates": {"accuracy_drop": 0.02, "agreement": 0.91}},
        "int8.onnx": {"published": False},
    }
    rows = [
        row("plain one"),
        row("odd one", ours=mixed, plain={kind: {"error": "x"} for kind in mixed}),
    ]
    assert battery.battery_table(json.dumps({"rows": rows})) == (
        "| kind | Keras | int8 TFLite | plain | int8 ONNX | plain |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| plain one | 95.0 | 94.0 (99.6) | 94.0 (99.6) | 94.0 (99.6) | 94.0 (99.6) |\n"
        "| odd one | 95.0 | gate failed (91.0) | does not run | refused | does not run |\n"
    )
