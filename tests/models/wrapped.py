"""Networks inside networks, shared layers, and layers that do their work in training or before the first layer."""

from typing import Any

from models.convolutional import functional, notebook_layers


def nested() -> Any:
    """Sequential blocks of a functional block, one of them called twice."""
    import keras
    from keras import layers

    def block(channels: int, name: str) -> Any:
        inputs = keras.Input((None, None, channels))
        x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv")(inputs)
        x = layers.BatchNormalization(momentum=0.8, name="norm")(x)
        return keras.Model(inputs, layers.ReLU(name="relu")(x), name=name)

    again = block(16, "again")
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.Sequential([layers.Rescaling(1 / 255), block(3, "block")]),
            layers.MaxPooling2D(2),
            again,
            keras.Sequential([layers.MaxPooling2D(2), again]),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def nested_notebook() -> Any:
    """The notebook's order of layers as one layer of another model."""
    import keras
    from keras import layers

    inner = keras.Sequential([keras.Input((16, 16, 3)), *notebook_layers()], name="backbone")
    inputs = keras.Input((16, 16, 3))
    x = layers.Flatten()(inner(inputs))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def shared_layers() -> Any:
    """One convolution and one BatchNorm, each called on both halves of the picture."""
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
        shared, norm = layers.Conv2D(16, 3, padding="same"), layers.BatchNormalization(momentum=0.8)
        halves = [layers.Cropping2D(((0, 0), cut))(x) for cut in ((0, 4), (4, 0))]
        return layers.Concatenate()([layers.ReLU()(norm(shared(half))) for half in halves])

    return functional(body)


def normalization() -> Any:
    """Pixels by their mean and deviation, which ``adapt`` measures."""
    import keras
    from keras import layers

    from models.pictures import pictures

    (images, _), _ = pictures(16, num_classes=10)
    layer = layers.Normalization()
    layer.adapt(images[:256].astype("float32"))
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layer,
            layers.Conv2D(16, 3, padding="same", strides=2, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def augmentation() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.RandomTranslation(0.05, 0.05)(layers.RandomRotation(0.02)(x))
        x = layers.RandomContrast(0.1)(layers.RandomZoom(0.05)(x))
        x = layers.Conv2D(16, 3, strides=2, activation="relu")(x)
        return layers.Conv2D(32, 3, activation="relu")(x)

    return functional(body)


def mixed_float16() -> Any:
    """A nested backbone under the policy of GPUs."""
    import keras
    from keras import layers

    keras.mixed_precision.set_global_policy("mixed_float16")
    inner = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(16, 3, strides=2, padding="same"),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            layers.Conv2D(32, 3, activation="relu"),
        ]
    )
    inputs = keras.Input((16, 16, 3))
    x = layers.Flatten()(inner(layers.Rescaling(1 / 255)(inputs)))
    return keras.Model(inputs, layers.Dense(10, activation="softmax", dtype="float32")(x))


def resizing() -> Any:
    """Pictures of 24 pixels brought to 16 inside."""
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.Conv2D(16, 3, strides=2, activation="relu")(layers.Resizing(16, 16)(x))
        return layers.Conv2D(32, 3, activation="relu")(x)

    return functional(body, size=24)


def custom_loss() -> Any:
    """Compiled with a loss and a metric that are not Keras' own, which the file then names."""
    import keras
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.Conv2D(16, 3, strides=2, activation="relu")(x)
        return layers.Conv2D(32, 3, activation="relu")(x)

    def own_loss(wanted: Any, found: Any) -> Any:
        return 1.5 * keras.losses.sparse_categorical_crossentropy(wanted, found)

    model = functional(body)
    model.compile(keras.optimizers.Adam(0.01), own_loss)
    return model


def noise() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.GaussianNoise(0.05)(x)
        x = layers.SpatialDropout2D(0.1)(layers.Conv2D(16, 3, strides=2, activation="relu")(x))
        x = layers.ActivityRegularization(1e-6)(layers.Conv2D(32, 3, activation="relu")(x))
        return layers.Dropout(0.1)(x)

    return functional(body)
