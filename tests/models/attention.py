"""Networks of patches: ConvMixer, a small vision transformer, attention in place of pooling."""

from typing import Any

from models.convolutional import functional


def conv_mixer() -> Any:
    """Source: Trockman and Kolter, Patches Are All You Need?, 2022."""
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.Conv2D(24, 2, strides=2, activation="gelu")(x)
        x = layers.BatchNormalization(momentum=0.8)(x)
        for _ in range(2):
            y = layers.DepthwiseConv2D(5, padding="same", activation="gelu")(x)
            x = layers.Add()([x, layers.BatchNormalization(momentum=0.8)(y)])
            x = layers.Conv2D(24, 1, activation="gelu")(x)
            x = layers.BatchNormalization(momentum=0.8)(x)
        return x

    return functional(body)


def vision_transformer() -> Any:
    """Source: Dosovitskiy et al., An Image is Worth 16x16 Words, 2021."""
    import keras
    from keras import layers

    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(24, 2, strides=2)(layers.Rescaling(1 / 127.5, offset=-1.0)(inputs))
    x = layers.Reshape((64, 24))(x)
    x = x + layers.Embedding(64, 24)(keras.ops.arange(64))
    for _ in range(2):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 12)(y, y)])
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dense(24)(layers.Dense(48, activation="gelu")(y))
        x = layers.Add()([x, y])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def attention_pooling() -> Any:
    import keras
    from keras import layers, ops

    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, strides=2, activation="relu")(layers.Rescaling(1 / 255)(inputs))
    x = layers.Reshape((9, 32))(layers.Conv2D(32, 3, strides=2, activation="relu")(x))
    weights = layers.Softmax(axis=1)(layers.Dense(1)(x))
    x = ops.sum(x * weights, axis=1)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
