"""The campaigns of ``tests/hardening`` as the tables of docs/reliability.md. Pure: a report in, text out."""

import json
from collections.abc import Mapping
from typing import Any

from cifar_eval.formatting import counted, markdown_rows
from cifar_runtime.errors import InputError, json_error_reason

HARDENING_SCHEMA = "cifar-edge/hardening/1"
_HEADER = ("campaign", "cases", "of", "failures", "failure rate below (95 %)")
_BESIDE = ("same inputs", "tool alone", "cases", "what happened")
_USUAL = ("answered", "decoded", "refused")
_COMMAND = "make hardening"


def hardening_table(text: str, *, origin: str) -> str:
    """Both tables, and how they were recorded, with a last newline.

    Args:
        text: a report that ``python -m hardening`` wrote.
        origin: where it was read, for the message.

    Raises:
        InputError: it is no such report.
    """
    try:
        document = json.loads(text)
        campaigns = document["campaigns"]
        rows = [_row(campaign) for campaign in campaigns]
        beside = [
            (
                campaign["title"],
                f"{tool} {found['version']}",
                f"{found['cases']:,}",
                _endings(found),
            )
            for campaign in campaigns
            for tool, found in campaign["beside"].items()
        ]
        caption = _caption(document)
    except (ValueError, KeyError, TypeError) as cause:
        raise InputError(
            f"{origin}: is no {HARDENING_SCHEMA} document: {json_error_reason(cause)}.",
            hint=f"Run {_COMMAND}.",
        ) from cause
    tables = [*markdown_rows(_HEADER, rows), "", *markdown_rows(_BESIDE, beside, text_columns=2)]
    return "\n".join([*tables, "", caption]) + "\n"


def _row(campaign: Mapping[str, Any]) -> tuple[str, ...]:
    bound = campaign["upper_bound_95"]
    skipped = campaign["measured"].get("skipped")
    further = [
        f"{counted(count, 'case')}: {word}"
        for word, count in campaign["outcomes"].items()
        if campaign["failures"] and word not in _USUAL
    ]
    growth = campaign["measured"].get("growth_kib")
    if growth is not None:
        further.append(f"memory {growth:+,} KiB")
    title = campaign["title"] + (f" ({'; '.join(further)})" if further else "")
    return (
        title if skipped is None else f"{title} (skipped: {skipped})",
        f"{campaign['cases']:,}",
        f"{campaign['nightly']:,}",
        f"{campaign['failures']:,}",
        "-" if bound is None else f"{bound:.2g}",
    )


def _endings(found: Mapping[str, Any]) -> str:
    """How the cases ended, the most frequent way first, and what cifar-edge made of those that ended the tool."""
    words = _counted(found["outcomes"])
    ours = found["measured"].get("through_cifar_edge")
    return f"{words}; of these failures, through cifar-edge: {_counted(ours)}" if ours else words


def _counted(outcomes: Mapping[str, int]) -> str:
    pairs = sorted(outcomes.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{word} {count:,}" for word, count in pairs)


def _caption(document: Mapping[str, Any]) -> str:
    machines = [
        f"{one['cpu_model']} ({counted(one['cores'], 'core')}), {one['os']}, {one['python']}"
        for one in document["environments"]
    ]
    begun, date = document["begun"], document["date"]
    seconds = sum(
        one["seconds"] + sum(found["seconds"] for found in one["beside"].values())
        for one in document["campaigns"]
    )
    return (
        f"Recorded {date if begun == date else f'{begun} to {date}'} with the seeds from {document['seed']} on, "
        f"one for each of {counted(sum(one['chunks'] for one in document['campaigns']), 'chunk')}, "
        f"{seconds / 60:.0f} minutes on {'; and on '.join(machines)}."
    )
