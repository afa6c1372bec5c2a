"""Measures training steps beside plain Keras: ``python -m cifar_maintain.training_speed``.

Both train the same network in the same batches of the same images, in turns. cifar-train augments, averages weights and
whatever else its recipe says, without a teacher; plain Keras is ``model.fit`` on arrays, which does none of it.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from cifar_eval.formatting import NOT_APPLICABLE, aligned
from cifar_runtime.commands.parser import (
    Parser,
    choice,
    positive_int,
    run_command,
    sentences_to_stderr,
)
from cifar_runtime.errors import UsageError
from cifar_train.recipe import TrainRecipe
from cifar_train.recipes import RECIPES

if TYPE_CHECKING:
    from cifar_data.split import Split
    from cifar_train.run.state import Epoch, RunState

Plain = Literal["float32", "mixed_bfloat16", "xla"]

_PROGRAM = "python -m cifar_maintain.training_speed"
_EXAMPLES = """\
  python -m cifar_maintain.training_speed --recipe resnet8
  python -m cifar_maintain.training_speed --recipe edge-s --against float32 --steps 5 --rounds 3
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRecipe:
    """What to measure.

    Attributes:
        recipe: what cifar-train does.
        against: the ways that plain Keras trains: in float32, in mixed bfloat16, or in float32 compiled with XLA.
        steps: of each round; the first one is not measured.
        rounds: of each way, after one round of warm-up.
    """

    recipe: TrainRecipe
    against: tuple[Plain, ...]
    steps: int
    rounds: int

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise UsageError(
                "one step has nothing to measure after it.", hint="Give --steps 2 or more."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What the measured steps of one round took, in all threads together for the CPU time."""

    wall_ns: int
    cpu_ns: int


Rounds = dict[str, list[Round]]
"""The rounds of cifar-train, then those of each way of plain Keras, by name with the precision; the n-th ones ran one
after another."""

_OURS = "cifar-train"


def parse(argv: Sequence[str]) -> SpeedRecipe:
    """The command line as a recipe.

    Raises:
        UsageError: it makes no sense.
    """
    parser = Parser(
        prog=_PROGRAM,
        description="Measure cifar-train's steps beside plain Keras', in turns.",
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add("--recipe", type=choice(list(RECIPES)), default="seed-cnn", metavar="NAME")
    add("-b", "--batch-size", type=positive_int, metavar="N", help="instead of the recipe's")
    add("--against", type=_plains, default=get_args(Plain), metavar=",".join(get_args(Plain)))
    add("--steps", type=positive_int, default=20, metavar="N", help="of a round (default: 20)")
    add("--rounds", type=positive_int, default=5, metavar="N", help="of each (default: 5)")
    given = parser.parse_args(argv)
    recipe = RECIPES[given.recipe]
    return SpeedRecipe(
        recipe=replace(recipe, batch_size=given.batch_size or recipe.batch_size),
        against=given.against,
        steps=given.steps,
        rounds=given.rounds,
    )


def _plains(text: str) -> tuple[str, ...]:
    return tuple(map(choice(get_args(Plain)), text.split(",")))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def _run(argv: Sequence[str]) -> int:
    asked = parse(argv)
    import numpy as np

    from cifar_data.load import load_split

    images = load_split("train")
    count = asked.steps * asked.recipe.batch_size
    if count > len(images.labels):
        raise UsageError(
            f"{asked.steps} steps of {asked.recipe.batch_size} are more than the {len(images.labels):,} images.",
            hint="Give fewer --steps.",
        )
    few = images.take(np.arange(count), name="first images of train")
    rounds = measure_training_speed(asked, few, progress=sentences_to_stderr(_PROGRAM))
    sys.stdout.write(speed_table(rounds, images=(asked.steps - 1) * asked.recipe.batch_size))
    return 0


def measure_training_speed(
    asked: SpeedRecipe, train: "Split", *, progress: Callable[[str], None]
) -> Rounds:
    """Rounds of training on ``train``, ``steps`` batches of images: ours, then each plain one, and again.

    Raises:
        MissingDependencyError: Keras or its backend is not installed.
    """
    import numpy as np

    from cifar_train.fit import fit

    # Every epoch of the run is a round, and the plain ones take their turns when it has ended.
    watcher = _TurnTaker(asked, train, progress)
    recipe = replace(
        asked.recipe, epochs=asked.rounds + 1, keep="last", patience=None, distillation=None
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(
            recipe,
            (train, train.take(np.arange(10), name="ten")),
            Path(folder),
            watcher,
            resume=False,
        )
    return {name: rounds[1:] for name, rounds in watcher.rounds.items()}


class _StepTimer:
    """Remembers when the first and the last step of a round ended."""

    def __init__(self) -> None:
        self._ends: list[tuple[int, int]] = []

    def end_step(self) -> None:
        self._ends.append((time.perf_counter_ns(), time.process_time_ns()))

    def round(self) -> Round:
        (wall, cpu), (last_wall, last_cpu) = self._ends[0], self._ends[-1]
        self._ends.clear()
        return Round(wall_ns=last_wall - wall, cpu_ns=last_cpu - cpu)


class _TurnTaker:
    """Times a run's epochs, and lets plain Keras train between them."""

    def __init__(self, asked: SpeedRecipe, train: "Split", progress: Callable[[str], None]) -> None:
        self.rounds: Rounds = {}
        self._asked = asked
        self._train = train
        self._progress = progress
        self._timer = _StepTimer()
        self._plain: dict[str, Callable[[_StepTimer], None]] = {}

    def on_batch(self, epoch: int, seen: int, total: int) -> None:
        """A step of cifar-train has ended."""
        del epoch, seen, total
        self._timer.end_step()

    def on_epoch(self, epoch: "Epoch", state: "RunState") -> None:
        """A round of cifar-train has ended."""
        del state
        import keras

        ours = f"{_OURS} {keras.config.dtype_policy().name}"
        self.rounds.setdefault(ours, []).append(self._timer.round())
        for name in self._asked.against:
            title = f"Keras {name}"
            if title not in self._plain:
                self._plain[title] = _plain_training(name, self._asked.recipe, self._train)
            self._plain[title](self._timer)
            self.rounds.setdefault(title, []).append(self._timer.round())
        self._progress(f"round {epoch.number - 1} of {self._asked.rounds} is done")


def _plain_training(
    name: Plain, recipe: TrainRecipe, train: "Split"
) -> Callable[[_StepTimer], None]:
    """Trains for one epoch as ``model.fit`` does by itself, and times its steps."""
    import keras
    import numpy as np

    from cifar_train.input.batches import one_hot
    from cifar_train.networks import build

    ours = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if name == "xla" else name)
    model = build(recipe.architecture, input_shape=train.image_shape, num_classes=train.num_classes)
    keras.config.set_dtype_policy(ours)
    model.compile(
        optimizer=keras.optimizers.SGD(1e-3, momentum=0.9, nesterov=True),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=True if name == "xla" else "auto",
    )
    pixels, targets = train.images.astype(np.float32), one_hot(train)

    def train_once(timer: _StepTimer) -> None:
        def end_step(batch: int, logs: object) -> None:
            del batch, logs  # Keras passes them by name
            timer.end_step()

        end_of_step = keras.callbacks.LambdaCallback(on_train_batch_end=end_step)
        model.fit(pixels, targets, batch_size=recipe.batch_size, verbose=0, callbacks=[end_of_step])

    return train_once


