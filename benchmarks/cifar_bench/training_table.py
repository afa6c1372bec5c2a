"""Draws the cards of finished training runs as a Markdown table. Pure: cards in, text out."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from cifar_bench.accuracy import Accuracy
from cifar_bench.cells import percent
from cifar_runtime.errors import InputError
from cifar_runtime.flaw import flaw_of

_SCHEMA = "cifar-edge/train/1"
_HEADER = ("recipe", "seed", "epochs", "training %", "validation %", "test % (95 % interval)")


def training_table(cards: Sequence[Mapping[str, Any]], *, origin: str) -> str:
    """One row per run, the mean over seeds, and what the runs were made with, with a last newline.

    Args:
        cards: documents of schema ``cifar-edge/train/1``, of one recipe, in the rows' order.
        origin: where they came from, for error messages.

    Raises:
        InputError: there is no card, one is of another schema, or its run did not read the test split.
    """
    hint = "Keep the card.json of runs that were made with cifar-train --final."
    if not cards:
        raise InputError(f"{origin}: holds no card of a training run.", hint=hint)
    try:
        if any(card["schema"] != _SCHEMA for card in cards):
            raise InputError(f"{origin}: a card is not of schema {_SCHEMA!r}.", hint=hint)
        tests = [_accuracy(card, "test") for card in cards]
        rows = [_row(card, test) for card, test in zip(cards, tests, strict=True)]
        made_with = _made_with(cards[0])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{origin}: a card cannot be used: {flaw_of(error)}.", hint=hint
        ) from error
    alignment = ["---"] + ["---:"] * (len(_HEADER) - 1)
    table = [f"| {' | '.join(row)} |" for row in (_HEADER, alignment, *rows)]
    return "\n".join([*table, "", f"{_summary(tests)} {made_with}"]) + "\n"


def _row(card: Mapping[str, Any], test: Accuracy) -> list[str]:
    recipe, kept = card["recipe"], card["epochs"][card["kept_epoch"] - 1]
    low, high = test.interval
    return [
        recipe["name"],
        str(recipe["seed"]),
        f"{card['kept_epoch']} of {len(card['epochs'])}",
        percent(kept["accuracy"]),
        percent(kept["validation_accuracy"]),
        f"{percent(test.value)} ({percent(low)} to {percent(high)})",
    ]


def _summary(tests: Sequence[Accuracy]) -> str:
    """Mean and spread of the test accuracies of several seeds; how many images one was measured on."""
    images = f"Test: all {tests[0].seen:,} images."
    if len(tests) == 1:
        return f"{images} One seed."
    values = [test.value for test in tests]
    return (
        f"{images} Mean of {len(tests)} seeds: {percent(statistics.fmean(values))} %, from "
        f"{percent(min(values))} to {percent(max(values))}."
    )


def _made_with(card: Mapping[str, Any]) -> str:
    environment, recipe = card["environment"], card["recipe"]
    backend = recipe["backend"]
    return (
        "Training accuracy: while training, dropout and any augmentation on. "
        f"Keras {environment['keras']}, {backend} {environment[backend]}, "
        f"{environment['precision']} on {environment['device']}."
    )


def _accuracy(card: Mapping[str, Any], split: str) -> Accuracy:
    counts = card["accuracy"][split]
    return Accuracy(correct=counts["correct"], seen=counts["seen"], split=split)
