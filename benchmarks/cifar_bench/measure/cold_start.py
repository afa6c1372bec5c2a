"""Times whole runs of ``cifar-classify`` on one picture: starting Python, importing, opening, answering, ending."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cifar_bench.results.conditions import Clock
from cifar_bench.results.timings import ColdStart
from cifar_runtime.errors import ArtefactError
from cifar_runtime.progress import Counter, silent

_PROGRAM = "from cifar_runtime.commands.classify import main; sys.exit(main())"
_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdModel:
    """What cifar-classify is started with.

    Attributes:
        path: the model.
        contract: given for a model without a card.
    """

    path: Path
    contract: str | None


def measure_cold_starts(
    models: Sequence[ColdModel],
    picture: Path,
    *,
    starts: int,
    pinned_cpus: tuple[int, ...] | None,
    clock: Clock,
    count: Counter = silent,
) -> tuple[ColdStart, ...]:
    """The durations of ``starts`` processes of every model, the models in turns.

    The files are in the page cache from the second start on, as on a device that is used.

    Args:
        models: what is started.
        picture: what they classify.
        starts: processes of each.
        pinned_cpus: the processors that a process holds itself on before it imports anything of size;
            None for all.
        clock: nanoseconds.
        count: sees how many starts of all models are done.

    Raises:
        ArtefactError: cifar-classify does not end with exit code 0.
    """
    samples: list[list[int]] = [[] for _ in models]
    for start in range(starts):
        for turn in range(len(models)):
            index = (start + turn) % len(models)
            command = _command(models[index], picture, pinned_cpus)
            samples[index].append(_one_start(models[index].path, command, clock))
            count(start * len(models) + turn + 1, starts * len(models))
    return tuple(ColdStart(samples_ns=tuple(taken)) for taken in samples)


def _command(
    model: ColdModel, picture: Path, pinned_cpus: tuple[int, ...] | None
) -> tuple[str, ...]:
    pin = "" if pinned_cpus is None else f"import os; os.sched_setaffinity(0, {pinned_cpus}); "
    contract = [] if model.contract is None else ["--contract", model.contract]
    # -P: nothing in the working directory can pose as a module, as with the installed script.
    command = (sys.executable, "-P", "-c", f"import sys; {pin}{_PROGRAM}", str(picture))
    return (*command, "--model", str(model.path), *contract)


def _one_start(model: Path, command: Sequence[str], clock: Clock) -> int:
    start = clock()
    ended = subprocess.run(  # noqa: S603 - this interpreter and our own command
        command, capture_output=True, timeout=_TIMEOUT_S, check=False
    )
    duration_ns = clock() - start
    if ended.returncode != 0:
        reason = " ".join(ended.stderr.decode("utf-8", "replace").split())[:300]
        raise ArtefactError(
            f"{model}: cifar-classify ended with exit code {ended.returncode}: {reason}.",
            hint="Run cifar-classify with it; leave cold starts out with --cold-starts 0.",
        )
    return duration_ns
