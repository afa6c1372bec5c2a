"""The campaigns' own machinery: nothing that a case does ends the count, and a case is made again from its number."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from hardening.artefacts import Artefacts
from hardening.campaign import Budget, generator, run_cases
from hardening.mutations import damaged

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="cases run in forked children")


def budget(folder: Path, *, cases: int) -> Budget:
    return Budget(cases=cases, seconds=60, seed=3, folder=folder)


def test_crashes_hangs_and_exits_are_failures_and_the_others_go_on(tmp_path: Path) -> None:
    def make(rng: np.random.Generator) -> bytes:
        return bytes([int(rng.integers(0, 256))])

    made = [make(generator(3, case))[0] for case in range(6)]
    ends = {
        made[1]: lambda: os.kill(os.getpid(), signal.SIGKILL),
        made[2]: lambda: time.sleep(60),
        made[3]: lambda: os._exit(7),
    }

    def attempt(data: bytes) -> str:
        ends.get(data[0], lambda: None)()
        return "wrong" if data[0] == made[4] else "fine"

    assert len(set(made)) == 6
    result = run_cases(
        budget(tmp_path, cases=6),
        make=make,
        attempt=attempt,
        allowed=frozenset({"fine"}),
        hang_seconds=0.5,
    )
    assert result.outcomes == {"fine": 2, "crash SIGKILL": 1, "hang": 1, "exit 7": 1, "wrong": 1}
    assert (result.cases, result.failures, result.to_json()["upper_bound_95"]) == (6, 4, None)
    assert [(tmp_path / name).read_bytes()[0] for name in result.reproducers] == made[1:5]


def test_none_of_n_failed_bounds_the_rate_by_3_over_n(tmp_path: Path) -> None:
    result = Artefacts().run(budget(tmp_path, cases=60))
    assert (result.cases, result.failures) == (60, 0)
    assert result.to_json()["upper_bound_95"] == 0.05


def test_damage_is_made_again_from_the_seed_and_the_number() -> None:
    data = bytes(range(256)) * 8
    first = [damaged(data, generator(1, case)) for case in range(20)]
    assert first == [damaged(data, generator(1, case)) for case in range(20)]
    assert first != [damaged(data, generator(2, case)) for case in range(20)]
    assert data not in first
