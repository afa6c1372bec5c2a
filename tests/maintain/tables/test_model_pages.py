"""A model's page follows from its training card."""

import json
from pathlib import Path

import pytest

from cifar_maintain.tables.model_pages import checkpoint_page, model_pages
from cifar_runtime.errors import InputError

MODELS = Path(__file__).parents[3] / "models"


def with_card(folder: Path, **changes: object) -> Path:
    card = json.loads((MODELS / "notebook.json").read_text()) | changes
    (folder / "own.json").write_text(json.dumps(card))
    return folder / "own.keras"


def test_the_page_says_what_the_card_counts(tmp_path: Path) -> None:
    counts = {"validation": {"correct": 3, "seen": 4}, "test": {"correct": 1, "seen": 8}}
    page = checkpoint_page(with_card(tmp_path, accuracy=counts))
    assert "| validation | 75.00 | 3 / 4 |" in page
    assert "| test | 12.50 | 1 / 8 |" in page
    assert "value: 0.125" in page
    assert 'license: "apache-2.0"' in page


def test_the_page_names_the_processor_where_the_card_does(tmp_path: Path) -> None:
    assert "float32 on cpu, Keras" in checkpoint_page(with_card(tmp_path))
    named = json.loads((MODELS / "notebook.json").read_text())["environment"]
    named |= {"cpu_model": "Board 3", "isa_flags": "asimd i8mm", "cores": "1"}
    page = checkpoint_page(with_card(tmp_path, environment=named))
    assert "float32 on cpu, 1 core of Board 3 (asimd i8mm), Keras" in page


def test_a_licence_that_nobody_stated_is_not_named(tmp_path: Path) -> None:
    assert "license" not in checkpoint_page(with_card(tmp_path, licence=None))


def test_every_shipped_model_has_a_page(tmp_path: Path) -> None:
    pages = model_pages(MODELS, tmp_path)
    expected = {"edge-xs", "edge-s", "edge-m", "notebook", "resnet8", "seed-cnn"}
    assert {path.stem for path in pages} == expected


def test_a_card_without_a_test_accuracy_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"own\.json: is no training card: the field test is missing"
    ):
        checkpoint_page(with_card(tmp_path, accuracy={}))
