"""Whole training runs are timed by cifar-train, and reported as shares of the last one's time."""

from pathlib import Path
from typing import Any

import pytest

from cifar_maintain.training_time import TimedRun, main, time_table


def card(epochs: int, correct: int) -> dict[str, Any]:
    return {
        "epochs": [{}] * epochs,
        "environment": {"precision": "float32"},
        "accuracy": {"test": {"correct": correct, "seen": 10000}},
    }


def test_times_are_shares_of_the_last_one() -> None:
    runs = [
        TimedRun(name="quick", seconds=80.0, card=card(4, 8300)),
        TimedRun(name="notebook", seconds=1600.0, card=card(25, 6710)),
    ]
    lines = time_table(runs).splitlines()
    assert [" ".join(line.split()) for line in lines[:3]] == [
        "recipe epochs precision test % seconds of notebook's time",
        "quick 4 float32 83.00 80.0 0.050",
        "notebook 25 float32 67.10 1,600.0 -",
    ]


def test_a_run_that_fails_has_said_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path / "empty"))
    assert main(["quick", "-o", str(tmp_path / "runs")]) == 3
    told = capfd.readouterr()
    assert "Run cifar-data fetch" in told.err
    assert "quick: cifar-train ended with exit code 3. Its own message stands above." in told.err
    assert not told.out


def test_runs_are_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quick", "-o", str(tmp_path)]) == 3
    assert f"{tmp_path}: exists already. Name a new folder" in capsys.readouterr().err
