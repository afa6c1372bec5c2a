"""Whether a rewritten Keras model computes what it was made from, tried on real images; if not, from which layer on.

A model is rebuilt several times on its way into a file: copied, folded, pooled, equalized. Each of these is exact on
paper, and none is trusted: a layer whose configuration does not hold all that it computes with would make a file that
agrees with a copy, and not with the checkpoint.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.models.batch_size import evaluation_batch_size
from cifar_export.keras_graph.trace import LayerCall, functional_from, replay
from cifar_runtime.errors import ArtefactError

NUM_IMAGES = 32
"""Images that models are compared on."""

# Root mean square of the difference, as a share of the standard deviation of what is wanted. Rounding in float32 makes
# 0.001 % of it in the networks of this repository, TF32 on a GPU some tenths of a per cent, a layer with other
# statistics 10 % or more.
MAX_DIFFERENCE = 0.01
# Copies compute in float32, and a mixed-precision model rounds every activation to 8 or 11 bits.
MAX_DIFFERENCE_LOW_PRECISION = 0.2
# Scores that are all alike have no deviation, but rounding.
_MIN_SHARE_OF_MAGNITUDE = 1e-5

Outputs = list[NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """A Keras model and what it takes for the images that models are compared on.

    Attributes:
        model: a Sequential or functional model with one input.
        inputs: float32, shape (n, height, width, 3), in the model's own range.
    """

    model: Any
    inputs: NDArray[np.float32]

    def outputs(self) -> Outputs:
        """What the model returns, float64, flat."""
        import keras

        size = evaluation_batch_size(self.inputs.shape[1:], at_most=NUM_IMAGES)
        found = [
            keras.tree.flatten(self.model(self.inputs[start : start + size], training=False))
            for start in range(0, len(self.inputs), size)
        ]
        return [
            _joined([np.asarray(keras.ops.convert_to_numpy(part), np.float64) for part in parts])
            for parts in zip(*found, strict=True)
        ]


def _joined(parts: Outputs) -> NDArray[np.float64]:
    """What batches gave, as one; flat where it has no axis of images in front."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].ndim and len({part.shape[1:] for part in parts}) == 1:
        return np.concatenate(parts)
    return np.concatenate([part.ravel() for part in parts])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """One step of rewriting, for the message and for finding the layer that it fails at.

    Attributes:
        step: what is done to the model, as a participle: "copied".
        apply: does it again, to the first calls of the source model.
    """

    step: str
    apply: Callable[[Any], Fed]


def check_same(
    source: Fed,
    rewritten: Fed,
    rewriting: Rewriting,
    *,
    wanted: NDArray[np.float32] | None = None,
) -> None:
    """Checks that a rewritten model returns what its source does.

    Args:
        source: the model it was made from.
        rewritten: the model to check.
        rewriting: how it was made.
        wanted: what the rewritten model must return, where this is not what the source does.

    Raises:
        ArtefactError: it returns something else; the message names the first layer that differs.
    """
    limit = max_difference(source.model)
    expected = source.outputs() if wanted is None else [wanted.astype(np.float64)]
    found = difference(expected, rewritten.outputs())
    if found <= limit:
        return
    layer = first_different(source, rewriting, limit)
    raise ArtefactError(
        f"{source.model.name}: {rewriting.step} for the export, it computes something else from layer "
        f"'{layer.name}' ({type(layer).__name__}) on: the scores of {len(source.inputs)} images are off by "
        f"{found:.3g} of their standard deviation, expected {limit:g} at most.",
        hint="Replace that layer by other Keras layers, save the model again, and report this.",
    )


def difference(expected: Outputs, found: Outputs) -> float:
    """The largest root mean square of a difference, as a share of the standard deviation of what is expected.

    Expected values that are no numbers are passed over: they are refused elsewhere, by name.
    """
    largest = 0.0
    for wanted, values in zip(expected, found, strict=True):
        if not np.isfinite(wanted).all():
            continue
        if wanted.shape != values.shape or not np.isfinite(values).all():
            return float("inf")
        error = float(np.sqrt(np.mean(np.square(values - wanted))))
        if error > _MIN_SHARE_OF_MAGNITUDE * float(np.abs(wanted).max()):
            largest = max(largest, error / max(float(wanted.std()), np.finfo(np.float64).tiny))
    return largest


def max_difference(model: Any) -> float:
    """How far a float32 copy of the model may be off."""
    is_low = any(layer.compute_dtype in ("float16", "bfloat16") for layer in _layers(model))
    return MAX_DIFFERENCE_LOW_PRECISION if is_low else MAX_DIFFERENCE


def first_different(source: Fed, rewriting: Rewriting, limit: float) -> Any:
    """The layer behind which the rewritten model differs from its source, and before which it does not.

    Found by halving: the model up to some call is rewritten and compared by itself.
    """
    called, parts = _beginnings(source.model)
    same, different = -1, len(parts) - 1
    while different - same > 1:
        middle = (same + different) // 2
        part = Fed(model=parts[middle](), inputs=source.inputs)
        is_same = difference(part.outputs(), rewriting.apply(part.model).outputs()) <= limit
        same, different = (middle, different) if is_same else (same, middle)
    return called[different]


def _beginnings(model: Any) -> tuple[list[Any], list[Callable[[], Any]]]:
    """The layers in the order of their calls, and for each call the model up to it, over the same layer objects."""
    import keras

    called: list[Any] = []
    outputs: list[Any] = []

    def call(made: LayerCall) -> Any:
        called.append(made.original)
        outputs.append(made.copy(*made.args, **made.kwargs))
        return outputs[-1]

    whole = replay(functional_from(model), call, layers="the model's own")
    return called, [partial(keras.Model, whole.inputs[0], output) for output in outputs]


def _layers(model: Any) -> list[Any]:
    """All layers, also those of models in the model."""
    return [
        part
        for layer in model.layers
        for part in (_layers(layer) if hasattr(layer, "layers") else [layer])
    ]
