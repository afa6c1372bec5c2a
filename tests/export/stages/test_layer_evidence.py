"""A failed gate names the worst layers, whatever goes wrong while they are measured, and leaves no float model."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from cifar_fixtures.recipes import export_recipe
from PIL import Image

from cifar_data import packaged
from cifar_data.choose import stratified_positions
from cifar_eval.layers.explanation import Explanation
from cifar_eval.layers.layer_errors import LayerError, LayerErrors, layer_errors
from cifar_eval.layers.litert_layers import LiteRTTrace
from cifar_eval.layers.onnx_layers import OnnxTrace
from cifar_export import pipeline
from cifar_export.pipeline import export
from cifar_export.recipe import ExportRecipe
from cifar_export.result import ExportGateError
from cifar_export.stages import layer_evidence
from cifar_runtime.artefact import open_artefact
from cifar_runtime.documents import to_document

TRACES = {"tflite": LiteRTTrace, "onnx": OnnxTrace}


@pytest.fixture
def black(tmp_path: Path) -> Path:
    """A calibration folder that shows nothing: one black picture."""
    folder = tmp_path / "black"
    folder.mkdir()
    Image.new("RGB", (32, 32), (0, 0, 0)).save(folder / "black.png")
    return folder


def strict(checkpoint: Path, folder: Path, **parts: Any) -> ExportRecipe:
    """An export whose int8 must fail."""
    return export_recipe(
        checkpoint=checkpoint,
        output=folder / "out",
        quantize=("int8",),
        calibration_data=folder / "black",
        eval_split="test-sample",
        max_accuracy_drop=0.0,
        min_agreement=1.0,
        **parts,
    )


def failed(recipe: ExportRecipe, name: str) -> tuple[ExportGateError, dict[str, Any]]:
    with pytest.raises(ExportGateError) as caught:
        export(recipe)
    document = recipe.publish.output / f"{name}.failed.parity.json"
    return caught.value, json.loads(document.read_text())


@pytest.mark.usefixtures("black")
def test_the_layers_are_those_that_a_comparison_with_the_float_export_finds(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Independently: the float files exported by themselves, and the int8 ones published without limits."""
    recipe = strict(checkpoint, tmp_path, formats=("tflite", "onnx"), onnx_activations="int8")
    folding = Mock(wraps=pipeline.float_model)
    monkeypatch.setattr(pipeline, "float_model", folding)
    with pytest.raises(ExportGateError) as caught:
        export(recipe)
    assert folding.call_count == 1
    assert sorted(path.name for path in recipe.publish.output.iterdir()) == [
        "small-int8.onnx.failed.parity.json",
        "small-int8.tflite.failed.parity.json",
    ]
    lenient = export_recipe(
        checkpoint=checkpoint,
        output=tmp_path / "all",
        formats=("tflite", "onnx"),
        quantize=("none", "int8"),
        calibration_data=tmp_path / "black",
        eval_split="test-sample",
        max_accuracy_drop=1.0,
        min_agreement=0.0,
        onnx_activations="int8",
        verbose=True,
    )
    said: list[str] = []
    published = {result.path.name: result.path for result in export(lenient, progress=said.append)}
    sample = packaged.test_sample()
    images = sample.images[stratified_positions(sample.labels, 32)]
    for failure in caught.value.failures:
        suffix = failure.name.rpartition(".")[2]
        expected = layer_errors(
            TRACES[suffix](open_artefact(published[f"small-float32.{suffix}"])),
            TRACES[suffix](open_artefact(published[f"small-int8.{suffix}"])),
            images,
            reference_name="small-float32",
        )
        assert failure.layers is not None
        assert failure.layers.errors is not None
        found = failure.layers.errors.layers
        assert [replace(one, name="") for one in found] == [
            replace(one, name="") for one in expected.layers
        ]
        # They have the names of Keras' layers, also where the file numbers its tensors.
        assert not any(one.name.startswith("value_") for one in found)
        assert expected.layers[0].sqnr_db is not None
        assert expected.layers[0].sqnr_db < 20  # so bad is a range of black
        written = json.loads(
            (recipe.publish.output / f"{failure.name}.failed.parity.json").read_text()
        )
        assert written["layers"] == json.loads(json.dumps(to_document(failure.layers)))
        worst = found[0]
        named = (
            f"Worst layers of {failure.name}: #{worst.position} {worst.operator} {worst.title} "
            f"{worst.sqnr_db:.1f} dB, #"
        )
        assert named in str(caught.value)
        assert any(sentence.startswith(named) for sentence in said)


