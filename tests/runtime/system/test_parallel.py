"""Processes answer side by side and change nothing of the program that started them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from cifar_runtime.system.parallel import answers

# Of the standard library, since other processes cannot import a test's module.
VARIABLE = cast(Callable[[str | Path], str | None], os.getenv)


def test_processes_start_one_thread_of_openblas_and_their_parents_environment_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert list(answers(VARIABLE, ["OPENBLAS_NUM_THREADS"], jobs=2)) == ["1"]
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_the_users_own_number_of_threads_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert list(answers(VARIABLE, ["OPENBLAS_NUM_THREADS"], jobs=2)) == ["2"]
