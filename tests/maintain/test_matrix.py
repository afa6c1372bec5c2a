"""Every pair of format and precision, from one checkpoint, in one export; and the same bytes a second time."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cifar_fixtures.recipes import changed, export_recipe

from cifar_data import packaged
from cifar_export.advice import arguments
from cifar_export.pipeline import export
from cifar_export.recipe import RUNNABLE, ExportRecipe
from cifar_export.reproduce import check_reproducible
from cifar_export.result import ExportResult
from cifar_runtime import Classifier
from cifar_runtime.artefact import card_path, open_artefact
from cifar_runtime.errors import GateError
from cifar_runtime.formats.embedded_card import embedded_document

# What no small classifier of one second's training may miss: its decisions are closer than a real one's.
LENIENT = {"max_accuracy_drop": 0.03, "min_agreement": 0.9}


@pytest.fixture(scope="module")
def recipe(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportRecipe:
    return export_recipe(
        checkpoint=checkpoint,
        output=tmp_path_factory.mktemp("matrix"),
        formats=("tflite", "onnx"),
        quantize=RUNNABLE["onnx"],
        calibration_samples=128,
        eval_split="test-sample",
        **LENIENT,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def results(recipe: ExportRecipe) -> dict[str, ExportResult]:
    wide = changed(recipe, formats=("tflite",), quantize=("int16x8",))
    return {result.path.name: result for result in (*export(recipe), *export(wide))}


def test_all_of_them_are_published(results: dict[str, ExportResult]) -> None:
    words = {"none": "float32"}
    assert sorted(results) == sorted(
        f"small-{words.get(precision, precision)}.{fmt}"
        for fmt, all_ in RUNNABLE.items()
        for precision in all_
    )


@pytest.mark.parametrize(
    ("name", "least"), [("fp16", 0.995), ("dynamic", 0.9), ("int16x8", 0.97), ("float32", 0.999)]
)
def test_they_decide_like_keras(name: str, least: float, results: dict[str, ExportResult]) -> None:
    chosen = [result for file, result in results.items() if file.startswith(f"small-{name}.")]
    assert chosen
    for result in chosen:
        assert result.agreement >= least


def test_sizes_follow_the_precision(results: dict[str, ExportResult]) -> None:
    for fmt in ("tflite", "onnx"):
        size = {
            name: bare_size(results[f"small-{name}.{fmt}"].path)
            for name in ("float32", "fp16", "int8")
        }
        assert size["fp16"] < 0.7 * size["float32"]
        assert size["int8"] < 0.7 * size["float32"]


def bare_size(path: Path) -> int:
    """Bytes without the document inside, which is as large for every precision."""
    document = embedded_document(path.read_bytes(), "onnx" if path.suffix == ".onnx" else "tflite")
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return path.stat().st_size - len(text.encode())


@pytest.mark.parametrize("name", ["fp16", "dynamic", "int8-float-io", "int16x8"])
def test_contracts_of_float_ends_take_raw_pixels(
    name: str, results: dict[str, ExportResult]
) -> None:
    for file, result in results.items():
        if file.startswith(f"small-{name}."):
            contract = open_artefact(result.path).contract
            assert (contract.input.dtype, contract.output.dtype) == ("float32", "float32")
            assert (contract.input.multiplier, contract.input.offset) == (1.0, 0.0)


@pytest.mark.parametrize(("fmt", "steps"), [("tflite", 0), ("onnx", 1)])
def test_float_ends_change_nothing_between_them(
    fmt: str, steps: int, results: dict[str, ExportResult]
) -> None:
    """But for one step of the scores, where onnxruntime fuses the last softmax of one file only."""
    images = packaged.test_sample().images[:100]
    integer, floats = (
        Classifier(results[f"small-{name}.{fmt}"].path).scores(images)
        for name in ("int8", "int8-float-io")
    )
    np.testing.assert_allclose(integer, floats, rtol=0, atol=steps / 255 + 1e-6)


def test_what_to_know_before_using_it_is_said(results: dict[str, ExportResult]) -> None:
    assert results["small-int16x8.tflite"].remarks == (
        "no XNNPACK kernels for int16x8: many times slower than int8 on x86",
    )
    assert results["small-int8.tflite"].remarks == ()


def test_a_second_process_with_another_hash_seed_gives_the_same_bytes(
    recipe: ExportRecipe, results: dict[str, ExportResult], tmp_path: Path
) -> None:
    """Both in fresh processes: Keras' last digits, which the files record, differ in one that has trained before."""
    again = changed(recipe, output=tmp_path)
    command = Path(sys.executable).with_name("cifar-export")
    done = subprocess.run(
        [command, *arguments(again), "--check-reproducible"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    published = [file for file in results if "int16x8" not in file]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {*published, *(f"{name}.json" for name in published)}


def test_other_bytes_the_second_time_are_exit_code_5(
    results: dict[str, ExportResult], recipe: ExportRecipe, tmp_path: Path
) -> None:
    original = results["small-float32.tflite"]
    copy = tmp_path / original.path.name
    copy.write_bytes(original.path.read_bytes() + b"\0")
    small = changed(recipe, formats=("tflite",), quantize=("none",), output=tmp_path)
    with pytest.raises(GateError) as caught:
        check_reproducible(small, (replace(original, path=copy),))
    assert str(caught.value).startswith(
        "small-float32.tflite: a second export in another process gave other bytes, expected the same."
    )


@pytest.mark.parametrize(("kind", "least", "most"), [("logits", -1e9, 1e9), (None, 0.0, 1.0)])
def test_the_kind_of_scores_is_a_choice_that_the_contract_records(
    kind: str | None, least: float, most: float, recipe: ExportRecipe, tmp_path: Path
) -> None:
    chosen = changed(recipe, quantize=("int8",), output_kind=kind, output=tmp_path)  # type: ignore[arg-type]
    sample = packaged.test_sample().images[:50]
    for result in export(chosen):
        assert open_artefact(result.path).contract.output.kind == (kind or "probabilities")
        recorded = json.loads(card_path(result.path).read_text())["provenance"]["recipe"]
        assert recorded["output_kind"] == kind
        scores = Classifier(result.path).scores(sample)
        assert least <= scores.min() < scores.max() <= most
        assert (scores.max() > 1.5) == (kind == "logits")