@pytest.mark.usefixtures("black")
@pytest.mark.parametrize(
    ("error", "reason"),
    [(KeyError("x"), "unexpected KeyError: 'x'."), (MemoryError(), "unexpected MemoryError: .")],
)
def test_a_failure_to_measure_layers_does_not_hide_the_gates(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    def fail(*_arguments: Any, **_more: Any) -> None:
        raise error

    monkeypatch.setattr(layer_evidence, "explain", fail)
    caught, document = failed(strict(checkpoint, tmp_path), "small-int8.tflite")
    assert f"No error by layer of small-int8.tflite: {reason} Ranges come" in str(caught)
    assert document["layers"] == {"errors": None, "reason": reason}
    assert document["provenance"]["parity"]["agreement"] < 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == [
        "small-int8.tflite.failed.parity.json"
    ]


@pytest.mark.usefixtures("black")
def test_an_artefact_that_its_interpreter_refuses_after_bad_calibration_fails_its_gate(
    save: Callable[[Any, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edge filters see nothing in a plain picture: XNNPACK refuses the ratio of their scale to the output's.

    The structure is not blamed for what the images did.
    """
    monkeypatch.setattr(pipeline, "cause", lambda *_: "The structure did it.")
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, activation="relu", name="edges"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    kernel = np.zeros((3, 3, 3, 4), np.float32)
    kernel[1, 0], kernel[1, 2] = 100.0, -100.0
    model.get_layer("edges").set_weights([kernel, np.full(4, 0.01, np.float32)])
    path = tmp_path / "edges.keras"
    save(model, path)
    caught, document = failed(strict(path, tmp_path), "edges-int8.tflite")
    assert str(caught).startswith("edges-int8.tflite: LiteRT cannot open it: failed to create XNN")
    assert "; not published. Worst layers of edges-int8.tflite: #" in str(caught)
    assert "which look unlike those of test-sample" in str(caught)
    assert document["refusal"].startswith("edges-int8.tflite: LiteRT cannot open it: ")
    assert (document["golden_vectors"], document["provenance"]["parity"]) == (None, None)
    (failure,) = caught.failures
    assert failure.cause == "The structure did it."
    assert failure.cause not in str(caught)
    assert (failure.reason, failure.num_images, failure.gates) == ("does not run", 0, ())
    assert str(tmp_path / "out") not in failure.sentence


def test_an_onnx_file_that_misses_its_gate_says_where_and_why(
    save: Callable[[Any, Path], None], tmp_path: Path
) -> None:
    """One channel has a thousand times the range of the others, and a sum behind it hides that from its own noise."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    parts = [
        keras.Input((32, 32, 3)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(6, 3, name="first"),
        layers.ReLU(name="act"),
        layers.BatchNormalization(name="norm"),
        layers.Conv2D(6, 3, padding="same", name="second"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax", name="head"),
    ]
    model = keras.Sequential(parts, name="uneven")
    gamma = np.array([1000, 1, 1, 1, 1, 1], np.float32)
    model.get_layer("norm").set_weights(
        [gamma, 0.3 * gamma, np.zeros(6, np.float32), np.ones(6, np.float32)]
    )
    for name, factor in (("second", 1 / gamma[:, None]), ("head", np.float32(40))):
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel * factor, bias])
    save(model, tmp_path / "uneven.keras")
    recipe = export_recipe(
        checkpoint=tmp_path / "uneven.keras",
        output=tmp_path / "out",
        formats=("onnx",),
        quantize=("int8",),
        calibration_samples=64,
        eval_split="test-sample",
    )
    caught, document = failed(recipe, "uneven-int8.onnx")
    # In the layer itself, or in the next one, which needs the channels that the first has lost.
    assert re.search(
        r"The error starts at #(1 Conv uneven_1/act_1/Relu|3 Conv uneven_1/second_1/\w+): .* before it\. "
        r"(It takes what first gives\. )?norm follows its activation in the checkpoint: those scales were folded back "
        r"into it, and its channels' ranges could not be evened out\. ",
        str(caught),
    )
    assert "Next: cifar-export" in str(caught)
    named = {one["position"]: one["name"] for one in document["layers"]["errors"]["layers"]}
    assert named[1] == "uneven_1/act_1/Relu;uneven_1/first_1/BiasAdd"
    assert named[3].startswith("uneven_1/second_1/")
    assert named[6] == "uneven_1/head_1/Softmax"


@pytest.mark.parametrize(
    ("decibels", "starts"),
    [
        ((41.0, 38.0, 12.0, 9.0), "#3 CONV net/c3: 12.0 dB, 38.0 dB at worst before it"),
        ((9.0, 8.0), "#1 CONV net/c1: 9.0 dB, nothing lost before it"),
        ((None, 40.0, 45.0, 5.0), "#4 CONV net/c4: 5.0 dB, 40.0 dB at worst before it"),
    ],
)
def test_the_sentence_says_where_the_error_starts(
    decibels: tuple[float | None, ...], starts: str
) -> None:
    """Not where it is worst: a layer passes on what it was given."""
    layers = [
        LayerError(
            position=number,
            name=f"net/c{number}",
            operator="CONV",
            sqnr_db=sqnr_db,
            max_error=1.0,
            rescaled=False,
        )
        for number, sqnr_db in enumerate(decibels, start=1)
    ]
    errors = LayerErrors(
        reference="net-float32",
        matched_by="name",
        num_images=8,
        unmatched=0,
        layers=tuple(reversed(layers)),
    )
    found = Explanation(errors=errors, reason=None, next_commands=())
    sentence = layer_evidence.layers_sentence("net-int8.tflite", found)
    assert sentence.endswith(f"(SQNR against net-float32). The error starts at {starts}.")
