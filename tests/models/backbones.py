"""keras.applications with drawn weights, each as one layer with a head behind it: the shape of transfer learning."""

from typing import Any

SIZE = 32


def mobilenet_v2() -> Any:
    import keras

    def scaled(x: Any) -> Any:
        return keras.applications.mobilenet_v2.preprocess_input(x)

    return _transferred(keras.applications.MobileNetV2, scaled, alpha=0.35)


def mobilenet_v3() -> Any:
    import keras

    return _transferred(keras.applications.MobileNetV3Small)


def efficientnet_b0() -> Any:
    import keras

    return _transferred(keras.applications.EfficientNetB0)


def efficientnet_v2_b0() -> Any:
    import keras

    return _transferred(keras.applications.EfficientNetV2B0)


def resnet50_v2() -> Any:
    import keras

    def scaled(x: Any) -> Any:
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x)

    return _transferred(keras.applications.ResNet50V2, scaled)


def densenet121() -> Any:
    """Its preprocessing is ImageNet's mean and deviation."""
    import keras

    def scaled(x: Any) -> Any:
        return keras.applications.densenet.preprocess_input(x)

    return _transferred(keras.applications.DenseNet121, scaled)


def nasnet_mobile() -> Any:
    import keras

    def scaled(x: Any) -> Any:
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x)

    return _transferred(keras.applications.NASNetMobile, scaled)


def _transferred(make: Any, scaled: Any = lambda x: x, **settings: Any) -> Any:
    import keras
    from keras import layers

    backbone = make(input_shape=(SIZE, SIZE, 3), include_top=False, weights=None, **settings)
    backbone.trainable = False
    inputs = keras.Input((SIZE, SIZE, 3))
    x = backbone(scaled(inputs), training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
