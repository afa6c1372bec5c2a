"""Processes answer side by side and change nothing of the program that started them."""

import os
from pathlib import Path

import pytest

from cifar_runtime.system.parallel import answers


def variable(name: str | Path) -> str | None:
    return os.environ.get(str(name))


def test_processes_start_one_thread_of_openblas_and_their_parents_environment_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert list(answers(variable, ["OPENBLAS_NUM_THREADS"], jobs=2)) == ["1"]
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_the_users_own_number_of_threads_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert list(answers(variable, ["OPENBLAS_NUM_THREADS"], jobs=2)) == ["2"]
