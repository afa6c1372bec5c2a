"""Draws the cards of finished training runs as a Markdown table. Pure: cards in, text out."""

import contextlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cifar_bench.accuracy import Accuracy
from cifar_bench.cells import NOT_APPLICABLE, markdown_rows, percent
from cifar_runtime.errors import InputError
from cifar_runtime.flaw import flaw_of

_SCHEMA = "cifar-edge/train/1"
_HEADER = ("recipe", "seed", "epochs", "training %", "validation %", "test % (95 % interval)")
_RECIPES_HEADER = (
    "recipe",
    "network",
    "epochs",
    "seeds",
    "minutes a run",
    "images/s",
    "validation %",
    "test %",
    "command",
)
_RECIPES_CAPTION = (
    "Float32 checkpoints; validation 5,000 images (of the notebook's own recipe 10,000), test all 10,000. With several "
    "seeds: mean (lowest to highest). Minutes are wall time of training, beside whatever else the machine did; "
    "images/s are those of the fastest epoch."
)


def training_table(cards: Sequence[Mapping[str, Any]], *, origin: str) -> str:
    """One row per run, the mean over seeds, and what the runs were made with, with a last newline.

    Args:
        cards: documents of schema ``cifar-edge/train/1``, of one recipe, in the rows' order.
        origin: where they came from, for error messages.

    Raises:
        InputError: there is no card, one is of another schema, or its run did not read the test split.
    """
    with _readable(cards, origin):
        tests = [_accuracy(card, "test") for card in cards]
        rows = [_row(card, test) for card, test in zip(cards, tests, strict=True)]
        caption = f"{_summary(tests)} {_made_with(cards[0])}"
        return "\n".join([*markdown_rows(_HEADER, rows), "", caption]) + "\n"


def recipes_table(cards: Sequence[Mapping[str, Any]], *, origin: str) -> str:
    """One row per recipe: what its runs cost and reached, and the command of the first, with a last newline.

    Runs that did not read the test split, such as a teacher's, have no test accuracy.

    Args:
        cards: documents of schema ``cifar-edge/train/1``; those of a recipe in the order of their seeds.
        origin: where they came from, for error messages.

    Raises:
        InputError: there is no card, or one is of another schema.
    """
    with _readable(cards, origin):
        names = dict.fromkeys(card["recipe"]["name"] for card in cards)
        groups = [[card for card in cards if card["recipe"]["name"] == name] for name in names]
        rows = list(map(_recipe_row, groups))
        return "\n".join([*markdown_rows(_RECIPES_HEADER, rows), "", _RECIPES_CAPTION]) + "\n"


@contextlib.contextmanager
def _readable(cards: Sequence[Mapping[str, Any]], origin: str) -> Iterator[None]:
    """Turns what is wrong with the cards into one sentence."""
    hint = "Keep the card.json of runs that were made with cifar-train --final."
    if not cards:
        raise InputError(f"{origin}: holds no card of a training run.", hint=hint)
    try:
        if any(card["schema"] != _SCHEMA for card in cards):
            raise InputError(f"{origin}: a card is not of schema {_SCHEMA!r}.", hint=hint)
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{origin}: a card cannot be used: {flaw_of(error)}.", hint=hint
        ) from error


def _recipe_row(cards: Sequence[Mapping[str, Any]]) -> list[str]:
    recipe = cards[0]["recipe"]
    minutes = statistics.fmean(
        sum(epoch["seconds"] for epoch in card["epochs"]) / 60 for card in cards
    )
    fastest = max(epoch["images_per_second"] for card in cards for epoch in card["epochs"])
    judged = [card for card in cards if "test" in card["accuracy"]]
    device = ", ".join(sorted({card["environment"]["device"] for card in cards}))
    return [
        recipe["name"],
        recipe["architecture"],
        str(len(cards[0]["epochs"])),
        str(len(cards)),
        f"{minutes:.{1 if minutes < 10 else 0}f} {device}",
        f"{fastest:,.0f}",
        _mean_and_range([_kept(card)["validation_accuracy"] for card in cards]),
        _mean_and_range([_accuracy(card, "test").value for card in judged]),
        f"`cifar-train --recipe {recipe['name']} --seed {recipe['seed']}{' --final' if judged else ''}`",
    ]


def _mean_and_range(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "".join(map(percent, values)) or NOT_APPLICABLE
    return f"{percent(statistics.fmean(values))} ({percent(min(values))} to {percent(max(values))})"


def _row(card: Mapping[str, Any], test: Accuracy) -> list[str]:
    recipe, kept = card["recipe"], _kept(card)
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


def _kept(card: Mapping[str, Any]) -> Mapping[str, Any]:
    epoch: Mapping[str, Any] = card["epochs"][card["kept_epoch"] - 1]
    return epoch


def _accuracy(card: Mapping[str, Any], split: str) -> Accuracy:
    counts = card["accuracy"][split]
    return Accuracy(correct=counts["correct"], seen=counts["seen"], split=split)
