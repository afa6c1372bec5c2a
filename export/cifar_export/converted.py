"""What a converter returns: the file's bytes and what the contract must say of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """An integer tensor: ``real = (q - zero_point) * scale``."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """One converted model.

    Attributes:
        data: the file.
        input: quantization of its int8 input; None when that is float32.
        output: quantization of its int8 output; None likewise.
        conversion: how it was made, JSON-ready, for the card.
    """

    data: bytes
    input: Quantization | None
    output: Quantization | None
    conversion: Mapping[str, Any]
