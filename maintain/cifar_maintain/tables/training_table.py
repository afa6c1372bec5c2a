"""Draws finished training runs, and their int8 files, as Markdown tables. Pure: documents in, text out."""

import contextlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from cifar_eval.accuracy import Accuracy
from cifar_eval.formatting import NOT_APPLICABLE, markdown_rows, percent
from cifar_eval.parity.report import PARITY_SCHEMA
from cifar_runtime.errors import InputError, json_error_reason
from cifar_train.recipe import recipe_from_json

_SCHEMA = "cifar-edge/train/1"
_HEADER = (
    "recipe",
    "seed",
    "epochs",
    "training %",
    "validation %",
    "test % (95 % interval)",
    "int8 test %",
)
_RECIPES_HEADER = (
    "recipe",
    "network",
    "epochs",
    "seeds",
    "minutes a run",
    "images/s",
    "validation %",
    "test %",
    "int8 test %",
    "command",
)
_INT8 = "int8: the .tflite file that cifar-export makes of the checkpoint (*: it misses a gate, and is not published)."
_RECIPES_CAPTION = (
    "Float32 checkpoints; validation 5,000 images (of the notebook's own recipe 10,000), test all 10,000; "
    f"{_INT8} With several seeds: mean (lowest to highest). Minutes are wall time of training, beside whatever else "
    "the machine did; images/s are the median epoch's."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """What is kept of one finished run.

    Attributes:
        card: a document of schema ``cifar-edge/train/1``.
        int8: its int8 .tflite file against its checkpoint on the test split, a document of schema
            ``cifar-edge/parity/1``; None where there is none.
    """

    card: Mapping[str, Any]
    int8: Mapping[str, Any] | None = None


def training_table(runs: Sequence[TrainingRun], *, origin: str) -> str:
    """One row per run, the mean over seeds, and what the runs were made with, with a last newline.

    Args:
        runs: of one recipe, in the rows' order.
        origin: where they came from, for error messages.

    Raises:
        InputError: there is no run, a document is of another schema or judges another checkpoint, the runs are not
            of one recipe, or a run did not read the test split.
    """
    with _readable(runs, origin):
        cards = [run.card for run in runs]
        _check_one_recipe(cards, origin)
        tests = [card_accuracy(card, "test") for card in cards]
        rows = [_row(run, test) for run, test in zip(runs, tests, strict=True)]
        caption = f"{_summary(tests, _int8_values(runs))} {_made_with(cards)}"
        return "\n".join([*markdown_rows(_HEADER, rows), "", caption]) + "\n"


def recipes_table(runs: Sequence[TrainingRun], *, origin: str) -> str:
    """One row per recipe: what its runs cost and reached, and the command of the first, with a last newline.

    Runs that did not read the test split, such as a teacher's, have no test accuracy.

    Args:
        runs: those of a recipe in the order of their seeds.
        origin: where they came from, for error messages.

    Raises:
        InputError: there is no run, a document is of another schema or judges another checkpoint, or runs of one name
            are not of one recipe.
    """
    with _readable(runs, origin):
        names = dict.fromkeys(run.card["recipe"]["name"] for run in runs)
        groups = [[run for run in runs if run.card["recipe"]["name"] == name] for name in names]
        for group in groups:
            _check_one_recipe([run.card for run in group], origin)
        rows = list(map(_recipe_row, groups))
        caption = " ".join(filter(None, [_RECIPES_CAPTION, _distilled_from(runs)]))
        return "\n".join([*markdown_rows(_RECIPES_HEADER, rows), "", caption]) + "\n"


@contextlib.contextmanager
def _readable(runs: Sequence[TrainingRun], origin: str) -> Iterator[None]:
    """Turns what is wrong with the documents into one sentence."""
    hint = "Keep runs that were made with cifar-train --final, with docs/record-run.sh."
    if not runs:
        raise InputError(f"{origin}: holds no card of a training run.", hint=hint)
    try:
        for run in runs:
            if run.card["schema"] != _SCHEMA:
                raise InputError(f"{origin}: a card is not of schema {_SCHEMA!r}.", hint=hint)
            if run.int8 is not None:
                _check_judged(run.int8, run.card, origin, hint)
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{origin}: a document cannot be used: {json_error_reason(error)}.", hint=hint
        ) from error


def _check_judged(int8: Mapping[str, Any], card: Mapping[str, Any], origin: str, hint: str) -> None:
    """That the document tells of the card's checkpoint on the whole test split."""
    if int8["schema"] != PARITY_SCHEMA:
        raise InputError(
            f"{origin}: an int8 document is not of schema {PARITY_SCHEMA!r}.", hint=hint
        )
    if int8["reference"]["sha256"] != card["model"]["sha256"]:
        raise InputError(
            f"{origin}: {card['recipe']['name']}, seed {card['recipe']['seed']}: its int8 document judges another "
            "checkpoint.",
            hint=hint,
        )
    split = int8["split"]
    if (split["name"], split["num_images"]) != ("test", card["accuracy"]["test"]["seen"]):
        raise InputError(
            f"{origin}: an int8 document tells of {split['num_images']} images of {split['name']}, expected all of "
            "test.",
            hint=hint,
        )


def _check_one_recipe(cards: Sequence[Mapping[str, Any]], origin: str) -> None:
    """That the cards differ in nothing but the seed."""
    first = recipe_from_json(cards[0]["recipe"])
    for card in cards[1:]:
        recipe = recipe_from_json(card["recipe"])
        different = [
            field.name
            for field in fields(recipe)
            if field.name != "seed" and getattr(recipe, field.name) != getattr(first, field.name)
        ]
        if different:
            raise InputError(
                f"{origin}: {recipe.name}, seeds {first.seed} and {recipe.seed}, were made with different "
                f"{', '.join(different)}.",
                hint="Keep runs of one recipe only: train the others again.",
            )


