"""The networks, each built fresh by name; inputs are raw pixels 0..255, float32, shape (n, height, width, channels).

The names and what builds them stand here together. Importing this module imports neither NumPy nor Keras.
"""

from typing import TYPE_CHECKING, Any, Literal

from cifar_runtime.errors import UsageError, not_one_of
from cifar_runtime.plain_text import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from cifar_runtime.contract import ScoreKind
    from cifar_train.networks.blocks import Shape

Architecture = Literal[
    "notebook",
    "seed-cnn",
    "resnet8",
    "edge-xs",
    "edge-res-s",
    "edge-deep-s",
    "edge-mix-s",
    "edge-mb-s",
    "edge-res-m",
    "edge-mix-m",
    "edge-mb-m",
    "quick-res",
    "airbench",
    "mobilenet-v2",
    "mobilenet-v3-small",
    "efficientnet-v2-b0",
    "efficientnet-lite0",
]


def build(
    architecture: Architecture,
    *,
    input_shape: "Shape",
    num_classes: int,
    output: "ScoreKind" = "probabilities",
) -> Any:
    """A ``keras.Model`` with fresh weights that returns float32 scores, shape (n, num_classes).

    Args:
        architecture: the network.
        input_shape: height, width and channels of an image.
        num_classes: how many scores it gives.
        output: what its scores mean; the weights are the same ones, in the same order.

    Raises:
        UsageError: there is no network of that name, or the images are too small for it.

    Example:
        >>> from cifar_train import build
        >>> build("quick-res", input_shape=(16, 24, 3), num_classes=5).output_shape
        (None, 5)
    """
    from functools import partial

    from cifar_train.networks import airbench, backbones, edge, notebook
    from cifar_train.networks.blocks import Head

    builders: dict[Architecture, Callable[[Shape, Head], Any]] = {
        "notebook": notebook.notebook,
        "seed-cnn": notebook.seed_cnn,
        "resnet8": edge.resnet8,
        "edge-xs": edge.edge_xs,
        "edge-res-s": edge.edge_res_s,
        "edge-deep-s": edge.edge_deep_s,
        "edge-mix-s": edge.edge_mix_s,
        "edge-mb-s": edge.edge_mb_s,
        "edge-res-m": edge.edge_res_m,
        "edge-mix-m": edge.edge_mix_m,
        "edge-mb-m": edge.edge_mb_m,
        "quick-res": edge.quick_res,
        "airbench": airbench.airbench,
        **{name: partial(backbones.with_head, name) for name in backbones.BACKBONES},
    }
    if architecture not in builders:
        raise UsageError(
            f"architecture {not_one_of(architecture, builders)}.", hint="Give one of these."
        )
    try:
        return builders[architecture](input_shape, Head(num_classes=num_classes, output=output))
    except ValueError as cause:
        raise UsageError(
            f"{architecture} cannot be built for images of {input_shape}: {reason_of(cause)}.",
            hint="Choose another architecture, or larger images.",
        ) from cause


def set_initial_weights(
    architecture: Architecture, model: Any, images: "NDArray[np.uint8]"
) -> None:
    """Sets what a network takes from its training images instead of from a distribution; most take nothing.

    Args:
        architecture: the network.
        model: a fresh one.
        images: what it will be trained on, uint8, shape (n, height, width, channels).
    """
    if architecture == "airbench":
        from cifar_train.networks import airbench

        airbench.set_initial_weights(model, images)
