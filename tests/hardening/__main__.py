"""Runs the campaigns one after another and writes their report: ``python -m hardening [--form quick]``."""

import argparse
import importlib.metadata
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cifar_maintain.tables.hardening_table import HARDENING_SCHEMA
from cifar_runtime.documents import to_document
from cifar_runtime.environment import read_environment
from hardening.artefacts import Artefacts
from hardening.campaign import Budget, Campaign, Result
from hardening.classifications import Classifications
from hardening.foreign import Foreign
from hardening.forks import Forks
from hardening.kills import Kills
from hardening.pictures import Pictures
from hardening.surroundings import Surroundings
from hardening.victims import VICTIMS

# What one campaign, or one tool beside it, may take at most, so that none starves the others; some are slow.
SECONDS = {"quick": 30.0, "recorded": 60.0, "nightly": 1_200.0}
LONGER = {"surroundings": 2, "kills-export": 4, "kills-train": 4}


def campaigns() -> Iterator[Campaign]:
    """All of them, the cheap ones first."""
    yield Artefacts()
    yield Surroundings()
    for model_format in ("tflite", "onnx"):
        yield Forks(model_format)
    for kind in ("arrays", "files", "threads"):
        yield Classifications(kind)
    yield Pictures()
    for model_format in ("tflite", "onnx"):
        yield Foreign(model_format)
    for victim in VICTIMS:
        yield Kills(victim)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs them; 1 where one found a failure."""
    options = _parse(sys.argv[1:] if argv is None else argv)
    work = Path(tempfile.mkdtemp(prefix="cifar-hardening-"))
    chosen = [
        one
        for one in campaigns()
        if (one.name in options.only if options.only else one.cases[options.form])
    ]
    try:
        rows = [_row(campaign, options, work) for campaign in chosen]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    document = {
        "schema": HARDENING_SCHEMA,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "form": options.form,
        "seed": options.seed,
        "environment": to_document(read_environment()),
        "campaigns": rows,
    }
    if options.output is not None:
        options.output.write_text(json.dumps(document, indent=1) + "\n")
    return int(any(row["failures"] for row in rows))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hardening", description=__doc__)
    parser.add_argument("--form", choices=tuple(SECONDS), default="quick")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these campaigns alone")
    parser.add_argument("--cases", type=int, metavar="N", help="instead of the form's numbers")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the report as JSON")
    folder = Path(".hardening")
    parser.add_argument("--reproducers", type=Path, default=folder, metavar="DIR", help=f"{folder}")
    return parser.parse_args(argv)


def _row(campaign: Campaign, options: argparse.Namespace, work: Path) -> dict[str, Any]:
    cases = campaign.cases[options.form] if options.cases is None else options.cases
    budget = Budget(
        cases=cases,
        seconds=SECONDS[options.form] * LONGER.get(campaign.name, 1),
        seed=options.seed,
        folder=work / campaign.name,
    )
    result = campaign.run(budget)
    _say(campaign.name, options.seed, result)
    beside = {}
    for tool, run_alone in campaign.beside.items():
        found = run_alone(budget)
        _say(f"{campaign.name}, {tool} alone", options.seed, found)
        beside[tool] = {"version": _version(tool), **found.to_json(), "reproducers": []}
    if result.failures:
        _keep(budget.folder, options.reproducers / campaign.name)
    head = {"name": campaign.name, "title": campaign.title, "nightly": campaign.cases["nightly"]}
    return {**head, **result.to_json(), "beside": beside}


def _say(name: str, seed: int, result: Result) -> None:
    facts = result.to_json()
    bound = facts["upper_bound_95"]
    words = ", ".join(f"{count:,} {word}" for word, count in facts["outcomes"].items())
    rate = "" if bound is None else f"; failure rate below {bound:.2g} (95 %)"
    further = "".join(f"; {key} {value}" for key, value in facts["measured"].items())
    sys.stdout.write(
        f"{name}: seed {seed}, {facts['cases']:,} cases in {facts['seconds']:.0f} s: "
        f"{facts['failures']} failures{rate} ({words}){further}\n"
    )
    for reproducer in result.reproducers[:10]:
        sys.stdout.write(f"  reproducer: {ascii(reproducer)[1:-1]}\n")
    sys.stdout.flush()


def _version(tool: str) -> str:
    return importlib.metadata.version({"LiteRT": "ai-edge-litert"}.get(tool, tool.lower()))


def _keep(folder: Path, target: Path) -> None:
    """Copies the saved cases out of the temporary folder."""
    target.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("seed-*"):
        if path.is_dir():
            shutil.copytree(path, target / path.name, dirs_exist_ok=True)
        else:
            shutil.copy(path, target / path.name)


if __name__ == "__main__":
    sys.exit(main())
