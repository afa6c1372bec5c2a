"""The notebook's network, and the same layers on the middle of the picture, centred."""

from typing import Any

from cifar_train.networks.blocks import Head, Shape, centred_pixels

# Of the 32 pixels of a side the layers use the first 26: valid convolutions and pooling drop the rest.
_UNSEEN_PIXELS = 6


def notebook(shape: Shape, head: Head) -> Any:
    """The notebook's layers: 382,858 parameters, 17.94 million multiply-accumulates, BatchNorm after the ReLU."""
    import keras

    return keras.Sequential([keras.Input(shape), *_layers(head, 0.5)], name="notebook")


def seed_cnn(shape: Shape, head: Head) -> Any:
    """The notebook's layers on the middle 26x26 pixels, centred: the same parameters, 9.66 million MACs.

    It sees as much of the picture as the notebook's network, which drops 6 pixels on one side, but from the middle. Its
    Dropout has the rate 0: flips, shifts and soft labels keep it from overfitting already, and half of its features
    held it back.
    """
    import keras

    middle = keras.layers.Cropping2D(_UNSEEN_PIXELS // 2, name="middle_pixels")
    layers = [keras.Input(shape), middle, centred_pixels(), *_layers(head, 0.0)]
    return keras.Sequential(layers, name="seed_cnn")


def _layers(head: Head, dropout_rate: float) -> list[Any]:
    from keras import layers

    stack: list[Any] = []
    for filters, kernel_size in ((64, 7), (128, 3), (256, 3)):
        stack += [
            layers.Conv2D(filters, kernel_size, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
        ]
    return [
        *stack,
        layers.Flatten(),
        layers.Dropout(dropout_rate),
        head.layer(),
    ]
