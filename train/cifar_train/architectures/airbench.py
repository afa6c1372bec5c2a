"""A teacher with airbench94's shape in Keras layers; too large for the devices meant here, never exported."""

from typing import Any

from cifar_train.architectures.blocks import image_input
from cifar_train.dataset import LABELS

# Source: K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024 (airbench94).
_WIDTHS = (64, 256, 256)
_STEM_FILTERS = 24
_BATCH_NORM_MOMENTUM = 0.6
_SCORE_SCALE = 1 / 9


def airbench(activation: str) -> Any:
    """Two convolutions a block with GELU, max pooling behind the first: 1,970,464 weights, 118.2 million MACs.

    Unlike airbench's, the 2x2 convolution in front is learned, not set to whiten patches; the other kernels start from
    He's distribution, not from the identity.
    """
    import keras
    from keras import layers

    image, x = image_input()
    x = layers.Conv2D(_STEM_FILTERS, 2)(x)
    x = layers.Activation("gelu")(x)
    for filters in _WIDTHS:
        x = _convolution(x, filters)
        x = layers.MaxPooling2D(2)(x)
        x = _activated(x)
        x = _activated(_convolution(x, filters))
    x = layers.MaxPooling2D(x.shape[1])(x)
    x = layers.Rescaling(_SCORE_SCALE)(layers.Flatten()(x))
    x = layers.Dense(len(LABELS), activation=activation, use_bias=False, dtype="float32")(x)
    return keras.Model(image, x, name="airbench")


def _convolution(x: Any, filters: int) -> Any:
    from keras import layers

    return layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)


def _activated(x: Any) -> Any:
    from keras import layers

    x = layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM, scale=False)(x)
    return layers.Activation("gelu")(x)