def speed_table(rounds: Rounds, *, images: int) -> str:
    """Medians over rounds of ``images`` measured images, and how fast cifar-train was beside each plain way."""
    header = ["", "images/s", "images/CPU-s", f"{_OURS} is", "in CPU time"]
    ours = next(iter(rounds.values()))
    rows = [_row(name, taken, ours, images) for name, taken in rounds.items()]
    count = len(ours)
    notes = [
        f"Medians of {count} rounds of {images:,} images in turns; in brackets the lowest and the highest ratio of",
        "a round. Compare within this table only.",
    ]
    return "\n".join([*aligned([header, *rows]), "", *notes]) + "\n"


def _row(name: str, taken: list[Round], ours: list[Round], images: int) -> list[str]:
    wall = statistics.median(one.wall_ns for one in taken)
    cpu = statistics.median(one.cpu_ns for one in taken)
    row = [name, f"{images / wall * 1e9:,.0f}", f"{images / cpu * 1e9:,.0f}"]
    if taken is ours:
        return [*row, NOT_APPLICABLE, NOT_APPLICABLE]
    pairs = list(zip(taken, ours, strict=True))
    return [
        *row,
        _ratios([theirs.wall_ns / mine.wall_ns for theirs, mine in pairs]),
        _ratios([theirs.cpu_ns / mine.cpu_ns for theirs, mine in pairs]),
    ]


def _ratios(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} times as fast ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    sys.exit(main())
