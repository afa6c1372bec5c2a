"""How --split and --limit choose images."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from cifar_data.cifar10.splits import LABELS
from cifar_data.load import OPENERS, load_split
from cifar_data.split_names import BenchSplit
from cifar_eval.formatting import training_notes
from cifar_runtime.errors import InputError, UsageError


def test_every_name_has_an_opener() -> None:
    assert set(OPENERS) == set(get_args(BenchSplit))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(
        UsageError,
        match=r"^split 'tset' is not one of test-sample, test, .* \(did you mean test\?\)",
    ):
        load_split("tset")  # type: ignore[arg-type]


def test_the_sample_ships_with_a_hundred_images_a_class() -> None:
    split = load_split("test-sample")
    assert (split.name, split.images.shape) == ("test-sample", (1000, 32, 32, 3))
    assert split.label_names == LABELS
    assert np.bincount(split.labels).tolist() == [100] * 10


def test_a_limit_takes_equal_shares_of_the_classes_and_shows_in_the_name() -> None:
    split = load_split("test-sample", limit=50)
    assert split.name == "test-sample[:50]"
    assert np.bincount(split.labels).tolist() == [5] * 10


def test_a_limit_beyond_the_split_changes_nothing() -> None:
    assert load_split("test-sample", limit=5000).name == "test-sample"


@pytest.mark.full_data
@pytest.mark.parametrize(("name", "images"), [("train", 45_000), ("official-train", 50_000)])
def test_what_models_are_trained_on_can_be_scored_as_well(name: str, images: int) -> None:
    assert len(load_split(name).labels) == images  # type: ignore[arg-type]
    limited = load_split(name, limit=200)  # type: ignore[arg-type]
    assert training_notes(limited.name) == (
        f"Split {name} is what models are trained on: accuracy on new images is mostly lower.",
    )


@pytest.mark.parametrize("name", ["test", "test-sample[:9]", "validation", "training-photos"])
def test_new_images_need_no_note(name: str) -> None:
    assert training_notes(name) == ()


@pytest.mark.parametrize("name", ["test", "validation", "train", "official-train"])
def test_a_split_that_was_not_fetched_is_an_input_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="cifar-data fetch"):
        load_split(name)  # type: ignore[arg-type]
