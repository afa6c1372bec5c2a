"""Quantization-aware training by tensorflow-model-optimization, in a child process.

That package refuses Keras 3 models, and its import sets TF_USE_LEGACY_KERAS for the whole process. So this side
describes the folded model as data, and a child (:mod:`cifar_export.qat.tfmot_child`) builds it in tf_keras, trains it
and sends the weights back. No Keras file changes hands: tf_keras runs code that an .h5 holds.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.checkpoint.io_layers import adapted
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.simulation import observed_ranges
from cifar_export.keras_graph.trace import functional_from, replay, trace
from cifar_export.qat.scaled_adam import linear_units
from cifar_export.qat.task import QatTask
from cifar_export.recipe import QatRecipe
from cifar_export.scratch import scratch_folder
from cifar_runtime.errors import ArtefactError, MissingDependencyError
from cifar_runtime.install_hints import install_hint
from cifar_runtime.progress import counter_of

_PACKAGES = ("tensorflow_model_optimization", "tf_keras")
# The settings of each layer that tf_keras understands as Keras 3 does.
_WINDOW = ("strides", "padding")
_SETTINGS: dict[str, tuple[str, ...]] = {
    "Conv2D": ("filters", "kernel_size", "dilation_rate", "use_bias", "activation", *_WINDOW),
    "DepthwiseConv2D": (
        "kernel_size",
        "depth_multiplier",
        "dilation_rate",
        "use_bias",
        "activation",
        *_WINDOW,
    ),
    "Dense": ("units", "use_bias", "activation"),
    "MaxPooling2D": ("pool_size", *_WINDOW),
    "AveragePooling2D": ("pool_size", *_WINDOW),
    "GlobalAveragePooling2D": ("keepdims",),
    "Flatten": (),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Add": (),
    "Concatenate": ("axis",),
    "ZeroPadding2D": ("padding",),
    "Cropping2D": ("cropping",),
}


def train(
    model: Any, recipe: QatRecipe, task: QatTask, *, progress: Callable[[str], None]
) -> tuple[Any, dict[str, Any]]:
    """A copy of ``model`` with trained weights, and how it went, JSON-ready.

    The arguments are those of :func:`cifar_export.qat.keras_backend.train`.

    Raises:
        ArtefactError: the model has a layer that this backend does not take, or the child failed.
        MissingDependencyError: the packages are not installed.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"--qat-backend tfmot needs {missing[0]}, which is not installed.",
            hint=install_hint("qat"),
        )
    teacher, student = (
        adapted(functional_from(which), output_kind="logits") for which in (task.teacher, model)
    )
    feed = task.feed
    request = {
        "teacher": described_layers(teacher, feed),
        "student": described_layers(student, feed),
        "image_shape": list(student.inputs[0].shape[1:]),
        "multiplier": feed.multiplier,
        "offset": feed.offset,
        "steps": recipe.steps,
        "learning_rate": recipe.learning_rate,
        "batch_size": recipe.batch_size,
        "seed": task.seed,
    }
    units = [array for unit in linear_units(student, feed) for array in astuple(unit)]
    with scratch_folder() as folder:
        (folder / "request.json").write_text(json.dumps(request))
        np.savez(folder / "data.npz", train=task.data.train, validation=task.data.validation)
        _store(folder / "teacher.npz", teacher.get_weights())
        _store(folder / "student.npz", student.get_weights())
        _store(folder / "units.npz", units)
        _run_child(folder, model_name=model.name, num_steps=recipe.steps, progress=progress)
        with np.load(folder / "trained.npz", allow_pickle=False) as found:
            weights = [found[f"{index}"] for index in range(len(found.files))]
        report = json.loads((folder / "report.json").read_text())
    result = replay(model)
    result.set_weights(weights)
    return result, report


def _store(path: Path, arrays: list[NDArray[np.float32]]) -> None:
    numbered: dict[str, Any] = {f"{index}": array for index, array in enumerate(arrays)}
    np.savez(path, **numbered)


def described_layers(model: Any, feed: RepresentativeDataset) -> list[dict[str, Any]]:
    """The calls of a functional model as JSON-ready data, with the ranges that calibration shows.

    Raises:
        ArtefactError: a layer is not one that this backend takes.
    """
    ranges = observed_ranges(model, feed)
    described = []
    for call in trace(model).calls:
        kind = type(call.layer).__name__
        if kind not in _SETTINGS or len(call.outputs) != 1:
            raise ArtefactError(
                f"{model.name}: layer '{call.layer.name}' is a {kind}, which --qat-backend tfmot does not take.",
                hint="Give --qat-backend keras.",
            )
        config = call.layer.get_config()
        described.append(
            {
                "kind": kind,
                "name": call.layer.name,
                "settings": {key: config[key] for key in _SETTINGS[kind]},
                "inputs": list(call.inputs),
                "output": call.outputs[0],
                "num_weights": len(call.layer.weights),
                "range": ranges.get(call.index),
            }
        )
    return described


def _run_child(
    folder: Path, *, model_name: str, num_steps: int, progress: Callable[[str], None]
) -> None:
    count = counter_of(progress)
    program = [sys.executable, "-m", "cifar_export.qat.tfmot_child", str(folder), str(os.getpid())]
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (
        (folder / "errors.txt").open("w+") as errors,
        subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            program, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        ) as child,
    ):
        for line in child.stdout or ():
            if line.startswith("QAT: "):
                progress(line.strip())
            elif line.startswith("step "):
                count(int(line.removeprefix("step ")), num_steps)
        if child.wait() != 0:
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["no message"])[-1]
            raise ArtefactError(
                f"{model_name}: tensorflow-model-optimization cannot train it: {last[:300]}.",
                hint="Give --qat-backend keras.",
            )
