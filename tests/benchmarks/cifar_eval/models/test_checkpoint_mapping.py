"""A checkpoint takes what the card of its export says, in cifar-parity and cifar-bench alike."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import export_recipe

from cifar_bench.measure.jobs import jobs_from_sources, open_sources
from cifar_bench.recipe import BenchRecipe
from cifar_eval.commands.parity import main
from cifar_eval.models.checkpoint_mapping import checkpoint_mapping
from cifar_eval.models.input_mapping import INPUT_MAPPINGS, RAW_PIXELS, mapping_from_json
from cifar_export.pipeline import export
from cifar_runtime.artefact import open_artefact
from cifar_runtime.errors import ArtefactError, UsageError

Save = Callable[[Any, Path], None]


@pytest.fixture(scope="module")
def folder(save: Save, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 0..1 whose scores depend on that, and its float32 export."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    folder = tmp_path_factory.mktemp("unit")
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(8, 5, strides=4, activation="tanh"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    save(model, folder / "net.keras")
    export(
        export_recipe(
            checkpoint=folder / "net.keras",
            output=folder,
            input_range="0..1",
            eval_split="test-sample",
        )
    )
    return folder


@pytest.mark.parametrize("mapping", INPUT_MAPPINGS.values(), ids=INPUT_MAPPINGS)
def test_a_mapping_is_written_and_read(mapping: Any) -> None:
    assert mapping_from_json(json.loads(json.dumps(mapping.to_json()))) == mapping


def test_another_form_of_mapping_is_refused() -> None:
    with pytest.raises(ArtefactError, match="Export the model again"):
        mapping_from_json({"multiplier": 1, "offset": [1, 2], "colour_order": "RGB"})


def test_parity_feeds_the_checkpoint_what_its_card_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = [str(folder / "net.keras"), str(folder / "net-float32.tflite")]
    assert main([*pair, "--split", "test-sample", "--limit", "100", "--json", "-", "-q"]) == 0
    (candidate,) = json.loads(capsys.readouterr().out)["candidates"]
    assert candidate["parity"]["agreement"] == 1.0


def test_bench_feeds_it_so_too(folder: Path, tmp_path: Path) -> None:
    recipe = BenchRecipe(
        models=(folder / "net-float32.tflite",), against=(folder / "net.keras",), limit=20
    )
    jobs = jobs_from_sources(open_sources(recipe), recipe, folder=tmp_path)
    found = {job.path.suffix: job.mapping for job in jobs}
    assert found == {".keras": INPUT_MAPPINGS["0..1"], ".tflite": RAW_PIXELS}


def test_the_card_of_another_checkpoint_and_cards_of_before_are_heeded(folder: Path) -> None:
    artefact = open_artefact(folder / "net-float32.tflite")
    card = json.loads(json.dumps(artefact.card))
    found = []
    for name in ("this", "before", "other"):
        if name == "before":
            del card["provenance"]["checkpoint"]["input_mapping"]
        if name == "other":
            card["provenance"]["checkpoint"]["sha256"] = "0" * 64
        changed = replace(artefact, card=json.loads(json.dumps(card)))
        found.append(checkpoint_mapping(folder / "net.keras", [changed]))
    unit = INPUT_MAPPINGS["0..1"]
    np.testing.assert_equal(found, [unit, unit, RAW_PIXELS])


@pytest.mark.parametrize("contract", ["", "cifar10-unit"])
def test_a_contract_that_no_model_needs_is_refused(contract: str, folder: Path) -> None:
    recipe = BenchRecipe(
        models=(folder / "net-float32.tflite",),
        against=(folder / "net.keras",),
        contract=contract,
        limit=20,
    )
    with pytest.raises(UsageError) as caught:
        open_sources(recipe)
    assert str(caught.value).endswith("Leave --contract out.")
