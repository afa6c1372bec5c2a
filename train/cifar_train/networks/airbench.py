"""A teacher with airbench94's shape in Keras layers; too large for the devices meant here, never exported."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_train.networks.blocks import Head, Shape, image_input

# Source: K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024 (airbench94).
_WIDTHS = (64, 256, 256)
_PATCH = 2
_WHITENED_IMAGES = 5000
# Added to the variances, so that the faintest components are not blown up to noise.
_VARIANCE_FLOOR = 5e-4
_BATCH_NORM_MOMENTUM = 0.6
_SCORE_SCALE = 1 / 9


def airbench(shape: Shape, head: Head) -> Any:
    """Two convolutions a block with GELU, max pooling after the first: 1,970,464 weights, 118.2 million MACs.

    The 2x2 convolution in front is not learned: :func:`set_initial_weights` makes it whiten the patches of the training
    images. Unlike airbench's, the biases learn at the rate of everything else.
    """
    import keras
    from keras import layers

    image, x = image_input(shape)
    # One filter for each of a patch's principal components, and its negative.
    filters = 2 * _PATCH**2 * shape[-1]
    x = layers.Conv2D(filters, _PATCH, use_bias=False, trainable=False, name="whitening")(x)
    x = layers.Activation("gelu")(x)
    for filters in _WIDTHS:
        x = _convolution(x, filters)
        x = layers.MaxPooling2D(2)(x)
        x = _activated(x)
        x = _activated(_convolution(x, filters))
    x = layers.MaxPooling2D(x.shape[1:3])(x)
    x = layers.Rescaling(_SCORE_SCALE)(layers.Flatten()(x))
    return keras.Model(image, head.layer(use_bias=False)(x), name="airbench")


def set_initial_weights(model: Any, images: NDArray[np.uint8]) -> None:
    """Whitens the patches of ``images`` in front, and lets every 3x3 convolution start by passing on its input.

    Args:
        model: a fresh :func:`airbench`.
        images: the training images, uint8, shape (n, height, width, channels).
    """
    import keras

    centred = model.get_layer("centred_pixels")(images[:_WHITENED_IMAGES].astype(np.float32))
    model.get_layer("whitening").set_weights([whitening_kernel(np.asarray(centred))])
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size == (3, 3):
            (kernel,) = layer.get_weights()
            passed = kernel.shape[2]
            kernel[..., :passed] = 0
            kernel[1, 1, :, :passed] = np.eye(passed)
            layer.set_weights([kernel])


def whitening_kernel(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Filters, float32, shape (2, 2, channels, 8 * channels), whose answers on patches are uncorrelated, of variance 1.

    Args:
        pixels: images as the convolution sees them, shape (n, height, width, channels).
    """
    patches = np.lib.stride_tricks.sliding_window_view(pixels, (_PATCH, _PATCH), axis=(1, 2))
    channels = pixels.shape[-1]
    vectors = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, _PATCH**2 * channels)
    variances, components = np.linalg.eigh(np.cov(vectors, rowvar=False))
    filters = components / np.sqrt(variances + _VARIANCE_FLOOR)
    kernel = np.hstack([filters, -filters]).reshape(_PATCH, _PATCH, channels, -1)
    return kernel.astype(np.float32)


def _convolution(x: Any, filters: int) -> Any:
    from keras import layers

    return layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)


def _activated(x: Any) -> Any:
    from keras import layers

    x = layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM, scale=False)(x)
    return layers.Activation("gelu")(x)
