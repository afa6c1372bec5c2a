"""The documents in the repository fit their schemas; those that tests make are checked where they are made."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cifar_data import packaged

ROOT = Path(__file__).parents[2]
RUNS = sorted((ROOT / "docs" / "runs").glob("*/card.json"))
CARDS = [packaged.checkpoint().with_suffix(".json"), ROOT / "models" / "notebook.json", *RUNS]
EVALUATIONS = sorted((ROOT / "docs" / "runs").glob("*/evaluation-*.json"))
SAMPLES = Path(packaged.__file__).parent / "samples" / "samples.json"
Follows = Callable[[str, object], bool]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *(("train", path) for path in CARDS),
        *(("evaluation", path) for path in EVALUATIONS),
        ("samples", SAMPLES),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.parent.name}-{value.name}",
)
def test_documents_in_the_repository_follow_their_schema(
    follows: Follows, name: str, path: Path
) -> None:
    assert follows(name, json.loads(path.read_text()))


@pytest.mark.parametrize(
    ("name", "path", "place", "key", "value"),
    [
        ("train", CARDS[0], (), "surprise", 1),
        ("train", CARDS[0], (), "schema", "cifar-edge/train/2"),
        ("train", CARDS[0], ("model",), "file", "runs/model.keras"),
        ("train", CARDS[0], ("recipe",), "epochs", 0),
        ("train", CARDS[0], ("epochs", 0), "accuracy", 27.5),
        ("train", CARDS[0], ("accuracy", "test"), "seen", 0),
        ("evaluation", EVALUATIONS[0], (), "accuracy", 81.1),
        ("evaluation", EVALUATIONS[0], ("confusion_matrix", 0), 0, -1),
        ("evaluation", EVALUATIONS[0], ("classification_report", "cat"), "recall", 2),
        ("samples", SAMPLES, ("splits", "test-sample"), "official_part", "validation"),
        ("samples", SAMPLES, ("files",), "images/cat.png", "short"),
    ],
)
def test_other_documents_do_not(
    follows: Follows, name: str, path: Path, place: tuple[Any, ...], key: Any, value: Any
) -> None:
    document = copy.deepcopy(json.loads(path.read_text()))
    part: Any = document
    for step in place:
        part = part[step]
    part[key] = value
    assert not follows(name, document)
