"""Foreign models are compared layer by layer in a process of their own, with the errors that this process finds."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cifar_data import packaged
from cifar_eval.layers.comparison import compare_layers
from cifar_eval.layers.explanation import explain
from cifar_eval.layers.layer_errors import LayerErrors
from cifar_runtime.artefact import open_artefact

CONTRACT = "cifar10-raw255"


def without_cards(exports: Path, folder: Path) -> tuple[Path, Path]:
    """The int8 and the float32 .tflite as files from elsewhere."""
    names = ("net-int8.tflite", "net-float32.tflite")
    for name in names:
        (folder / name).write_bytes((exports / name).read_bytes())
    return folder / names[0], folder / names[1]


def test_a_process_of_its_own_finds_the_same_errors(exports: Path, tmp_path: Path) -> None:
    images = packaged.test_sample().images[:2]
    int8, float32 = without_cards(exports, tmp_path)
    own = open_artefact(exports / int8.name)
    expected = compare_layers(own, {exports / float32.name: "net-float32"}, images, contract=None)
    foreign = replace(own, path=int8)
    found = compare_layers(foreign, {float32: "net-float32"}, images, contract=CONTRACT)
    assert isinstance(found, LayerErrors)
    assert found == expected
    alone = compare_layers(foreign, {int8: "net-int8"}, images, contract=CONTRACT)
    assert alone == (
        "that takes the float32 .tflite of the same export: give it as REFERENCE or as another CANDIDATE."
    )


def test_a_model_that_kills_that_process_costs_the_explanation_alone(
    exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the interpreter itself is the hostile part."""
    int8, float32 = without_cards(exports, tmp_path)
    fake = tmp_path / "fake-python"
    fake.write_text("#!/bin/sh\ncat > /dev/null\nkill -ABRT $$\n")
    fake.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(fake))
    sample = packaged.test_sample()
    found = explain(
        int8,
        [float32, int8],
        images=sample.images,
        labels=sample.labels.astype(np.int64),
        contract=CONTRACT,
    )
    assert found.errors is None
    assert found.reason == (
        f"{int8}: comparing its layers, in a process of its own, crashed with SIGABRT. "
        "Do not use this file, or convert the model again from its source."
    )
