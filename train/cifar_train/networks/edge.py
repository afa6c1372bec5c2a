"""Networks for devices: MLPerf Tiny's ResNet-8, and the candidates for ``edge-s`` and ``edge-m``.

Weights and multiply-accumulates (MACs) are those of convolutions and dense layers, without biases, for images of
32x32x3 and ten classes.

``edge_xs``, ``edge_mix_s`` and ``edge_mix_m`` scale with the picture: the first convolution, and one more for each
further doubling, halves height and width until the shorter side is 32 to 63, so that the weights are hardly more
and the MACs are one to four times those at 32x32.
"""

from typing import Any

from cifar_train.networks.blocks import (
    Head,
    Shape,
    basic,
    classifier,
    convolution,
    image_input,
    inverted_residual,
)


def resnet8(shape: Shape, head: Head) -> Any:
    """MLPerf Tiny's IC01, operator for operator: 77,360 weights, 12.50 million MACs; shortcuts have no BatchNorm.

    Source: mlcommons/tiny, benchmark/training/image_classification/keras_model.py, ``resnet_v1_eembc``.
    """
    from keras import layers

    image, x = image_input(shape)
    x = convolution(x, 16)
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        inner = convolution(x, filters, strides=strides)
        inner = convolution(inner, filters, relu=False)
        if strides != 1:
            x = layers.Conv2D(filters, 1, strides=strides, kernel_initializer="he_normal")(x)
        x = layers.ReLU()(layers.Add()([inner, x]))
    return classifier(image, x, head, name="resnet8")


def edge_res_s(shape: Shape, head: Head) -> Any:
    """Residual blocks at 16x16 and 8x8 only: 96,608 weights, 10.99 million MACs."""
    image, x = _small_front(shape)
    x = convolution(x, 56, strides=2)
    x = basic(x, 56)
    return classifier(image, x, head, name="edge_res_s")


def edge_deep_s(shape: Shape, head: Head) -> Any:
    """Twice the residual blocks of ``edge_res_s``, of fewer channels: 91,264 weights, 10.88 million MACs."""
    image, x = image_input(shape)
    x = convolution(x, 16)
    for filters in (24, 40):
        x = convolution(x, filters, strides=2)
        for _ in range(2):
            x = basic(x, filters)
    return classifier(image, x, head, name="edge_deep_s")


def edge_xs(shape: Shape, head: Head) -> Any:
    """A residual block at 16x16, inverted residuals at 8x8: 39,856 weights, 4.34 million MACs."""
    image, x = _entry(shape, halvings=1 + _halvings(shape))
    x = basic(x, 24)
    x = convolution(x, 40, strides=2)
    for _ in range(2):
        x = inverted_residual(x, 40, expansion=3)
    return classifier(image, x, head, name="edge_xs")


def edge_mix_s(shape: Shape, head: Head) -> Any:
    """``edge_res_s`` with inverted residuals at 8x8: 95,152 weights, 10.89 million MACs."""
    image, x = _entry(shape, halvings=_halvings(shape))
    x = convolution(x, 32, strides=2)
    x = basic(x, 32)
    x = convolution(x, 64, strides=2)
    for _ in range(2):
        x = inverted_residual(x, 64, expansion=3)
    return classifier(image, x, head, name="edge_mix_s")


def edge_mb_s(shape: Shape, head: Head) -> Any:
    """Inverted residuals after two convolutions: 89,392 weights, 11.61 million MACs."""
    image, x = image_input(shape)
    x = convolution(x, 16)
    x = convolution(x, 32, strides=2)
    for _ in range(3):
        x = inverted_residual(x, 32, expansion=3)
    x = inverted_residual(x, 64, expansion=3, strides=2)
    for _ in range(3):
        x = inverted_residual(x, 64, expansion=2)
    return classifier(image, x, head, name="edge_mb_s")


def edge_res_m(shape: Shape, head: Head) -> Any:
    """A ResNet of 2, 3 and 3 blocks: 266,288 weights, 36.09 million MACs."""
    image, x = image_input(shape)
    x = convolution(x, 16)
    for filters, strides, count in ((16, 1, 2), (32, 2, 3), (64, 2, 3)):
        x = basic(x, filters, strides=strides)
        for _ in range(count - 1):
            x = basic(x, filters)
    return classifier(image, x, head, name="edge_res_m")


def edge_mix_m(shape: Shape, head: Head) -> Any:
    """Residual blocks at 16x16, inverted residuals at 8x8: 284,472 weights, 36.27 million MACs."""
    image, x = _entry(shape, halvings=_halvings(shape))
    x = convolution(x, 40, strides=2)
    for _ in range(3):
        x = basic(x, 40)
    x = convolution(x, 72, strides=2)
    for _ in range(5):
        x = inverted_residual(x, 72, expansion=3)
    return classifier(image, x, head, name="edge_mix_m")


def edge_mb_m(shape: Shape, head: Head) -> Any:
    """Inverted residuals of 24, 48 and 96 channels: 328,776 weights, 39.16 million MACs."""
    image, x = image_input(shape)
    x = convolution(x, 24)
    x = inverted_residual(x, 24, expansion=2)
    x = convolution(x, 48, strides=2)
    for _ in range(4):
        x = inverted_residual(x, 48, expansion=3)
    x = inverted_residual(x, 96, expansion=3, strides=2)
    for _ in range(4):
        x = inverted_residual(x, 96, expansion=3)
    return classifier(image, x, head, name="edge_mb_m")


def quick_res(shape: Shape, head: Head) -> Any:
    """``edge_res_s`` with nothing at 32x32, where training takes longest: 80,120 weights, 7.21 million MACs."""
    image, x = image_input(shape)
    x = convolution(x, 24, strides=2)
    x = basic(x, 24)
    x = convolution(x, 56, strides=2)
    x = basic(x, 56)
    return classifier(image, x, head, name="quick_res")


def _small_front(shape: Shape) -> tuple[Any, Any]:
    image, x = image_input(shape)
    x = convolution(x, 16)
    x = convolution(x, 32, strides=2)
    return image, basic(x, 32)


def _halvings(shape: Shape) -> int:
    """How often a picture is halved until its shorter side is below 64; never below 32."""
    shorter = min(shape[:2])
    return max(0, shorter.bit_length() - 6)


def _entry(shape: Shape, *, halvings: int) -> tuple[Any, Any]:
    """The input, and it after convolutions of 16 filters: one for each halving, or one without."""
    image, x = image_input(shape)
    for _ in range(max(1, halvings)):
        x = convolution(x, 16, strides=2 if halvings else 1)
    return image, x
