"""Training steps are measured beside plain Keras', in turns, and compared round by round."""

from dataclasses import replace

import numpy as np
import pytest

from cifar_data import packaged
from cifar_maintain.training_speed import (
    Round,
    SpeedRecipe,
    main,
    measure_training_speed,
    parse,
    speed_table,
)
from cifar_train.recipes import RECIPES


def test_the_command_line_as_a_recipe() -> None:
    asked = parse(["--recipe", "quick", "-b", "64", "--against", "float32,xla", "--steps", "3"])
    quick = replace(RECIPES["quick"], batch_size=64)
    assert asked == SpeedRecipe(recipe=quick, against=("float32", "xla"), steps=3, rounds=5)
    assert parse([]).against == ("float32", "mixed_bfloat16", "xla")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--steps", "1"], "one step has nothing to measure after it. Give --steps 2 or more."),
        (["--against", "float16"], "'float16' is not one of float32, mixed_bfloat16, xla"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert message in capsys.readouterr().err


def test_every_round_trains_both_ways() -> None:
    recipe = replace(RECIPES["quick"], batch_size=8, precision="mixed_bfloat16")
    asked = SpeedRecipe(recipe=recipe, against=("float32",), steps=3, rounds=2)
    train = packaged.test_sample().take(np.arange(24), name="few")
    sentences: list[str] = []
    rounds = measure_training_speed(asked, train, progress=sentences.append)
    assert sentences == ["round 0 of 2 is done", "round 1 of 2 is done", "round 2 of 2 is done"]
    assert list(rounds) == ["cifar-train mixed_bfloat16", "Keras float32"]
    for taken in rounds.values():
        assert len(taken) == 2
        assert all(one.wall_ns > 0 and one.cpu_ns > 0 for one in taken)


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that is half as fast in the second round changes no ratio."""
    rounds = {
        "cifar-train float32": [
            Round(wall_ns=10**9, cpu_ns=2 * 10**9),
            Round(wall_ns=2 * 10**9, cpu_ns=10**9),
        ],
        "Keras float32": [
            Round(wall_ns=3 * 10**9, cpu_ns=10**9),
            Round(wall_ns=6 * 10**9, cpu_ns=10**9),
        ],
    }
    lines = speed_table(rounds, images=3000).splitlines()
    assert [" ".join(line.split()) for line in lines[:3]] == [
        "images/s images/CPU-s cifar-train is in CPU time",
        "cifar-train float32 2,000 2,000 - -",
        "Keras float32 667 3,000 3.00 times as fast (3.00 to 3.00) 0.75 times as fast (0.50 to 1.00)",
    ]
