"""The tables of docs/reliability.md say what a report of the campaigns holds."""

import json
from typing import Any

import pytest

from cifar_maintain.tables.hardening_table import hardening_table
from cifar_runtime.errors import InputError


def campaign(**changes: Any) -> dict[str, Any]:
    return {
        "name": "pictures",
        "title": "Fuzzed pictures",
        "chunks": 3,
        "nightly": 1_000_000,
        "cases": 2_000,
        "failures": 0,
        "upper_bound_95": 0.0015,
        "outcomes": {"decoded": 500, "refused": 1_500},
        "seconds": 60.0,
        "measured": {},
        "beside": {},
        **changes,
    }


def table(*campaigns: dict[str, Any]) -> list[str]:
    document = {
        "schema": "cifar-edge/hardening/1",
        "begun": "2026-11-30",
        "date": "2026-12-01",
        "seed": 7,
        "environments": [
            {
                "cpu_model": name,
                "cores": 2,
                "os": "Linux 6",
                "python": "CPython 3.11",
            }
            for name in ("A CPU", "Another")
        ],
        "campaigns": campaigns,
    }
    return hardening_table(json.dumps(document), origin="x.json").splitlines()


def test_a_campaign_is_a_row_with_its_bound_and_other_tools_stand_below() -> None:
    pillow = {
        "version": "13.0.0",
        "cases": 1_900,
        "outcomes": {"crash SIGABRT": 2, "decoded": 1_898},
        "seconds": 120.0,
        "measured": {"through_cifar_edge": {"refused": 2}},
    }
    assert table(campaign(beside={"Pillow": pillow})) == [
        "| campaign | cases | of | failures | failure rate below (95 %) |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| Fuzzed pictures | 2,000 | 1,000,000 | 0 | 0.0015 |",
        "",
        "| same inputs | tool alone | cases | what happened |",
        "| --- | --- | ---: | ---: |",
        "| Fuzzed pictures | Pillow 13.0.0 | 1,900 | decoded 1,898, crash SIGABRT 2; of these failures, "
        "through cifar-edge: refused 2 |",
        "",
        "Recorded 2026-11-30 to 2026-12-01 with the seeds from 7 on, one for each of 3 chunks, 3 minutes on A CPU "
        "(2 cores), Linux 6, CPython 3.11; and on Another (2 cores), Linux 6, CPython 3.11.",
    ]


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        (
            {"failures": 3, "upper_bound_95": None, "outcomes": {"hang": 3, "refused": 1_997}},
            "| Fuzzed pictures (3 cases: hang) | 2,000 | 1,000,000 | 3 | - |",
        ),
        (
            {"measured": {"growth_kib": -4}},
            "| Fuzzed pictures (memory -4 KiB) | 2,000 | 1,000,000 | 0 | 0.0015 |",
        ),
        (
            {"cases": 0, "upper_bound_95": None, "measured": {"skipped": "no data"}},
            "| Fuzzed pictures (skipped: no data) | 0 | 1,000,000 | 0 | - |",
        ),
    ],
)
def test_failures_memory_and_what_was_skipped_are_said(changes: dict[str, Any], row: str) -> None:
    assert table(campaign(**changes))[2] == row


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"campaigns": [{}]}'])
def test_another_document_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"x.json: is no cifar-edge/hardening/1 document: "):
        hardening_table(text, origin="x.json")
