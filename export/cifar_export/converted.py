"""What a converter returns: the file's bytes and what the contract must say of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# What an integer model's input and output tensors are.
IoType = Literal["int8", "uint8", "float32"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """An integer tensor of ``dtype``: ``real = (q - zero_point) * scale``."""

    scale: float
    zero_point: int
    dtype: Literal["int8", "uint8"] = "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """One converted model.

    Attributes:
        data: the file.
        input: quantization of its integer input; None when that is float32.
        output: quantization of its integer output; None likewise.
        conversion: how it was made, JSON-ready, for the card.
        layers: what the converter called the layer that gives a tensor of the file, by the tensor's name there, with
            names of Keras layers between ``/`` and ``;``; empty where the file's own names say that.
    """

    data: bytes
    input: Quantization | None
    output: Quantization | None
    conversion: Mapping[str, Any]
    layers: Mapping[str, str] = field(default_factory=dict)
