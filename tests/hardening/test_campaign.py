"""The campaigns' own machinery: nothing that a case does ends the count, and a case is made again from its number."""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_runtime.artefact import Artefact
from cifar_runtime.contract import contract_from_json
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.sessions.isolation import IsolatedSession
from hardening import __main__ as hardening
from hardening.__main__ import main
from hardening.artefacts import KEPT, Artefacts
from hardening.campaign import NOTHING_BESIDE, Budget, Result, generator, run_cases, upper_bound
from hardening.mutations import damaged
from hardening.record import add_chunk, begun_record, read_record, write_record
from hardening.zygote import Zygote

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


@pytest.mark.parametrize(
    ("cases", "failures", "bound"), [(0, 0, None), (3, 0, None), (4, 0, 0.75), (100, 1, None)]
)
def test_few_cases_or_a_failure_bound_nothing(
    cases: int, failures: int, bound: float | None
) -> None:
    assert upper_bound(cases, failures) == bound


def test_damage_is_made_again_from_the_seed_and_the_number() -> None:
    data = bytes(range(256)) * 8
    first = [damaged(data, generator(1, case)) for case in range(20)]
    assert first == [damaged(data, generator(1, case)) for case in range(20)]
    assert first != [damaged(data, generator(2, case)) for case in range(20)]
    assert data not in first


class Stub:
    name = "stub"
    title = "A stub"
    cases: Mapping[str, int] = {"quick": 5, "nightly": 50}
    chunk = 20
    beside = NOTHING_BESIDE

    def run(self, budget: Budget) -> Result:
        raise NotImplementedError


def found(cases: int, **changes: Any) -> dict[str, Any]:
    empty = {"failures": 0, "seconds": 1.5, "measured": {}, "reproducers": [], "beside": {}}
    return {"cases": cases, "outcomes": {"fine": cases}, **empty, **changes}


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The seeds and the numbers of cases of the chunks that were begun; each one finds nothing."""
    chunks: list[tuple[int, int]] = []

    def command(_: str, *, seed: int, cases: int, **_more: Any) -> list[str]:
        chunks.append((seed, cases))
        return [sys.executable, "-c", f"print({json.dumps(found(cases))!r})"]

    monkeypatch.setattr(hardening, "_command", command)
    monkeypatch.setattr(hardening, "campaigns", lambda: [Stub()])
    return chunks


def test_a_run_goes_on_from_its_record_with_the_next_seeds(
    tmp_path: Path, begun: list[tuple[int, int]]
) -> None:
    path = tmp_path / "record.json"
    record = begun_record(7)
    add_chunk(record, Stub(), found(20))
    write_record(path, record)
    assert main(["--record", str(path)]) == 0
    assert begun == [(8, 20), (9, 10)]
    (row,) = read_record(path)["campaigns"]
    assert (row["chunks"], row["cases"], row["upper_bound_95"]) == (3, 50, 3 / 50)

    assert main(["--record", str(path)]) == 0
    assert len(begun) == 2
    assert main(["--record", str(path), "--fresh"]) == 0
    assert begun[2:] == [(7, 20), (8, 20), (9, 10)]


def test_no_chunk_begins_when_the_time_is_up(tmp_path: Path, begun: list[tuple[int, int]]) -> None:
    assert main(["--record", str(tmp_path / "record.json"), "--minutes", "0"]) == 0
    assert begun == []


def test_the_quick_form_runs_each_once(begun: list[tuple[int, int]]) -> None:
    assert main(["--seed", "3"]) == 0
    assert begun == [(3, 5)]


def test_chunks_are_summed_and_a_failure_takes_the_bound_away() -> None:
    record = begun_record(0)
    alone = {**found(9, measured={"through_cifar_edge": {"refused": 1}}), "version": "1"}
    first = found(10, measured={"growth_kib": -4}, beside={"Tool": alone})
    second = found(5, failures=1, outcomes={"hang": 1, "fine": 4}, measured={"growth_kib": 12})
    add_chunk(record, Stub(), first)
    add_chunk(record, Stub(), {**second, "reproducers": ["a"], "beside": {"Tool": alone}})
    (row,) = record["campaigns"]
    assert (row["cases"], row["failures"], row["upper_bound_95"]) == (15, 1, None)
    assert row["outcomes"] == {"fine": 14, "hang": 1}
    assert row["measured"] == {"growth_kib": 12}
    assert row["reproducers"] == ["a"]
    assert row["beside"]["Tool"]["cases"] == 18
    assert row["beside"]["Tool"]["measured"] == {"through_cifar_edge": {"refused": 2}}


@pytest.mark.usefixtures("begun")
def test_a_chunk_that_dies_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    dying = [sys.executable, "-c", "import os; os.abort()"]
    monkeypatch.setattr(hardening, "_command", lambda _, **__: dying)
    assert main([]) == 1


def test_a_forked_child_of_isolation_answers_as_a_started_one() -> None:
    pytest.importorskip("ai_edge_litert")
    name = "tiny-int8.tflite"
    good = (KEPT / name).read_bytes()
    contract = contract_from_json(json.loads((KEPT / f"{name}.json").read_text())["contract"])
    foreign = Artefact(
        path=Path(name), format="tflite", data=good, contract=contract, card={}, foreign=True
    )
    batch = np.take(
        input_table(contract.input), np.full((1, *contract.input.shape), 77, dtype=np.uint8)
    )
    zygote, scores = Zygote("tflite"), []
    for unless in (True, False):
        with zygote.forks(unless=unless):
            session = IsolatedSession(foreign, threads=1)
        scores.append(session.run(batch).tolist())
        session.close()
    zygote.close()
    assert scores[0] == scores[1]
