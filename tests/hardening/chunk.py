"""One chunk of a campaign, in a process of its own: ``python -m hardening.chunk`` prints what came of it, as JSON."""

import argparse
import importlib.metadata
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hardening.artefacts import Artefacts
from hardening.campaign import Budget, Campaign
from hardening.classifications import Classifications
from hardening.foreign import Foreign
from hardening.forks import Forks
from hardening.kills import Kills, TracedKills
from hardening.pictures import Pictures
from hardening.surroundings import Surroundings
from hardening.victims import TRACED, VICTIMS


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
        if victim.name in TRACED:
            yield TracedKills(victim, TRACED[victim.name])


def main() -> int:
    """Runs the campaign of the command line, and each tool beside it on the same inputs."""
    parser = argparse.ArgumentParser(prog="python -m hardening.chunk", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--cases", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--reproducers", type=Path, required=True)
    options = parser.parse_args()
    (campaign,) = (one for one in campaigns() if one.name == options.name)
    folder = Path(tempfile.mkdtemp(prefix="cifar-hardening-"))
    budget = Budget(
        cases=options.cases, seconds=options.seconds, seed=options.seed, folder=folder / "ours"
    )
    try:
        found = _run(campaign, budget)
        _keep(budget.folder, options.reproducers / campaign.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _run(campaign: Campaign, budget: Budget) -> dict[str, Any]:
    ours = campaign.run(budget)
    apart = replace(budget, folder=budget.folder.with_name("alone"))
    beside = {
        tool: {"version": _version(tool), **run_alone(apart).to_json(), "reproducers": []}
        for tool, run_alone in campaign.beside.items()
    }
    return {**ours.to_json(), "beside": beside}


def _version(tool: str) -> str:
    return importlib.metadata.version({"LiteRT": "ai-edge-litert"}.get(tool, tool.lower()))


def _keep(folder: Path, target: Path) -> None:
    """Copies the saved cases out of the temporary folder."""
    for path in folder.glob("seed-*"):
        target.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target / path.name, dirs_exist_ok=True)
        else:
            shutil.copy(path, target / path.name)


if __name__ == "__main__":
    sys.exit(main())
