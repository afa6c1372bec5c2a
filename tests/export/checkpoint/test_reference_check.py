"""A checkpoint that is fed wrongly is found out before anything is exported."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import export_recipe
from numpy.typing import NDArray

from cifar_data.cifar10.splits import LABELS
from cifar_data.split import Split
from cifar_eval.parity.limits import Limits
from cifar_export.checkpoint.open import Checkpoint
from cifar_export.checkpoint.reference_check import chance_p, check_reference, stated_accuracy
from cifar_runtime.errors import ArtefactError

CARD = {
    "accuracy": {
        "validation": {"correct": 4072, "seen": 5000},
        "test": {"correct": 8108, "seen": 10_000},
    }
}


def checked(correct: int, seen: int, card: dict[str, Any] | None, **options: Any) -> list[str]:
    """What is said of a checkpoint of ten classes that decides so many images rightly."""
    labels = np.arange(seen, dtype=np.uint8) % 10
    answers = np.where(np.arange(seen) < correct, labels, (labels + 1) % 10)
    scores: NDArray[np.float32] = np.eye(10, dtype=np.float32)[answers]
    said: list[str] = []
    check_reference(
        export_recipe(checkpoint=Path("net.keras"), output=Path("out"), **options),
        Checkpoint(
            path=Path("net.keras"),
            model=None,
            sha256="00",
            image_shape=(32, 32, 3),
            num_classes=10,
            training_card=card,
        ),
        scores,
        Split(
            name="test-sample",
            images=np.zeros((seen, 32, 32, 3), np.uint8),
            labels=labels,
            label_names=LABELS,
            ids=np.arange(seen),
        ),
        progress=said.append,
    )
    return said


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"input_range": "0..1"}, "--input-range"),
        ({"contract": "cifar10-unit"}, "--contract cifar10-unit"),
    ],
)
def test_ten_points_below_the_training_card_is_refused(options: dict[str, Any], flag: str) -> None:
    with pytest.raises(ArtefactError) as caught:
        checked(100, 1000, CARD, **options)
    assert caught.value.exit_code == 4
    assert str(caught.value) == (
        "net.keras: has a top-1 accuracy of 10.00% on 1,000 images of test-sample, expected about 81.08%, which "
        "its training card states of test: it is fed wrongly, or is not the model of that card. "
        f"Check {flag}, and leave it out for a model of raw pixels 0..255."
    )


def test_few_images_are_judged_exactly() -> None:
    """Of 15 images a model of 81.08 % decides 7 or fewer rightly once in 300 draws, 8 or fewer once in 70."""

    def probability(at_most: int) -> float:
        counts = range(at_most + 1)
        return sum(
            math.comb(15, count) * 0.8108**count * 0.1892 ** (15 - count) for count in counts
        )

    assert probability(7) < 0.01 < probability(8)
    with pytest.raises(ArtefactError):
        checked(7, 15, CARD)
    (said,) = checked(8, 15, CARD)
    assert said.startswith("warning: 15 images of test-sample cannot prove")


def test_less_than_ten_points_or_other_images_are_no_evidence() -> None:
    assert checked(711, 1000, CARD) == []
    with pytest.raises(ArtefactError):
        checked(710, 1000, CARD)
    assert checked(500, 1000, CARD, eval_data=Path("pets"), labels=Path("labels.txt")) == []


@pytest.mark.parametrize("card", [None, {"schema": "some/card"}, {"accuracy": {"test": [1, 2]}}])
def test_without_a_card_chance_is_what_it_is_compared_with(card: dict[str, Any] | None) -> None:
    assert checked(100, 1000, card) == [
        "warning: net.keras decides 100 of 1,000 images of test-sample rightly, no better than chance; if it was "
        "trained, check --input-range"
    ]
    assert checked(200, 1000, card) == []
    unproven, chance = checked(3, 30, card)
    assert unproven.startswith(
        "warning: 30 images of test-sample cannot prove a drop of 0.5 points or less"
    )
    assert chance.startswith(
        "warning: net.keras decides 3 of 30 images of test-sample rightly, no better than"
    )
    assert (
        len(checked(9, 30, card)) == 1
    )  # by chance 0.002 of all draws of 30 have that many or more


def test_the_tail_is_that_of_exact_integers() -> None:
    for correct in (0, 40, 50, 66, 500):
        exact = sum(math.comb(500, count) * 9 ** (500 - count) for count in range(correct, 501))
        assert chance_p(correct, 500, 10) == pytest.approx(exact / 10**500, rel=1e-9)


def test_the_test_accuracy_of_a_card_comes_before_the_validation_accuracy() -> None:
    assert stated_accuracy(CARD) == ("test", 0.8108)
    only = {"accuracy": {"test": None, "validation": {"correct": 4072, "seen": 5000}}}
    assert stated_accuracy(only) == ("validation", 0.8144)
    assert stated_accuracy({"accuracy": {"test": {"correct": 1, "seen": 0}}}) is None


def test_a_floor_under_the_accuracy_is_a_gate() -> None:
    recipe = export_recipe(checkpoint=Path("net.keras"), output=Path("out"), min_accuracy=0.65)
    assert recipe.gate.limits("int8") == Limits(min_accuracy=0.65)
    assert recipe.to_json()["min_accuracy"] == 0.65
