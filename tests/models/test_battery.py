"""The quick half of the battery: kinds trained here and exported by the documented flags; ``make battery`` runs all.

One process does it all, with Keras' counters set back, as in processes of their own; test_fresh_process.py has those.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_export.commands.export import main
from models.judge import decided, scores_of_artefact
from models.kinds import KINDS
from models.pictures import pictures, write_pictures
from models.train import model_inputs, trained

ENDINGS = ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx")
QUICK = [name for name, kind in KINDS.items() if kind.is_quick]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("battery")


@pytest.mark.parametrize("name", QUICK)
def test_a_kind_is_exported_four_ways_and_decides_as_keras_does(name: str, folder: Path) -> None:
    import keras

    kind = KINDS[name]
    keras.backend.clear_session()
    model, path = trained(kind), folder / "net.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    _, (images, labels) = pictures(kind.size, num_classes=kind.num_classes)
    keras_scores = np.asarray(model.predict(model_inputs(kind, images), verbose=0), np.float64)
    expected = decided(keras_scores)
    assert (expected == labels).mean() > 0.85  # the comparison is about something

    shown = folder / f"pictures-{kind.size}-{kind.num_classes}"
    if not shown.exists():
        write_pictures(shown, kind.size, num_classes=kind.num_classes)
    keras.backend.clear_session()
    asked: list[Any] = [path, "--eval-data", shown, *kind.options, "-o", folder / "out", "--force"]
    flags = ["--format", "tflite,onnx", "--quantize", "none,int8", "--json", folder / "it.json"]
    code = main([*map(str, asked), *map(str, flags), "-q"])
    assert code == 0, json.loads((folder / "it.json").read_text())["error"]
    for ending in ENDINGS:
        found = decided(scores_of_artefact(folder / "out" / f"net-{ending}", images))
        least = 0.97 if "int8" in ending else 0.999
        assert (found == expected).mean() >= least, ending
