"""Networks told apart by their activations, and by operators that stand where layers might."""

from typing import Any

from models.convolutional import functional


def elu() -> Any:
    return _activated("elu")


def gelu() -> Any:
    return _activated("gelu")


def gelu_by_tanh() -> Any:
    import keras

    return functional(lambda x: _two_convolutions(x, lambda y: keras.ops.gelu(y, approximate=True)))


def swish() -> Any:
    return _activated("silu")


def hard_swish() -> Any:
    return _activated("hard_silu")


def selu() -> Any:
    return _activated("selu")


def mish() -> Any:
    return _activated("mish")


def softplus() -> Any:
    return _activated("softplus")


def leaky() -> Any:
    from keras import layers

    def body(x: Any) -> Any:
        x = layers.LeakyReLU(negative_slope=0.1)(layers.Conv2D(16, 3, strides=2)(x))
        return layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(32, 3)(x))

    return functional(body)


def relu6() -> Any:
    return _activated("relu6")


def as_layers() -> Any:
    """No layer where an operator will do."""
    import keras
    from keras import layers, ops

    inputs = keras.Input((16, 16, 3))
    x = (inputs - ops.convert_to_tensor([125.0, 123.0, 114.0])) / 64.0
    x = ops.relu(layers.Conv2D(16, 3, strides=2)(x))
    y = ops.relu(layers.Conv2D(16, 3, padding="same")(x))
    y = layers.BatchNormalization(momentum=0.8)(y)
    x = ops.max_pool(x * 0.5 + y, 2)
    x = ops.mean(ops.maximum(layers.Conv2D(32, 3)(x), 0.0), axis=(1, 2))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def softmax_operator() -> Any:
    import keras
    from keras import layers, ops

    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, strides=2, activation="relu")(inputs / 255.0)
    x = layers.Flatten()(layers.Conv2D(16, 3, activation="relu")(x))
    return keras.Model(inputs, ops.softmax(layers.Dense(10)(x)))


def gate() -> Any:
    """A scale with nothing to fold into stays a multiplication; a subtraction from one."""
    from keras import layers, ops

    def body(x: Any) -> Any:
        x = layers.ReLU(max_value=6.0)(layers.Conv2D(16, 3, strides=2)(x))
        x = layers.BatchNormalization(momentum=0.8)(x)
        y = layers.Activation("sigmoid")(x)
        x = layers.Multiply()([x, y]) + ops.tanh(x) * (1.0 - y)
        return layers.Conv2D(32, 3, activation="relu")(x)

    return functional(body)


def _activated(name: str) -> Any:
    from keras import layers

    def activate(x: Any) -> Any:
        return layers.Activation(name)(x)

    return functional(lambda x: _two_convolutions(x, activate))


def _two_convolutions(x: Any, activate: Any) -> Any:
    from keras import layers

    x = activate(layers.Conv2D(16, 3, strides=2, padding="same")(x))
    return activate(layers.Conv2D(32, 3, padding="same")(x))
