"""Settings of TensorFlow Lite operators, by name: strides, padding, activation. It reads one table and judges nothing.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs (tables ``Conv2DOptions`` and following: field numbers, types,
defaults).
"""

from collections.abc import Mapping

from cifar_runtime.formats.flatbuffer import Table

# Each field: its name, struct format and default, in the schema's order.
_Field = tuple[str, str, int]
_ACTIVATION: _Field = ("fused_activation_function", "b", 0)
_PADDING_AND_STRIDES: tuple[_Field, ...] = (
    ("padding", "b", 0),
    ("stride_w", "i", 0),
    ("stride_h", "i", 0),
)
_DILATIONS: tuple[_Field, ...] = (("dilation_w_factor", "i", 1), ("dilation_h_factor", "i", 1))
_POOL: tuple[_Field, ...] = (
    *_PADDING_AND_STRIDES,
    ("filter_width", "i", 0),
    ("filter_height", "i", 0),
    _ACTIVATION,
)
_MASKS: tuple[_Field, ...] = tuple(
    (f"{name}_mask", "i", 0) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
)
_FIELDS: dict[str, tuple[_Field, ...]] = {
    "ADD": (_ACTIVATION,),
    "AVERAGE_POOL_2D": _POOL,
    "CONCATENATION": (("axis", "i", 0), _ACTIVATION),
    "CONV_2D": (*_PADDING_AND_STRIDES, _ACTIVATION, *_DILATIONS),
    "DEPTHWISE_CONV_2D": (
        *_PADDING_AND_STRIDES,
        ("depth_multiplier", "i", 0),
        _ACTIVATION,
        *_DILATIONS,
    ),
    "FULLY_CONNECTED": (_ACTIVATION, ("weights_format", "b", 0), ("keep_num_dims", "b", 0)),
    "LEAKY_RELU": (("alpha", "f", 0),),
    "MAX_POOL_2D": _POOL,
    "MEAN": (("keep_dims", "b", 0),),
    "MUL": (_ACTIVATION,),
    "SOFTMAX": (("beta", "f", 0),),
    "STRIDED_SLICE": _MASKS,
    "SUM": (("keep_dims", "b", 0),),
}


def operator_options(name: str, table: Table | None) -> Mapping[str, float]:
    """The settings of an operator; its schema's defaults where ``table`` is None or leaves them out.

    Args:
        name: the operator, as CONV_2D; empty settings for one whose table is not known here.
        table: its ``builtin_options``.

    Raises:
        ValueError: an offset points outside the file.
    """
    fields = _FIELDS.get(name, ())
    return {
        field: default if table is None else table.number(index, form, default=default)
        for index, (field, form, default) in enumerate(fields)
    }
