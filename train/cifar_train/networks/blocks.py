"""What the networks are made of: convolutions with BatchNorm before the ReLU, and residual blocks of them.

Everything here has an int8 form in LiteRT, TFLite Micro and onnxruntime alike.
"""

from dataclasses import dataclass
from typing import Any

from cifar_runtime.contract import ScoreKind

# The weight of the past in BatchNorm's running statistics; Keras' 0.99 lags in a run of a few hundred steps.
BATCH_NORM_MOMENTUM = 0.9

# Height, width and channels of an image.
Shape = tuple[int, int, int]

# Names of Keras activations of the last dense layer.
_ACTIVATIONS: dict[ScoreKind, str] = {"probabilities": "softmax", "logits": "linear"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a network ends in.

    Attributes:
        num_classes: how many scores it gives.
        output: what they mean.
    """

    num_classes: int
    output: ScoreKind

    def layer(self, *, use_bias: bool = True) -> Any:
        """The dense layer that gives the scores; float32 whatever the precision of the rest."""
        from keras import layers

        activation = _ACTIVATIONS[self.output]
        return layers.Dense(
            self.num_classes, activation=activation, use_bias=use_bias, dtype="float32"
        )


def centred_pixels() -> Any:
    """(x - 128) / 64: calibrated to int8 this is exactly pixel - 128, and zero padding is mid-grey in both."""
    from keras import layers

    return layers.Rescaling(scale=1 / 64, offset=-2.0, name="centred_pixels")


def image_input(shape: Shape) -> tuple[Any, Any]:
    """The input of raw pixels of images of that height, width and channels, and the same centred."""
    import keras

    image = keras.Input(shape, name="image")
    return image, centred_pixels()(image)


def convolution(x: Any, filters: int, size: int = 3, *, strides: int = 1, relu: bool = True) -> Any:
    """A padded ``size`` x ``size`` convolution without bias, BatchNorm, and ReLU where asked for."""
    from keras import layers

    x = layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
    )(x)
    return _normalized(x, relu=relu)


def depthwise(x: Any, *, strides: int = 1) -> Any:
    """A padded 3x3 convolution of each channel on its own, BatchNorm, ReLU."""
    from keras import layers

    x = layers.DepthwiseConv2D(
        3,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
    )(x)
    return _normalized(x, relu=True)


def basic(x: Any, filters: int, *, strides: int = 1) -> Any:
    """Two 3x3 convolutions around a shortcut, which is a 1x1 convolution where the shape changes.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015, option B.
    """
    from keras import layers

    inner = convolution(x, filters, strides=strides)
    inner = convolution(inner, filters, relu=False)
    if strides != 1 or x.shape[-1] != filters:
        x = convolution(x, filters, 1, strides=strides, relu=False)
    return layers.ReLU()(layers.Add()([inner, x]))


def inverted_residual(x: Any, filters: int, *, expansion: int, strides: int = 1) -> Any:
    """1x1 to ``expansion`` times the channels, 3x3 depthwise, 1x1 back without ReLU; a shortcut where shapes agree.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018.
    """
    from keras import layers

    inner = convolution(x, expansion * x.shape[-1], 1)
    inner = depthwise(inner, strides=strides)
    inner = convolution(inner, filters, 1, relu=False)
    if strides != 1 or x.shape[-1] != filters:
        return inner
    return layers.Add()([inner, x])


def classifier(image: Any, features: Any, head: Head, *, name: str) -> Any:
    """The model from ``image`` to one score a class: the mean over all positions, then the head."""
    import keras
    from keras import layers

    x = layers.AveragePooling2D(features.shape[1:3])(features)
    x = layers.Flatten()(x)
    return keras.Model(image, head.layer()(x), name=name)


def _normalized(x: Any, *, relu: bool) -> Any:
    from keras import layers

    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x)
    return layers.ReLU()(x) if relu else x
