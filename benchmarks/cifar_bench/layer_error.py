"""How far each layer of a quantized model strays from the same layer of its float model.

Pure: it matches layers and sums errors over the activations that two traces hand out
(``litert_layers``, ``onnx_layers``); it opens no file.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

MatchedBy = Literal["name", "order"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One operator of a model that computes something.

    Attributes:
        name: of its output tensor.
        operator: as the format calls it.
    """

    name: str
    operator: str


class Trace(Protocol):
    """A model whose intermediate tensors can be read."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order of execution, without those that only move or convert numbers."""

    @property
    def is_float32(self) -> bool:
        """Whether nothing in the model is quantized or of half precision."""

    def activations(self, image: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float64]]:
        """The output of every layer by its name, in real units.

        Args:
            image: uint8, shape (1, height, width, 3), RGB, 0..255.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerError:
    """One layer's error.

    Attributes:
        name: of the layer's output in the candidate.
        operator: as the format calls it.
        sqnr_db: signal to quantization noise ratio in decibels; None when there is no noise.
        max_error: largest absolute difference, in the layer's own unit.
    """

    name: str
    operator: str
    sqnr_db: float | None
    max_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerErrors:
    """All layers of a candidate that have a counterpart.

    Attributes:
        reference: name of the float model.
        matched_by: whether layers were paired by the names of their tensors, or by the order of
            their operators.
        num_images: images that the errors are summed over.
        unmatched: layers of the candidate without a counterpart.
        layers: worst first.
    """

    reference: str
    matched_by: MatchedBy
    num_images: int
    unmatched: int
    layers: tuple[LayerError, ...]

    def to_json(self) -> dict[str, Any]:
        """The errors as JSON-ready data."""
        return asdict(self)


def match_layers(
    reference: Sequence[Layer], candidate: Sequence[Layer]
) -> tuple[MatchedBy, list[tuple[Layer, Layer]]]:
    """Pairs of layers: of equal names; where no names are equal, of the same operators in order."""
    by_name = {layer.name: layer for layer in reference}
    named = [(by_name[layer.name], layer) for layer in candidate if layer.name in by_name]
    if named:
        return "name", named
    matcher = difflib.SequenceMatcher(
        None,
        [layer.operator for layer in reference],
        [layer.operator for layer in candidate],
        autojunk=False,
    )
    blocks = matcher.get_matching_blocks()
    return "order", [
        (reference[block.a + step], candidate[block.b + step])
        for block in blocks
        for step in range(block.size)
    ]


def layer_errors(
    reference: Trace, candidate: Trace, images: NDArray[np.uint8], *, reference_name: str
) -> LayerErrors:
    """The error of every matched layer over all images, worst first.

    Args:
        reference: the float model.
        candidate: the quantized model.
        images: uint8, shape (n, height, width, 3), RGB, 0..255.
        reference_name: what to call the float model.
    """
    matched_by, pairs = match_layers(reference.layers, candidate.layers)
    sums = {pair: _ErrorSum() for pair in pairs}
    for image in images:
        expected = reference.activations(image[np.newaxis])
        found = candidate.activations(image[np.newaxis])
        for theirs, ours in pairs:
            sums[theirs, ours].add(expected.get(theirs.name), found.get(ours.name))
    rows = [
        LayerError(
            name=ours.name,
            operator=ours.operator,
            sqnr_db=sums[theirs, ours].sqnr_db,
            max_error=sums[theirs, ours].max_error,
        )
        for theirs, ours in pairs
        if sums[theirs, ours].is_comparable
    ]
    rows.sort(key=lambda row: math.inf if row.sqnr_db is None else row.sqnr_db)
    return LayerErrors(
        reference=reference_name,
        matched_by=matched_by,
        num_images=len(images),
        unmatched=len(candidate.layers) - len(rows),
        layers=tuple(rows),
    )


class _ErrorSum:
    """Signal and noise power of one layer, added up over images."""

    def __init__(self) -> None:
        self._signal = 0.0
        self._noise = 0.0
        self.max_error = 0.0
        self.is_comparable = True

    def add(self, expected: NDArray[np.float64] | None, found: NDArray[np.float64] | None) -> None:
        if expected is None or found is None or expected.shape != found.shape:
            self.is_comparable = False
            return
        error = np.abs(expected - found)
        self._signal += float(np.square(expected).sum())
        self._noise += float(np.square(error).sum())
        self.max_error = max(self.max_error, float(error.max(initial=0.0)))

    @property
    def sqnr_db(self) -> float | None:
        """Source: as ``cifar_bench.parity``."""
        if self._noise == 0:
            return None
        return 10 * math.log10(max(self._signal, np.finfo(np.float64).tiny) / self._noise)
