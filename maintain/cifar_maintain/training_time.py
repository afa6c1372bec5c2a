"""Times whole training runs one after another: ``python -m cifar_maintain.training_time quick notebook``."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_eval.formatting import NOT_APPLICABLE, aligned, percent
from cifar_maintain.tables.training_table import card_accuracy
from cifar_runtime.commands.parser import Parser, choice, run_command, sentences_to_stderr
from cifar_runtime.errors import InputError
from cifar_train.recipes import RECIPES

_PROGRAM = "python -m cifar_maintain.training_time"
_TRAIN = "import sys; from cifar_train.commands.train import main; sys.exit(main())"
_EXAMPLES = """\
  python -m cifar_maintain.training_time quick notebook -o runs/time
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRun:
    """One run of ``cifar-train --recipe NAME --final``, from the start of the command to its end.

    Attributes:
        name: the recipe's.
        seconds: of wall time.
        card: a document of schema ``cifar-edge/train/1``.
    """

    name: str
    seconds: float
    card: dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def _run(argv: Sequence[str]) -> int:
    parser = Parser(
        prog=_PROGRAM,
        description="Time whole training runs, one after another, as shares of the last one's time.",
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add("recipes", nargs="+", type=choice(list(RECIPES)), metavar="RECIPE")
    add(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="a new one, for the runs"
    )
    asked = parser.parse_args(argv)
    runs = time_training(asked.recipes, asked.output, progress=sentences_to_stderr(_PROGRAM))
    sys.stdout.write(time_table(runs))
    return 0


def time_training(
    recipes: Sequence[str], folder: Path, *, progress: Callable[[str], None]
) -> list[TimedRun]:
    """Each recipe by ``cifar-train`` into a folder of its own in ``folder``; it reads the test split once.

    Raises:
        InputError: ``folder`` exists, or a run failed and has said why on standard error.
    """
    if folder.exists():
        raise InputError(f"{folder}: exists already.", hint="Name a new folder, or remove it.")
    return [_timed(name, folder / name, progress) for name in dict.fromkeys(recipes)]


def _timed(name: str, folder: Path, progress: Callable[[str], None]) -> TimedRun:
    # -P: nothing in the working directory can pose as a module, as with the installed script.
    command = (sys.executable, "-P", "-c", _TRAIN, "--recipe", name, "--final", "-o", str(folder))
    progress(f"training {name}")
    started = time.perf_counter()
    ended = subprocess.run(  # noqa: S603 - this interpreter and our own command
        command, check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr
    )
    seconds = time.perf_counter() - started
    if ended.returncode:
        raise InputError(
            f"{name}: cifar-train ended with exit code {ended.returncode}.",
            hint="Its own message stands above.",
        )
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return TimedRun(name=name, seconds=seconds, card=card)


def time_table(runs: Sequence[TimedRun]) -> str:
    """Wall time of each run, as a share of the last one's too, and the accuracy that it bought."""
    header = ["recipe", "epochs", "precision", "test %", "seconds", f"of {runs[-1].name}'s time"]
    rows = [_row(run, runs[-1]) for run in runs]
    note = "Wall time of whole commands, one after another: start, data, training, evaluation."
    return "\n".join([*aligned([header, *rows]), "", note]) + "\n"


def _row(run: TimedRun, last: TimedRun) -> list[str]:
    return [
        run.name,
        str(len(run.card["epochs"])),
        run.card["environment"]["precision"],
        percent(card_accuracy(run.card, "test").value),
        f"{run.seconds:,.1f}",
        NOT_APPLICABLE if run is last else f"{run.seconds / last.seconds:.3f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
