"""The battery's report goes on where it was stopped."""

import json
from pathlib import Path
from typing import Any

import pytest

from cifar_maintain import battery


def row(kind: str) -> dict[str, Any]:
    return {"kind": kind, "exit_code": 0, "says": ""}


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
