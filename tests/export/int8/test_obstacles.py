"""What kept a layer from being prepared for int8 is named where the structure shows it, and nothing else is."""

from typing import Any

import numpy as np
import pytest

from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.equalize import equalize
from cifar_export.int8.obstacles import obstacle
from cifar_export.keras_graph.fold import fold


def network(kind: str) -> Any:
    import keras
    from keras import layers

    parts: list[Any] = [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="first")]
    if kind == "relu6":
        parts.append(layers.ReLU(6.0, name="clipped"))
    elif kind == "norm":
        parts += [layers.ReLU(), layers.BatchNormalization(name="norm")]
    elif kind == "free":
        parts.append(layers.ReLU())
    else:
        parts.append(layers.TimeDistributed(layers.Dense(4), name="outer"))
    # The zeros around the picture keep a shift from moving into the next convolution.
    parts.append(layers.Conv2D(4, 3, padding="same", name="second"))
    parts += [layers.GlobalAveragePooling2D(), layers.Dense(2, name="head")]
    return keras.Sequential(parts, name="net")


@pytest.mark.parametrize(
    ("kind", "tensor", "beginning"),
    [
        ("relu6", "net/clipped/Relu6;net/first/BiasAdd", "A ReLU with a ceiling (clipped) follows"),
        ("norm", "net/relu/Relu;net/first/BiasAdd", "norm follows its activation in the check"),
        ("norm", "net_1/relu_1/Relu;net_1/first_1/BiasAdd", "norm follows its activation in the"),
        ("relu6", "net_1/clipped_1/Relu6;net_1/first_1/convolution", "A ReLU with a ceiling (clip"),
        ("hidden", "net/outer/dense/MatMul", "The layers inside outer were not prepared"),
        ("free", "net/relu/Relu;net/first/BiasAdd", ""),
        (
            "relu6",
            "net/second/BiasAdd",
            "It takes what first gives. A ReLU with a ceiling (clipped)",
        ),
        ("norm", "net/second/BiasAdd", "It takes what first gives. norm follows its activation in"),
        ("norm", "net/head/MatMul;net/head/BiasAdd", ""),
        ("free", "net/second/BiasAdd", ""),
    ],
)
def test_what_the_structure_shows_is_named(kind: str, tensor: str, beginning: str) -> None:
    import keras

    keras.utils.set_random_seed(1)
    model = network(kind)
    if kind == "norm":
        model.get_layer("norm").set_weights(
            [np.ones(4), np.full(4, 0.5), np.zeros(4), np.array([1.0, 4.0, 9.0, 16.0])]
        )
    folded = fold(model)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    report = equalize(folded.model, RepresentativeDataset(images=images)).report
    found = obstacle(tensor, folded, {one["layer"] for one in report})
    assert found.startswith(beginning) if beginning else not found