def _recipe_row(runs: Sequence[TrainingRun]) -> list[str]:
    cards = [run.card for run in runs]
    recipe = cards[0]["recipe"]
    minutes = statistics.fmean(
        sum(epoch["seconds"] for epoch in card["epochs"]) / 60 for card in cards
    )
    speed = statistics.median(
        epoch["images_per_second"] for card in cards for epoch in card["epochs"]
    )
    judged = [run for run in runs if "test" in run.card["accuracy"]]
    device = ", ".join(sorted({card["environment"]["device"] for card in cards}))
    return [
        recipe["name"],
        recipe["architecture"],
        str(len(cards[0]["epochs"])),
        str(len(cards)),
        f"{minutes:.{1 if minutes < 10 else 0}f} {device}",
        f"{speed:,.0f}",
        _mean_and_range([_validation(card).value for card in cards]),
        _mean_and_range([card_accuracy(run.card, "test").value for run in judged]),
        _int8_cell(judged),
        f"`cifar-train --recipe {recipe['name']} --seed {recipe['seed']}{' --final' if judged else ''}`",
    ]


def _distilled_from(runs: Sequence[TrainingRun]) -> str:
    """Which recipes learned from which soft labels; empty where none did."""
    recipes: dict[str, dict[str, None]] = {}
    for run in runs:
        recipe = run.card["recipe"]
        # The oldest cards say nothing of distillation.
        if (distillation := recipe.get("distillation")) is not None:
            recipes.setdefault(distillation["source_sha256"], {})[recipe["name"]] = None
    taught = [f"{', '.join(names)} of {source[:8]}" for source, names in recipes.items()]
    return (
        f"Soft labels, by the first digits of their SHA-256: {'; '.join(taught)}." if taught else ""
    )


def _mean_and_range(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "".join(map(percent, values)) or NOT_APPLICABLE
    return f"{percent(statistics.fmean(values))} ({percent(min(values))} to {percent(max(values))})"


def _row(run: TrainingRun, test: Accuracy) -> list[str]:
    card = run.card
    recipe = card["recipe"]
    low, high = test.interval
    return [
        recipe["name"],
        str(recipe["seed"]),
        f"{card['kept_epoch']} of {len(card['epochs'])}",
        percent(card["epochs"][card["kept_epoch"] - 1]["accuracy"]),
        percent(_validation(card).value),
        f"{percent(test.value)} ({percent(low)} to {percent(high)})",
        _int8_cell([run]),
    ]


def _summary(tests: Sequence[Accuracy], int8: Sequence[float]) -> str:
    """Mean and spread of the test accuracies of several seeds; how many images one was measured on."""
    images = f"Test: all {tests[0].seen:,} images; {_INT8}"
    if len(tests) == 1:
        return f"{images} One seed."
    values = [test.value for test in tests]
    quantized = f"; in int8 {_mean_from_to(int8)}" if len(int8) == len(tests) else ""
    return f"{images} Mean of {len(tests)} seeds: {_mean_from_to(values)}{quantized}."


def _mean_from_to(values: Sequence[float]) -> str:
    return f"{percent(statistics.fmean(values))} %, from {percent(min(values))} to {percent(max(values))}"


def _made_with(cards: Sequence[Mapping[str, Any]]) -> str:
    """Versions, precision and device; which seeds had which, where that differs."""
    seeds: dict[str, list[str]] = {}
    for card in cards:
        environment, recipe = card["environment"], card["recipe"]
        backend = recipe["backend"]
        made_with = (
            f"Keras {environment['keras']}, {backend} {environment[backend]}, "
            f"{environment['precision']} on {environment['device']}"
        )
        seeds.setdefault(made_with, []).append(str(recipe["seed"]))
    kinds = [
        kind if len(seeds) == 1 else f"{kind} (seed {', '.join(of_kind)})"
        for kind, of_kind in seeds.items()
    ]
    return (
        f"Training accuracy: while training, dropout and any augmentation on. {'; '.join(kinds)}."
    )


def _validation(card: Mapping[str, Any]) -> Accuracy:
    """The checkpoint's accuracy on the images that chose it, in float32; an epoch's is in the run's precision."""
    (split,) = set(card["accuracy"]) - {"test"}
    return card_accuracy(card, split)


def card_accuracy(card: Mapping[str, Any], split: str) -> Accuracy:
    """What the card of a training run, schema ``cifar-edge/train/1``, says of its checkpoint on ``split``.

    Raises:
        KeyError: the run did not read that split.
    """
    counts = card["accuracy"][split]
    return Accuracy(correct=counts["correct"], seen=counts["seen"], split=split)


def _int8_values(runs: Sequence[TrainingRun]) -> list[float]:
    """The int8 files' accuracies, 0..1, of the runs that have one."""
    candidates = [run.int8["candidates"][0] for run in runs if run.int8 is not None]
    return [candidate["accuracy"]["accuracy"] for candidate in candidates]


def _int8_cell(runs: Sequence[TrainingRun]) -> str:
    """Mean and range of the int8 files where each run has one, with an asterisk where one misses a gate."""
    documents = [run.int8 for run in runs if run.int8 is not None]
    if len(documents) < len(runs):
        return NOT_APPLICABLE
    mark = "" if all(document["passed"] for document in documents) else "*"
    return _mean_and_range(_int8_values(runs)) + mark
