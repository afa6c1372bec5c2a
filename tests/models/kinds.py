"""The table of the battery: one kind of model a row. Builders import Keras inside."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models import attention, backbones, convolutional, dense, operators, wrapped


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of model.

    Attributes:
        build: makes the model, untrained.
        size: of the pictures' sides, in pixels.
        num_classes: 10, or 2 for even and odd digits.
        input_range: what the model takes for pixels 0..255, as ``--input-range`` names it.
        options: further flags of the export.
        is_quick: whether every test run exports it.
        trains: the whole model, or one whose backbone is called as frozen.
        epochs: of training.
        learning_rate: of Adam.
    """

    build: Callable[[], Any]
    size: int = 16
    num_classes: int = 10
    input_range: str = "0..255"
    options: tuple[str, ...] = ()
    is_quick: bool = False
    trains: str = "all"
    epochs: int = 10
    learning_rate: float = 0.01


KINDS: dict[str, Kind] = {
    "sequential": Kind(build=convolutional.sequential, epochs=20),
    "newcomer's": Kind(build=convolutional.newcomers, is_quick=True),
    "notebook order": Kind(build=convolutional.notebook_order),
    "residual": Kind(build=convolutional.residual),
    "batch norm after add": Kind(build=convolutional.norm_after_add),
    "batch norm first": Kind(build=convolutional.norm_first),
    "inception": Kind(build=convolutional.inception),
    "dense connections": Kind(build=convolutional.densely_connected),
    "separable": Kind(build=convolutional.separable),
    "grouped": Kind(build=convolutional.grouped),
    "dilated": Kind(build=convolutional.dilated),
    "transposed": Kind(build=convolutional.transposed),
    "zero padding": Kind(build=convolutional.zero_padding),
    "squeeze and excite": Kind(build=convolutional.squeeze_excite),
    "group norm": Kind(build=convolutional.group_norm),
    "layer norm": Kind(build=convolutional.layer_norm),
    "unit range": Kind(
        build=convolutional.plain, input_range="0..1", options=("--input-range=0..1",)
    ),
    "signed range": Kind(
        build=convolutional.plain, input_range="-1..1", options=("--input-range=-1..1",)
    ),
    "logits": Kind(build=convolutional.logits, epochs=40),
    "global maximum": Kind(build=convolutional.global_maximum, epochs=20),
    "dense only": Kind(build=dense.dense_only, is_quick=True),
    "one sigmoid": Kind(build=dense.one_sigmoid, num_classes=2, is_quick=True),
    "two scores": Kind(build=dense.two_scores, num_classes=2),
    "rows by LSTM": Kind(build=dense.rows_by_lstm),
    "rows by GRU": Kind(build=dense.rows_by_gru),
    "rows by Conv1D": Kind(build=dense.rows_by_conv1d),
    "time distributed": Kind(build=dense.time_distributed),
    "elu": Kind(build=operators.elu),
    "gelu": Kind(build=operators.gelu),
    "gelu by tanh": Kind(build=operators.gelu_by_tanh),
    "swish": Kind(build=operators.swish),
    "hard swish": Kind(build=operators.hard_swish),
    "selu": Kind(build=operators.selu),
    "mish": Kind(build=operators.mish, is_quick=True),
    "softplus": Kind(build=operators.softplus, learning_rate=0.002),
    "leaky and parametric": Kind(build=operators.leaky),
    "relu6": Kind(build=operators.relu6),
    "operators as layers": Kind(build=operators.as_layers),
    "softmax operator": Kind(build=operators.softmax_operator),
    "gate": Kind(build=operators.gate),
    "nested": Kind(build=wrapped.nested, is_quick=True),
    "nested notebook": Kind(build=wrapped.nested_notebook),
    "shared layers": Kind(build=wrapped.shared_layers),
    "normalization": Kind(build=wrapped.normalization, is_quick=True),
    "augmentation": Kind(build=wrapped.augmentation),
    "mixed float16": Kind(build=wrapped.mixed_float16),
    "resizing inside": Kind(build=wrapped.resizing, size=24),
    "custom loss": Kind(build=wrapped.custom_loss),
    "noise and dropout": Kind(build=wrapped.noise),
    "ConvMixer": Kind(build=attention.conv_mixer),
    "ViT": Kind(build=attention.vision_transformer, epochs=40, learning_rate=0.002),
    "attention pooling": Kind(build=attention.attention_pooling),
    "MobileNetV2": Kind(
        build=backbones.mobilenet_v2, trains="backbone", size=32, learning_rate=0.003, epochs=12
    ),
    "MobileNetV3Small": Kind(
        build=backbones.mobilenet_v3, trains="backbone", size=32, learning_rate=0.003, epochs=8
    ),
    "EfficientNetB0": Kind(
        build=backbones.efficientnet_b0, trains="backbone", size=32, learning_rate=0.003, epochs=2
    ),
    "EfficientNetV2B0": Kind(
        build=backbones.efficientnet_v2_b0,
        trains="backbone",
        size=32,
        learning_rate=0.003,
        epochs=2,
    ),
    "ResNet50V2": Kind(
        build=backbones.resnet50_v2, trains="backbone", size=32, learning_rate=0.003, epochs=1
    ),
    "DenseNet121": Kind(
        build=backbones.densenet121, trains="backbone", size=32, learning_rate=0.003, epochs=2
    ),
    "NASNetMobile": Kind(
        build=backbones.nasnet_mobile, trains="backbone", size=32, learning_rate=0.003, epochs=2
    ),
}


if __name__ == "__main__":
    print("\n".join(KINDS))
