"""The networks, each built fresh by name; inputs are raw RGB pixels 0..255, float32, shape (n, 32, 32, 3)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.contract import ScoreKind
from cifar_train.networks import airbench, edge, notebook
from cifar_train.recipe import Architecture

# Names of Keras activations of the last dense layer.
_ACTIVATIONS: dict[ScoreKind, str] = {"probabilities": "softmax", "logits": "linear"}


def build(architecture: Architecture, *, output: ScoreKind = "probabilities") -> Any:
    """A ``keras.Model`` with fresh weights that returns float32 scores, shape (n, 10).

    Args:
        architecture: the network.
        output: what its scores mean; the weights are the same ones, in the same order.
    """
    builders: dict[Architecture, Callable[[str], Any]] = {
        "notebook": notebook.notebook,
        "seed-cnn": notebook.seed_cnn,
        "resnet8": edge.resnet8,
        "edge-res-s": edge.edge_res_s,
        "edge-deep-s": edge.edge_deep_s,
        "edge-mix-s": edge.edge_mix_s,
        "edge-mb-s": edge.edge_mb_s,
        "edge-res-m": edge.edge_res_m,
        "edge-mix-m": edge.edge_mix_m,
        "edge-mb-m": edge.edge_mb_m,
        "quick-res": edge.quick_res,
        "airbench": airbench.airbench,
    }
    return builders[architecture](_ACTIVATIONS[output])


def set_initial_weights(architecture: Architecture, model: Any, images: NDArray[np.uint8]) -> None:
    """Sets what a network takes from its training images instead of from a distribution; most take nothing.

    Args:
        architecture: the network.
        model: a fresh one.
        images: what it will be trained on, uint8, shape (n, 32, 32, 3).
    """
    if architecture == "airbench":
        airbench.set_initial_weights(model, images)
