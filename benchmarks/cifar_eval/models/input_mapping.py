"""What a Keras checkpoint takes for a pixel: the ranges and statistics that are in use, by name. Imports numpy only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.errors import ArtefactError

Channels = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputMapping:
    """What a model takes for a pixel, 0..255: the pixel times ``multiplier``, plus ``offset``.

    Attributes:
        multiplier: one number, or one for each channel, in the order that the model takes.
        offset: likewise.
        is_bgr: whether the model takes blue first; images are RGB.
    """

    multiplier: float | Channels = 1.0
    offset: float | Channels = 0.0
    is_bgr: bool = False

    def inputs(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the model takes for images, float32, of the shape of these: uint8 RGB, (n, height, width, 3)."""
        ordered = images[..., ::-1] if self.is_bgr else images
        multiplier, offset = (
            np.asarray(self.multiplier, np.float32),
            np.asarray(self.offset, np.float32),
        )
        return np.asarray(ordered.astype(np.float32) * multiplier + offset, np.float32)

    def to_json(self) -> dict[str, Any]:
        """The mapping as JSON-ready data."""
        return {
            "multiplier": _listed(self.multiplier),
            "offset": _listed(self.offset),
            "colour_order": "BGR" if self.is_bgr else "RGB",
        }


def mapping_from_json(document: Mapping[str, Any]) -> InputMapping:
    """The mapping that ``to_json`` wrote.

    Raises:
        ArtefactError: it is of another form.
    """
    try:
        multiplier, offset = (_values(document[name]) for name in ("multiplier", "offset"))
        is_bgr = {"RGB": False, "BGR": True}[document["colour_order"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            f"the input mapping {document} is not one that cifar-export writes: {error!r}.",
            hint="Export the model again with cifar-export.",
        ) from error
    return InputMapping(multiplier=multiplier, offset=offset, is_bgr=is_bgr)


def _values(value: object) -> float | Channels:
    if isinstance(value, list):
        red, green, blue = (float(one) for one in value)
        return red, green, blue
    return float(value)  # type: ignore[arg-type]


def _listed(value: float | Channels) -> float | list[float]:
    return list(value) if isinstance(value, tuple) else value


RAW_PIXELS = InputMapping()

INPUT_MAPPINGS: Mapping[str, InputMapping] = {
    "0..255": RAW_PIXELS,
    "0..1": InputMapping(multiplier=1 / 255),
    "-1..1": InputMapping(multiplier=1 / 127.5, offset=-1.0),
    "torch": InputMapping(
        multiplier=(1 / 255 / 0.229, 1 / 255 / 0.224, 1 / 255 / 0.225),
        offset=(-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225),
    ),
    "caffe": InputMapping(offset=(-103.939, -116.779, -123.68), is_bgr=True),
}
"""By the names of ``cifar-export --input-range``; the last two are ImageNet's mean and deviation, and its mean alone.

Source: keras 3.15, keras/src/applications/imagenet_utils.py, the modes of preprocess_input.
"""
