"""The child process of ``qat_tfmot``: the only module that imports tf_keras and tensorflow_model_optimization.

It reads a described model and images from a folder that its parent made, and writes weights and a report there.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOOKS_PER_EPOCH = 4
_BATCH = 250
_MOMENTUM = 0.9


def main(folder: Path) -> None:
    """Trains the model that ``request.json`` describes."""
    import tf_keras
    from tensorflow_model_optimization.python.core.quantization.keras.quantize import quantize_model

    request = json.loads((folder / "request.json").read_text())
    with np.load(folder / "weights.npz", allow_pickle=False) as stored:
        weights = [stored[f"{index}"] for index in range(len(stored.files))]
    with np.load(folder / "data.npz", allow_pickle=False) as stored:
        images, watched = stored["train"], _as_input(stored["validation"], request)
    tf_keras.utils.set_random_seed(request["seed"])
    teacher = _built(request)
    teacher.set_weights(weights)
    student_source = _built(request)
    student_source.set_weights(weights)
    student = quantize_model(student_source)
    _set_ranges(student, request, watched[:2])
    trained, report = _train(teacher, student, request, images, watched)
    arrays: dict[str, Any] = {f"{index}": weight for index, weight in enumerate(trained)}
    np.savez(folder / "trained.npz", **arrays)
    (folder / "report.json").write_text(json.dumps(report))


def _built(request: dict[str, Any]) -> Any:
    """The described model in tf_keras."""
    from tf_keras import Input, Model, layers

    image = Input(tuple(request["image_shape"]))
    tensors: dict[int, Any] = {}
    for described in request["layers"]:
        inputs = [tensors.setdefault(number, image) for number in described["inputs"]]
        layer = getattr(layers, described["kind"])(name=described["name"], **described["settings"])
        tensors[described["output"]] = layer(inputs if len(inputs) > 1 else inputs[0])
    return Model(image, tensors[request["layers"][-1]["output"]])


def _set_ranges(student: Any, request: dict[str, Any], images: NDArray[np.float32]) -> None:
    """Starts at the ranges of kernels and of calibration: the package's own start at +-6 agree with nothing."""
    student(images, training=True)
    pixels = (request["offset"], request["offset"] + 255 * request["multiplier"])
    stated = {f"quant_{layer['name']}": layer["range"] for layer in request["layers"]}
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
    wanted = teacher.predict(watched, batch_size=_BATCH, verbose=0)
    per_epoch = len(images) // request["batch_size"]
    steps = request["epochs"] * per_epoch
    step = _training_step(teacher, student)
    best, kept = _look(student, watched, wanted), _float_weights(student)
    looks = [{"step": 0, **best}]
    _say(f"{steps} steps; agreement {best['agreement']:.2%} on validation before")
    random = np.random.default_rng(request["seed"])
    interval = max(1, per_epoch // _LOOKS_PER_EPOCH)
    used = per_epoch * request["batch_size"]
    epochs = [random.permutation(len(images))[:used] for _ in range(request["epochs"])]
    order = np.concatenate(epochs).reshape(steps, -1)
    for number, positions in enumerate(order, start=1):
        decay = 0.5 * (1 + np.cos(np.pi * number / steps))
        step(_as_input(images[np.sort(positions)], request), request["learning_rate"] * decay)
        if number % interval and number != steps:
            continue
        found = _look(student, watched, wanted)
        looks.append({"step": number, **found})
        _say(f"step {number} of {steps}: agreement {found['agreement']:.2%} on validation")
        if found["divergence"] < best["divergence"]:
            best, kept = found, _float_weights(student)
    return kept, {"steps": steps, "validation_images": len(watched), "looks": looks}


def _training_step(teacher: Any, student: Any) -> Any:
    """One step of normalized momentum: each tensor moves by a share of its own norm."""
    import tensorflow as tf

    velocities = [tf.Variable(tf.zeros_like(variable)) for variable in student.trainable_variables]

    @tf.function  # type: ignore[untyped-decorator]
    def step(images: Any, rate: Any) -> None:
        wanted = tf.nn.softmax(teacher(images, training=False))
        with tf.GradientTape() as tape:
            found = student(images, training=True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, found))
        gradients = tape.gradient(loss, student.trainable_variables)
        for variable, velocity, gradient in zip(
            student.trainable_variables, velocities, gradients, strict=True
        ):
            velocity.assign(_MOMENTUM * velocity + gradient)
            length = tf.maximum(tf.norm(velocity), 1e-12)
            variable.assign_sub(rate * tf.norm(variable) * velocity / length)

    def run(images: NDArray[np.float32], rate: float) -> None:
        step(tf.constant(images), tf.constant(rate, tf.float32))

    return run


def _look(
    student: Any, images: NDArray[np.float32], wanted: NDArray[np.float32]
) -> dict[str, float]:
    found = student.predict(images, batch_size=_BATCH, verbose=0)
    agreement = float((found.argmax(axis=1) == wanted.argmax(axis=1)).mean())
    ours, theirs = _log_softmax(wanted), _log_softmax(found)
    divergence = float((np.exp(ours) * (ours - theirs)).sum(axis=1).mean())
    return {"agreement": agreement, "divergence": divergence}


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(exact - np.log(np.exp(exact).sum(axis=1, keepdims=True)))


def _float_weights(student: Any) -> list[NDArray[np.float32]]:
    """The float weights that the package keeps behind the rounded ones, in the order of the float model's."""
    endings = ("kernel", "depthwise_kernel", "bias")
    return [
        np.array(variable)
        for layer in student.layers
        for ending in endings
        for variable in layer.weights
        if variable.name.split("/")[-1].removesuffix(":0") == ending
    ]


def _as_input(images: NDArray[np.uint8], request: dict[str, Any]) -> NDArray[np.float32]:
    multiplier, offset = float(request["multiplier"]), float(request["offset"])
    return (images.astype(np.float64) * multiplier + offset).astype(np.float32)


def _say(what: str) -> None:
    sys.stdout.write(f"QAT: {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
