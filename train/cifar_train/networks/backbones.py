"""Backbones, most of them Keras' own, with a head for other classes, to be trained further from others' weights.

The pixels that a backbone was trained on are made by a leading Rescaling, so that it takes raw pixels as all networks
here do, and exports carry the mapping in their contract.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cifar_train.networks.blocks import Head, Shape

Backbone = Literal["mobilenet-v2", "mobilenet-v3-small", "efficientnet-v2-b0", "efficientnet-lite0"]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
_DROPOUT_RATE = 0.2
# Keras' 0.999 of MobileNets averages over the last thousand steps: fresh weights are trained for hardly more.
_MOMENTUM = 0.9
_MEANS, _DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """How a backbone is built, and what it takes for a pixel: pixel * scale + offset, by channel or for all.

    ``function`` is one of ``keras.applications``; None for EfficientNet-Lite0, which is not among them.
    """

    function: str | None
    options: Mapping[str, Any]
    scale: float | tuple[float, ...] = 1 / 127.5
    offset: float | tuple[float, ...] = -1.0


# Source: keras.applications: imagenet_utils.preprocess_input of mode tf; the layers that include_preprocessing adds;
# tensorflow/tpu, models/official/efficientnet/lite: MEAN_RGB and STDDEV_RGB, which are 127 and 128.
_KINDS: Mapping[Backbone, _Kind] = {
    "mobilenet-v2": _Kind(function="MobileNetV2", options={}),
    "mobilenet-v3-small": _Kind(
        function="MobileNetV3Small", options={"include_preprocessing": False}
    ),
    "efficientnet-v2-b0": _Kind(
        function="EfficientNetV2B0",
        options={"include_preprocessing": False},
        scale=tuple(1 / 255 / deviation for deviation in _DEVIATIONS),
        offset=tuple(
            -mean / deviation for mean, deviation in zip(_MEANS, _DEVIATIONS, strict=True)
        ),
    ),
    "efficientnet-lite0": _Kind(
        function=None,
        options={},
        scale=1 / 128,
        offset=-127 / 128,
    ),
}


def with_head(backbone: Backbone, shape: Shape, head: Head) -> Any:
    """The backbone with fresh weights on raw pixels, its features averaged over all positions, and a head."""
    import keras
    from keras import layers

    kind = _KINDS[backbone]
    image = keras.Input(shape, name="image")
    rescaled = layers.Rescaling(kind.scale, kind.offset, name="backbone_pixels")(image)
    features = keras_backbone(backbone, weights=None, input_tensor=rescaled).output
    dropped = layers.Dropout(_DROPOUT_RATE)(features)
    model = keras.Model(image, head.layer()(dropped), name=backbone.replace("-", "_"))
    for layer in _batch_norms(model):
        layer.momentum = _MOMENTUM
    return model


def keras_backbone(backbone: Backbone, *, weights: str | None, **image: Any) -> Any:
    """The model without its top, whose output is the mean features.

    Args:
        backbone: which.
        weights: ``imagenet``, which Keras downloads and keeps or an installed package brings, a file's path, or None
            for fresh ones.
        image: its ``input_tensor`` or ``input_shape``, as Keras takes them.
    """
    import keras

    kind = _KINDS[backbone]
    if kind.function is None:
        from cifar_train.networks.efficientnet_lite import efficientnet_lite0

        return efficientnet_lite0(weights=weights, **image)
    function = getattr(keras.applications, kind.function)
    return function(include_top=False, weights=weights, pooling="avg", **kind.options, **image)


def hold_batch_norm(model: Any) -> None:
    """Keeps BatchNorm in inference mode while training: few pictures would spoil the statistics of many.

    Source: Keras' guide "Transfer learning & fine-tuning".
    """
    for layer in _batch_norms(model):
        layer.trainable = False


def _batch_norms(model: Any) -> Iterator[Any]:
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            yield layer
