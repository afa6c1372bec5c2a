"""Networks of dense and recurrent layers, and heads of two classes."""

from typing import Any


def dense_only() -> Any:
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.BatchNormalization(momentum=0.8),
            layers.Dense(32, activation="tanh"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def one_sigmoid() -> Any:
    return _of_two(1, "sigmoid")


def two_scores() -> Any:
    return _of_two(2, "softmax")


def rows_by_lstm() -> Any:
    from keras import layers

    return _of_rows(layers.LSTM(24))


def rows_by_gru() -> Any:
    from keras import layers

    return _of_rows(layers.GRU(24))


def rows_by_conv1d() -> Any:
    import keras
    from keras import layers

    rows = [
        layers.Conv1D(24, 3, activation="relu"),
        layers.MaxPooling1D(2),
        layers.Conv1D(24, 3, activation="relu"),
        layers.GlobalAveragePooling1D(),
    ]
    return _of_rows(keras.Sequential(rows))


def time_distributed() -> Any:
    import keras
    from keras import layers

    return _of_rows(
        keras.Sequential(
            [layers.TimeDistributed(layers.Dense(8, activation="relu")), layers.Flatten()]
        )
    )


def _of_rows(body: Any) -> Any:
    """A picture's rows as a sequence."""
    import keras
    from keras import layers

    inputs = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 48))(layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(body(x)))


def _of_two(units: int, activation: str) -> Any:
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(units, activation=activation),
        ]
    )
