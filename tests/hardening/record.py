"""The record of the campaigns, to which each chunk is added; pure, but for reading and writing the file.

It is the state, too: a campaign goes on with the chunk after those that its row counts, on whatever machine.
"""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cifar_maintain.tables.hardening_table import HARDENING_SCHEMA
from cifar_runtime.documents import to_document
from cifar_runtime.environment import read_environment
from cifar_runtime.system.files import write_atomically
from hardening.campaign import Campaign, upper_bound

_MAX_REPRODUCERS = 20
_MACHINE = ("cpu_model", "cores", "os", "python", "packages")


def begun_record(seed: int) -> dict[str, Any]:
    """A record without campaigns; chunk ``i`` of each has the seed ``seed + i``."""
    today = _today()
    return {
        "schema": HARDENING_SCHEMA,
        "begun": today,
        "date": today,
        "seed": seed,
        "environments": [],
        "campaigns": [],
    }


def read_record(path: Path) -> dict[str, Any]:
    """The record that a file holds."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if document["schema"] != HARDENING_SCHEMA or "begun" not in document:
        raise ValueError(f"{path} is no record that can be continued")
    return document


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Replaces the file."""
    write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())


def add_chunk(record: dict[str, Any], campaign: Campaign, found: Mapping[str, Any]) -> None:
    """Adds what a chunk found to the campaign's row, and this machine to the environments."""
    row = row_of(record, campaign)
    row["chunks"] += 1
    versions = {tool: one["version"] for tool, one in found["beside"].items()}
    for tool, version in versions.items():
        empty = {"version": version, **_nothing()}
        _add(row["beside"].setdefault(tool, empty), found["beside"][tool])
        row["beside"][tool]["version"] = version
    _add(row, found)
    environment = {key: to_document(read_environment())[key] for key in _MACHINE}
    if environment not in record["environments"]:
        record["environments"].append(environment)
    record["date"] = _today()


def row_of(record: dict[str, Any], campaign: Campaign) -> dict[str, Any]:
    """The campaign's row, made where there is none, with today's title and number of cases."""
    rows = record["campaigns"]
    row = next((one for one in rows if one["name"] == campaign.name), None)
    if row is None:
        row = {"name": campaign.name, "chunks": 0, **_nothing(), "beside": {}}
        rows.append(row)
    row.update(title=campaign.title, nightly=campaign.cases["nightly"])
    return row


def _nothing() -> dict[str, Any]:
    return {
        "cases": 0,
        "failures": 0,
        "upper_bound_95": None,
        "outcomes": {},
        "seconds": 0.0,
        "measured": {},
        "reproducers": [],
    }


def _add(total: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key in ("cases", "failures"):
        total[key] += more[key]
    total["seconds"] = round(total["seconds"] + more["seconds"], 1)
    total["outcomes"] = _summed(total["outcomes"], more["outcomes"])
    total["upper_bound_95"] = upper_bound(total["cases"], total["failures"])
    for key, value in more["measured"].items():
        total["measured"][key] = _measured(total["measured"].get(key), value)
    total["reproducers"] = [*total["reproducers"], *more["reproducers"]][:_MAX_REPRODUCERS]


def _measured(before: Any, value: Any) -> Any:
    """Counts are summed; of other figures the largest stands."""
    if isinstance(value, dict):
        return _summed(before or {}, value)
    return value if before is None or isinstance(value, str) else max(before, value)


def _summed(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(first) + Counter(second)).items()))


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")
