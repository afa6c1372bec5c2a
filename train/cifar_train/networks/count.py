"""What a network costs: multiply-accumulates of one image, counted from its layers; runs nothing."""

import math
from typing import Any

_KINDS = ("Conv2D", "DepthwiseConv2D", "Dense")


def multiply_accumulates(model: Any) -> int:
    """Those of convolutions and dense layers, without biases, for one image of the model's input size."""
    layers = [layer for layer in model.layers if type(layer).__name__ in _KINDS]
    return sum(
        math.prod(layer.weights[0].shape) * math.prod(layer.output.shape[1:-1]) for layer in layers
    )
