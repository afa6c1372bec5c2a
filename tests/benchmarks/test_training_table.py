"""The table of training runs says what their cards say: every seed, the mean, the interval, the versions."""

import json
from pathlib import Path
from typing import Any

import pytest

from cifar_bench.readme import main
from cifar_bench.training_table import recipes_table, training_table
from cifar_runtime.errors import InputError


def card(seed: int, correct: int) -> dict[str, Any]:
    epochs = [
        {"accuracy": 0.5, "validation_accuracy": 0.4, "seconds": 2700, "images_per_second": 900},
        {"accuracy": 0.75, "validation_accuracy": 0.625, "seconds": 900, "images_per_second": 1800},
    ]
    return {
        "schema": "cifar-edge/train/1",
        "recipe": {
            "name": "notebook", "architecture": "notebook", "seed": seed, "backend": "tensorflow",
        },
        "kept_epoch": 2,
        "epochs": epochs,
        "accuracy": {"validation": {"correct": 625, "seen": 1000}, "test": {"correct": correct, "seen": 10000}},
        "environment": {"keras": "3.0", "tensorflow": "2.0", "precision": "float32", "device": "cpu"},
    }  # fmt: skip


def test_a_row_for_each_seed_and_their_mean() -> None:
    # Wilson's 95 % intervals of 6,000 and 7,000 in 10,000, and their plain mean, computed apart.
    assert training_table([card(0, 6000), card(1, 7000)], origin="runs") == (
        "| recipe | seed | epochs | training % | validation % | test % (95 % interval) |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| notebook | 0 | 2 of 2 | 75.00 | 62.50 | 60.00 (59.04 to 60.96) |\n"
        "| notebook | 1 | 2 of 2 | 75.00 | 62.50 | 70.00 (69.09 to 70.89) |\n"
        "\n"
        "Test: all 10,000 images. Mean of 2 seeds: 65.00 %, from 60.00 to 70.00. Training accuracy: while "
        "training, dropout and any augmentation on. Keras 3.0, tensorflow 2.0, float32 on cpu.\n"
    )


def test_a_single_seed_is_called_one() -> None:
    assert "One seed." in training_table([card(0, 6000)], origin="runs")


def test_a_row_for_each_recipe_with_cost_and_spread() -> None:
    other = card(3, 5000)
    other["recipe"] = {**other["recipe"], "name": "quick", "architecture": "quick-res"}
    del other["accuracy"]["test"]
    lines = recipes_table([card(0, 6000), card(1, 7000), other], origin="runs").splitlines()
    assert lines[0].startswith("| recipe | network | epochs | seeds | minutes a run | images/s |")
    assert lines[2:4] == [
        "| notebook | notebook | 2 | 2 | 60 cpu | 1,800 | 62.50 (62.50 to 62.50) | 65.00 (60.00 to 70.00) | "
        "`cifar-train --recipe notebook --seed 0 --final` |",
        "| quick | quick-res | 2 | 1 | 60 cpu | 1,800 | 62.50 | - | "
        "`cifar-train --recipe quick --seed 3` |",
    ]
    with pytest.raises(InputError, match="runs: holds no card of a training run"):
        recipes_table([], origin="runs")


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ([], "runs: holds no card of a training run."),
        ([{**card(0, 1), "schema": "x/1"}], "runs: a card is not of schema 'cifar-edge/train/1'."),
        (
            [{**card(0, 1), "accuracy": {"validation": {}}}],
            "runs: a card cannot be used: the field test is missing.",
        ),
    ],
)
def test_incomplete_records_are_refused(cards: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError) as caught:
        training_table(cards, origin="runs")
    assert str(caught.value).startswith(message)


def test_the_readme_draws_it_from_the_cards(tmp_path: Path) -> None:
    for seed in (0, 1):
        (tmp_path / f"notebook-seed-{seed}").mkdir()
        text = json.dumps(card(seed, 6000))
        (tmp_path / f"notebook-seed-{seed}" / "card.json").write_text(text)
    readme = tmp_path / "README.md"
    readme.write_text("<!-- runs: notebook -->\n<!-- /runs -->\n")
    assert main(["--readme", str(readme), "--runs", str(tmp_path)]) == 0
    assert readme.read_text() == (
        "<!-- runs: notebook -->\n"
        + training_table([card(0, 6000), card(1, 6000)], origin="runs")
        + "<!-- /runs -->\n"
    )
