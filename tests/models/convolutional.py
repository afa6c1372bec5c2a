"""Networks of convolutions, in the orders of layers that people write."""

from typing import Any


def sequential() -> Any:
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )


def newcomers() -> Any:
    """A ReLU layer, and a dense layer with an activation: "re_lu" twice in a fresh process."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3),
            layers.ReLU(),
            layers.MaxPooling2D(3),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def notebook_order() -> Any:
    """Convolution, ReLU, BatchNorm on raw pixels: what no converter folds."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            *notebook_layers(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def notebook_layers() -> list[Any]:
    from keras import layers

    return [
        layers.Conv2D(16, 3, activation="relu"),
        layers.BatchNormalization(momentum=0.8),
        layers.MaxPooling2D(2),
        layers.Conv2D(24, 3, activation="relu"),
        layers.BatchNormalization(momentum=0.8),
        layers.MaxPooling2D(2),
    ]


def residual() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = _norm_relu(layers.Conv2D(16, 3, padding="same", use_bias=False)(x))
        y = _norm_relu(layers.Conv2D(16, 3, padding="same", use_bias=False)(x))
        y = layers.BatchNormalization(momentum=0.8)(layers.Conv2D(16, 3, padding="same")(y))
        x = layers.ReLU()(layers.Add()([x, y]))
        return _norm_relu(layers.Conv2D(32, 3, strides=2, padding="same")(x))

    return functional(body)


def norm_after_add() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.Conv2D(16, 3, activation="relu")(x)
        y = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
        x = layers.BatchNormalization(momentum=0.8)(layers.Add()([x, y]))
        y = layers.BatchNormalization(momentum=0.8)(
            layers.Conv2D(16, 3, padding="same", activation="relu")(x)
        )
        return layers.Add()([x, y])

    return functional(body)


def norm_first() -> Any:
    """BatchNorm and ReLU before each convolution, as ResNetV2 has it; BatchNorm of pixels too."""
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.BatchNormalization(momentum=0.8)(x)
        x = layers.Conv2D(16, 3, padding="same")(x)
        for _ in range(2):
            y = layers.Conv2D(16, 3, padding="same")(_norm_relu(x))
            x = layers.Add()([x, y])
        return _norm_relu(x)

    return functional(body, scaled=False)


def inception() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.MaxPooling2D(2)(layers.Conv2D(16, 3, padding="same", activation="relu")(x))
        branches = [
            layers.Conv2D(8, 1, activation="relu")(x),
            layers.Conv2D(8, 3, padding="same", activation="relu")(x),
            layers.Conv2D(8, 5, padding="same", activation="relu")(x),
            layers.AveragePooling2D(3, strides=1, padding="same")(x),
        ]
        return layers.Conv2D(32, 3, activation="relu")(layers.Concatenate()(branches))

    return functional(body)


def densely_connected() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.Conv2D(12, 3, strides=2, padding="same")(x)
        for _ in range(3):
            y = layers.Conv2D(12, 3, padding="same")(_norm_relu(x))
            x = layers.Concatenate()([x, y])
        return _norm_relu(x)

    return functional(body)


def separable() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.SeparableConv2D(16, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(layers.BatchNormalization(momentum=0.8)(x))
        return layers.SeparableConv2D(32, 3, depth_multiplier=2, activation="relu")(x)

    return functional(body)


def grouped() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
        x = layers.Conv2D(32, 3, groups=4, strides=2, padding="same")(x)
        return layers.Conv2D(32, 3, groups=32, padding="same", activation="relu")(_norm_relu(x))

    return functional(body)


def dilated() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.Conv2D(16, 3, dilation_rate=2, activation="relu")(x)
        x = layers.DepthwiseConv2D(3, dilation_rate=2, padding="same", activation="relu")(x)
        return layers.Conv2D(32, 3, strides=2, activation="relu")(x)

    return functional(body)


def transposed() -> Any:
    """Down, up and a skip."""
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
        y = layers.Conv2D(24, 3, strides=2, padding="same", activation="relu")(x)
        y = layers.Conv2DTranspose(12, 3, strides=2, padding="same", activation="relu")(y)
        z = layers.UpSampling2D(2)(layers.MaxPooling2D(2)(x))
        return layers.Conv2D(24, 3, activation="relu")(layers.Concatenate()([x, y, z]))

    return functional(body)


def zero_padding() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
        x = _norm_relu(layers.Conv2D(16, 3, strides=2, use_bias=False)(x))
        x = layers.ZeroPadding2D(1)(layers.Cropping2D(1)(x))
        return layers.Conv2D(24, 3, strides=2, activation="relu")(x)

    return functional(body)


def squeeze_excite() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = _norm_relu(layers.Conv2D(16, 3, strides=2, padding="same")(x))
        y = layers.GlobalAveragePooling2D(keepdims=True)(x)
        y = layers.Conv2D(4, 1, activation="relu")(y)
        x = layers.Multiply()([x, layers.Conv2D(16, 1, activation="sigmoid")(y)])
        x = _norm_relu(layers.Conv2D(32, 3, padding="same")(x))
        y = layers.Dense(8, activation="relu")(layers.GlobalAveragePooling2D()(x))
        y = layers.Reshape((1, 1, 32))(layers.Dense(32, activation="sigmoid")(y))
        return layers.Multiply()([x, y])

    return functional(body)


def group_norm() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.Conv2D(16, 3, strides=2, padding="same")(x)
        x = layers.ReLU()(layers.GroupNormalization(4)(x))
        return layers.Conv2D(32, 3, activation="relu")(x)

    return functional(body)


def layer_norm() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.LayerNormalization()(layers.Conv2D(16, 2, strides=2)(x))
        y = layers.LayerNormalization()(layers.DepthwiseConv2D(5, padding="same")(x))
        y = layers.Dense(16)(layers.Dense(32, activation="relu")(y))
        return layers.LayerNormalization()(layers.Add()([x, y]))

    return functional(body)


def plain() -> Any:
    """Without any scaling inside."""
    return functional(_plain_body, scaled=False)


def logits() -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((16, 16, 3))
    x = _plain_body(layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def global_maximum() -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalMaxPooling2D()(_plain_body(layers.Rescaling(1 / 255)(inputs)))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def functional(body: Any, *, scaled: bool = True, size: int = 16) -> Any:
    """A model of what ``body`` makes of the pictures, pooled, with a softmax behind it."""
    import keras
    from keras import layers

    inputs = keras.Input((size, size, 3))
    x = body(layers.Rescaling(1 / 255)(inputs) if scaled else inputs)
    x = layers.Flatten()(layers.AveragePooling2D(2)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def _plain_body(x: Any) -> Any:
    from keras import layers

    x = layers.MaxPooling2D(2)(layers.Conv2D(16, 3, padding="same", activation="relu")(x))
    return layers.Conv2D(32, 3, activation="relu")(x)


def _norm_relu(x: Any) -> Any:
    from keras import layers

    return layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
