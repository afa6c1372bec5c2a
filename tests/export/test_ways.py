"""Where int8 misses its gate as it was prepared: it is tried without that, and the best try counts."""

import json
from pathlib import Path
from typing import Any

import pytest
from cifar_fixtures.recipes import export_recipe

from cifar_export.int8 import prepare
from cifar_export.int8.bias_correction import correct_biases
from cifar_export.pipeline import export
from cifar_export.result import ExportGateError
from cifar_runtime.artefact import card_path

ROOT = Path(__file__).parents[2]


def misled(*arguments: Any, **options: Any) -> Any:
    """Biases that have the last layer always say the first label."""
    result = correct_biases(*arguments, **options)
    last = [layer for layer in result.model.layers if getattr(layer, "use_bias", False)][-1]
    bias = last.bias.numpy()
    bias[0] += 1000
    last.bias.assign(bias)
    return result


def test_a_model_that_its_preparation_harms_is_published_without_it(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "correct_biases", misled)
    said: list[str] = []
    recipe = export_recipe(
        checkpoint=checkpoint,
        output=tmp_path,
        formats=("tflite", "onnx"),
        quantize=("int8",),
        calibration_samples=128,
        eval_split="test-sample",
        max_accuracy_drop=0.03,
        min_agreement=0.9,
    )
    results = export(recipe, progress=said.append)
    for result in results:
        assert (
            f"{result.path.suffix[1:]} int8 misses its gate as it was prepared, trying it without that"
            in said
        )
        card = json.loads(card_path(result.path).read_text())
        assert card["provenance"]["preparation_for_int8"] is None


def test_the_best_try_is_described_where_none_passes(tmp_path: Path) -> None:
    """The notebook's int8 file guesses without preparation, which is tried last."""
    recipe = export_recipe(
        checkpoint=ROOT / "models" / "notebook.keras",
        output=tmp_path,
        quantize=("int8",),
        calibration_samples=64,
        eval_split="test-sample",
        min_accuracy=1.0,
    )
    with pytest.raises(ExportGateError):
        export(recipe)
    failure = json.loads((tmp_path / "notebook-int8.tflite.failed.parity.json").read_text())
    assert failure["provenance"]["preparation_for_int8"]["corrected_biases"]
    assert failure["provenance"]["parity"]["agreement"] > 0.9
