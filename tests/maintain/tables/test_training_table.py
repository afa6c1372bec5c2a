"""The table of training runs says what their cards progress: every seed, the mean, the interval, the versions."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from cifar_maintain.readme import main
from cifar_maintain.tables.training_table import TrainingRun, recipes_table, training_table
from cifar_runtime.errors import InputError
from cifar_train.recipe import Augmentation
from cifar_train.recipes import RECIPES


def card(seed: int, correct: int) -> dict[str, Any]:
    epochs = [
        {"accuracy": 0.5, "validation_accuracy": 0.4, "seconds": 2700, "images_per_second": 900},
        {"accuracy": 0.75, "validation_accuracy": 0.61, "seconds": 900, "images_per_second": 1800},
    ]
    return {
        "schema": "cifar-edge/train/1",
        "recipe": asdict(replace(RECIPES["notebook"], seed=seed)),
        "model": {"sha256": f"checkpoint {seed}"},
        "kept_epoch": 2,
        "epochs": epochs,
        "accuracy": {"validation": {"correct": 625, "seen": 1000}, "test": {"correct": correct, "seen": 10000}},
        "environment": {"keras": "3.0", "tensorflow": "2.0", "precision": "float32", "device": "cpu"},
    }  # fmt: skip


def int8(seed: int, accuracy: float, *, passed: bool = True) -> dict[str, Any]:
    return {
        "schema": "cifar-edge/parity/1",
        "split": {"name": "test", "num_images": 10000},
        "reference": {"sha256": f"checkpoint {seed}"},
        "candidates": [{"accuracy": {"accuracy": accuracy}}],
        "passed": passed,
    }


def run(seed: int, correct: int) -> TrainingRun:
    return TrainingRun(card=card(seed, correct))


def test_a_row_for_each_seed_and_their_mean() -> None:
    # The validation accuracy is the checkpoint's, not the 61 % that bfloat16 had when its epoch ended.
    # Wilson's 95 % intervals of 6,000 and 7,000 in 10,000, and their plain mean, computed apart.
    assert training_table([run(0, 6000), run(1, 7000)], origin="runs") == (
        "| recipe | seed | epochs | training % | validation % | test % (95 % interval) | int8 test % |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| notebook | 0 | 2 of 2 | 75.00 | 62.50 | 60.00 (59.04 to 60.96) | - |\n"
        "| notebook | 1 | 2 of 2 | 75.00 | 62.50 | 70.00 (69.09 to 70.89) | - |\n"
        "\n"
        "Test: all 10,000 images; int8: the .tflite file that cifar-export makes of the checkpoint (*: it misses a "
        "gate, and is not published). Mean of 2 seeds: 65.00 %, from 60.00 to 70.00. Training accuracy: while "
        "training, dropout and any augmentation on. Keras 3.0, tensorflow 2.0, float32 on cpu.\n"
    )


@pytest.mark.parametrize("table", [training_table, recipes_table])
def test_runs_of_two_recipes_are_no_seeds_of_one(table: Callable[..., str]) -> None:
    shorter, longer = card(0, 6000), card(1, 7000)
    longer["recipe"]["epochs"] = 60
    with pytest.raises(
        InputError, match="notebook, seeds 0 and 1, were made with different epochs"
    ):
        table([TrainingRun(card=shorter), TrainingRun(card=longer)], origin="runs")


def test_what_an_older_card_does_not_tell_is_the_default() -> None:
    older, newer = card(0, 6000), card(1, 7000)
    for each in (older, newer):
        each["recipe"]["augmentation"] = asdict(Augmentation(flip="random", translate=4))
    del older["recipe"]["augmentation"]["zoom"], older["recipe"]["sampling"]
    runs = [TrainingRun(card=older), TrainingRun(card=newer)]
    assert "65.00 (60.00 to 70.00)" in recipes_table(runs, origin="runs")
    newer["recipe"]["augmentation"]["zoom"] = 0.1
    with pytest.raises(InputError, match="were made with different augmentation"):
        recipes_table(runs, origin="runs")


def test_seeds_that_were_made_otherwise_are_told_apart() -> None:
    other = card(1, 7000)
    other["environment"]["precision"] = "mixed_bfloat16"
    caption = training_table([run(0, 6000), TrainingRun(card=other), run(2, 6000)], origin="runs")
    assert caption.endswith(
        "on. Keras 3.0, tensorflow 2.0, float32 on cpu (seed 0, 2); "
        "Keras 3.0, tensorflow 2.0, mixed_bfloat16 on cpu (seed 1).\n"
    )


def test_int8_files_stand_beside_their_checkpoints() -> None:
    runs = [
        TrainingRun(card=card(0, 6000), int8=int8(0, 0.59)),
        TrainingRun(card=card(1, 7000), int8=int8(1, 0.68, passed=False)),
    ]
    lines = training_table(runs, origin="runs").splitlines()
    assert lines[2].endswith(" | 59.00 |")
    assert lines[3].endswith(" | 68.00* |")
    assert "from 60.00 to 70.00; in int8 63.50 %, from 59.00 to 68.00. " in lines[5]
    (row,) = recipes_table(runs, origin="runs").splitlines()[2:3]
    assert "| 65.00 (60.00 to 70.00) | 63.50 (59.00 to 68.00)* |" in row
    # A mean of some seeds is none of the recipe's.
    (row,) = recipes_table([runs[0], run(1, 7000)], origin="runs").splitlines()[2:3]
    assert "| 65.00 (60.00 to 70.00) | - |" in row


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"schema": "x/1"}, "runs: an int8 document is not of schema 'cifar-edge/parity/1'."),
        (
            {"reference": {"sha256": "another"}},
            "runs: notebook, seed 0: its int8 document judges another checkpoint.",
        ),
        (
            {"split": {"name": "test-sample", "num_images": 1000}},
            "runs: an int8 document tells of 1000 images of test-sample, expected all of test.",
        ),
        ({"passed": None, "candidates": [{}]}, "runs: a document cannot be used: the field accuracy is missing."),
    ],
)  # fmt: skip
def test_int8_files_of_something_else_are_refused(wrong: dict[str, Any], message: str) -> None:
    runs = [TrainingRun(card=card(0, 6000), int8={**int8(0, 0.59), **wrong})]
    with pytest.raises(InputError) as caught:
        recipes_table(runs, origin="runs")
    assert str(caught.value).startswith(message)


def test_a_single_seed_is_called_one() -> None:
    assert "One seed." in training_table([run(0, 6000)], origin="runs")


def test_a_row_for_each_recipe_with_cost_and_spread() -> None:
    other = card(3, 5000)
    other["recipe"] = {**other["recipe"], "name": "quick", "architecture": "quick-res"}
    del other["accuracy"]["test"]
    runs = [run(0, 6000), run(1, 7000), TrainingRun(card=other)]
    lines = recipes_table(runs, origin="runs").splitlines()
    assert lines[0].startswith("| recipe | network | epochs | seeds | minutes a run | images/s |")
    assert lines[2:4] == [
        "| notebook | notebook | 2 | 2 | 60 cpu | 1,350 | 62.50 (62.50 to 62.50) | 65.00 (60.00 to 70.00) | - | "
        "`cifar-train --recipe notebook --seed 0 --final` |",
        "| quick | quick-res | 2 | 1 | 60 cpu | 1,350 | 62.50 | - | - | "
        "`cifar-train --recipe quick --seed 3` |",
    ]
    with pytest.raises(InputError, match="runs: holds no card of a training run"):
        recipes_table([], origin="runs")


def test_recipes_say_which_soft_labels_they_learned_from() -> None:
    runs = []
    for name, source in (("edge-s", "ab" * 32), ("quick", "ab" * 32), ("edge-m", "cd" * 32)):
        taught = card(0, 6000)
        taught["recipe"] |= {"name": name, "distillation": {"source_sha256": source}}
        runs.append(TrainingRun(card=taught))
    alone = card(0, 6000)
    alone["recipe"]["distillation"] = None
    assert recipes_table([run(0, 6000), TrainingRun(card=alone), *runs], origin="runs").endswith(
        " Soft labels, by the first digits of their SHA-256: edge-s, quick of abababab; edge-m of cdcdcdcd.\n"
    )
    assert "Soft labels" not in recipes_table([run(0, 6000)], origin="runs")


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ([], "runs: holds no card of a training run."),
        ([{**card(0, 1), "schema": "x/1"}], "runs: a card is not of schema 'cifar-edge/train/1'."),
        (
            [{**card(0, 1), "accuracy": {"validation": {}}}],
            "runs: a document cannot be used: the field test is missing.",
        ),
    ],
)
def test_incomplete_records_are_refused(cards: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError) as caught:
        training_table([TrainingRun(card=document) for document in cards], origin="runs")
    assert str(caught.value).startswith(message)


def test_the_readme_draws_it_from_the_cards(tmp_path: Path) -> None:
    for seed in (0, 1):
        folder = tmp_path / f"notebook-seed-{seed}"
        folder.mkdir()
        (folder / "card.json").write_text(json.dumps(card(seed, 6000)))
    (folder / "parity-int8.json").write_text(json.dumps(int8(1, 0.59)))
    readme = tmp_path / "README.md"
    readme.write_text("<!-- runs: notebook -->\n<!-- /runs -->\n")
    assert main([str(readme), "--runs", str(tmp_path)]) == 0
    assert readme.read_text() == (
        "<!-- runs: notebook -->\n"
        + training_table(
            [run(0, 6000), TrainingRun(card=card(1, 6000), int8=int8(1, 0.59))], origin="runs"
        )
        + "<!-- /runs -->\n"
    )
