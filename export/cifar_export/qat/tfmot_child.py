"""The child process of ``qat_tfmot``: the only module that imports tf_keras and tensorflow_model_optimization.

It reads a described model and images from a folder that its parent made, and writes weights and a report there.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.qat.scaled_adam import ScaledAdam, Units
from cifar_export.qat.schedule import (
    TEMPERATURE,
    as_input,
    best,
    is_validated,
    logits_of,
    rate_at,
    report,
    sentence,
    validation_point,
    verdict,
    views,
)

_PARENT_POLL_S = 0.5


def end_with_parent(parent: int) -> None:
    """Ends this process soon after its parent is gone, which kill -9 gives no chance to tell it.

    Args:
        parent: the parent's process id, by its own word: it may be gone before this one can ask.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_POLL_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(folder: Path) -> None:
    """Trains the model that ``request.json`` describes."""
    import tf_keras
    from tensorflow_model_optimization.python.core.quantization.keras.quantize import quantize_model

    request = json.loads((folder / "request.json").read_text())
    with np.load(folder / "data.npz", allow_pickle=False) as stored:
        images, watched = stored["train"], _as_input(stored["validation"], request)
    tf_keras.utils.set_random_seed(request["seed"])
    teacher = _built(request, "teacher")
    teacher.set_weights(_stored(folder / "teacher.npz"))
    source = _built(request, "student")
    source.set_weights(_stored(folder / "student.npz"))
    student = quantize_model(source)
    _set_ranges(student, request, watched[:2])
    units = _stored(folder / "units.npz")
    request["units"] = [
        Units(mean_input=mean, kernel=kernel, bias=bias)
        for mean, kernel, bias in zip(units[::3], units[1::3], units[2::3], strict=True)
    ]
    trained, how = _train(teacher, student, request, images, watched)
    arrays: dict[str, Any] = {f"{index}": weight for index, weight in enumerate(trained)}
    np.savez(folder / "trained.npz", **arrays)
    (folder / "report.json").write_text(json.dumps(how))


def _stored(path: Path) -> list[NDArray[np.float32]]:
    with np.load(path, allow_pickle=False) as stored:
        return [stored[f"{index}"] for index in range(len(stored.files))]


def _built(request: dict[str, Any], which: str) -> Any:
    """The described teacher or student in tf_keras."""
    from tf_keras import Input, Model, layers

    image = Input(tuple(request["image_shape"]))
    tensors: dict[int, Any] = {}
    for described in request[which]:
        inputs = [tensors.setdefault(number, image) for number in described["inputs"]]
        layer = getattr(layers, described["kind"])(name=described["name"], **described["settings"])
        tensors[described["output"]] = layer(inputs if len(inputs) > 1 else inputs[0])
    return Model(image, tensors[request[which][-1]["output"]])


def _set_ranges(student: Any, request: dict[str, Any], images: NDArray[np.float32]) -> None:
    """Starts at the ranges of kernels and of calibration: the package's own start at +-6 agree with nothing."""
    student(images, training=True)
    pixels = (request["offset"], request["offset"] + 255 * request["multiplier"])
    stated = {f"quant_{layer['name']}": layer["range"] for layer in request["student"]}
    for layer in student.layers:
        name = layer.name
        wanted = pixels if name == "quantize_layer" else stated.get(name)
        if wanted is None:
            continue
        for variable in layer.weights:
            ending = variable.name.split("/")[-1].removesuffix(":0")
            if ending in ("post_activation_min", "quantize_layer_min"):
                variable.assign(wanted[0])
            elif ending in ("post_activation_max", "quantize_layer_max"):
                variable.assign(wanted[1])


def _train(
    teacher: Any,
    student: Any,
    request: dict[str, Any],
    images: NDArray[np.uint8],
    watched: NDArray[np.float32],
) -> tuple[list[NDArray[np.float32]], dict[str, Any]]:
    wanted = logits_of(teacher, watched)
    num_steps = request["steps"]
    step = _training_step(teacher, student, request["units"])
    points, losses = [validation_point(0, wanted, logits_of(student, watched))], list[float]()
    kept = _float_weights(student)
    _say(sentence(points[0], num_steps=num_steps, num_images=len(watched), loss=None))
    batches = views(
        images, batch_size=request["batch_size"], num_batches=num_steps, seed=request["seed"]
    )
    for number, batch in enumerate(batches, start=1):
        rate = rate_at(number, num_steps, request["learning_rate"])
        losses.append(step(_as_input(batch, request), rate))
        _say(f"step {number}")
        if not is_validated(number, num_steps):
            continue
        points.append(validation_point(number, wanted, logits_of(student, watched)))
        if best(points) is points[-1]:
            kept = _float_weights(student)
        mean_loss = float(np.mean(losses))
        _say(sentence(points[-1], num_steps=num_steps, num_images=len(watched), loss=mean_loss))
        losses.clear()
    _say(verdict(points))
    return kept, report(points, num_images=len(watched))


def _training_step(teacher: Any, student: Any, units: list[Units]) -> Any:
    import tensorflow as tf

    adam = ScaledAdam(_linears(student), units)

    @tf.function  # type: ignore[untyped-decorator]
    def step(images: Any, rate: Any) -> Any:
        wanted = tf.nn.log_softmax(teacher(images, training=False) / TEMPERATURE)
        with tf.GradientTape() as tape:
            found = tf.nn.log_softmax(student(images, training=True) / TEMPERATURE)
            divergences = tf.reduce_sum(tf.exp(wanted) * (wanted - found), axis=1)
            loss = TEMPERATURE**2 * tf.reduce_mean(divergences)
        adam.apply(tape.gradient(loss, adam.variables), rate)
        return loss

    def run(images: NDArray[np.float32], rate: float) -> float:
        return float(step(tf.constant(images), tf.constant(rate, tf.float32)))

    return run


def _linears(student: Any) -> list[tuple[Any, Any]]:
    """The float kernel and bias (or None) that the package keeps behind the rounded ones, layer by layer."""
    found = []
    for layer in student.layers:
        by_name = {
            variable.name.split("/")[-1].removesuffix(":0"): variable for variable in layer.weights
        }
        kernel = by_name.get("kernel", by_name.get("depthwise_kernel"))
        if kernel is not None:
            found.append((kernel, by_name.get("bias")))
    return found


def _float_weights(student: Any) -> list[NDArray[np.float32]]:
    """The float weights, in the order of the float model's."""
    return [
        np.array(variable)
        for pair in _linears(student)
        for variable in pair
        if variable is not None
    ]


def _as_input(images: NDArray[np.uint8], request: dict[str, Any]) -> NDArray[np.float32]:
    return as_input(images, multiplier=request["multiplier"], offset=request["offset"])


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    end_with_parent(int(sys.argv[2]))
    main(Path(sys.argv[1]))
