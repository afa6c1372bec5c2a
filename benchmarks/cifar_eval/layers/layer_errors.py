"""How far each layer of a quantized model strays from the same layer of its float model.

Pure: it matches layers and sums errors over the activations that two traces hand out
(``litert_layers``, ``onnx_layers``); it opens no file.

An export may equalize: it multiplies the channels of one layer by gains and the next layer's
weights by their inverse, which changes no answer. Where a layer seems far off but one gain a channel
explains nearly all of it, the layer is compared up to these gains and marked as rescaled.
"""

import collections
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.progress import Counter, silent

MatchedBy = Literal["name", "order"]

FAR_OFF_DB, RESCALED_DB = 20.0, 10.0
"""A layer counts as rescaled when it is below the first, and fits better by the second with gains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One operator of a model that computes something.

    Attributes:
        name: of its output tensor, different for every layer.
        operator: as the format calls it.
        shape: what tells it from its like where names do not: of its weights, or of its output.
    """

    name: str
    operator: str
    shape: tuple[int, ...] = ()


class Trace(Protocol):
    """A model whose intermediate tensors can be read."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order of execution, without those that only move or convert numbers."""

    @property
    def has_stable_names(self) -> bool:
        """Whether equal names mean equal layers in another model of this format."""

    @property
    def is_float32(self) -> bool:
        """Whether nothing in the model is quantized or of half precision."""

    @property
    def channel_axis(self) -> int:
        """The axis of the channels in every activation."""

    def activations(self, image: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float64]]:
        """The output of every layer by its name, in real units.

        Args:
            image: uint8, shape (1, height, width, 3), RGB, 0..255.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerError:
    """One layer's error.

    Attributes:
        position: among the candidate's layers in the order of execution, from 1.
        name: of the layer's output in the candidate; after an export, what the converter called it.
        operator: as the format calls it.
        sqnr_db: signal to quantization noise ratio in decibels; None when there is no noise.
        max_error: largest absolute difference, in the layer's own unit.
        rescaled: whether the channels have other gains than in the float model; ``sqnr_db`` is what
            remains after these, ``max_error`` still holds them.
    """

    position: int
    name: str
    operator: str
    sqnr_db: float | None
    max_error: float
    rescaled: bool

    @property
    def title(self) -> str:
        """The telling part of a TFLite name such as ``/Relu;net/conv/BiasAdd;net/conv/convolution``."""
        parts = self.name.split(";")
        return next((part for part in parts if part and not part.startswith("/")), self.name)


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


def match_by_name(
    reference: Sequence[Layer], candidate: Sequence[Layer]
) -> list[tuple[Layer, Layer]]:
    """Pairs of layers with the same name, else with the same operator in the same layer of the network.

    A converter drops the addition of a bias of zeros and leaves it out of the fused operator's name
    (``net/conv/Relu;net/conv/convolution``); a corrected bias is no longer zero.
    """
    by_name = {layer.name: layer for layer in reference}
    by_scope, unique = _unique_by_scope(reference), _unique_by_scope(candidate)

    def counterpart(layer: Layer) -> Layer | None:
        scope = _scope(layer)
        return by_name.get(layer.name) or (by_scope.get(scope) if scope in unique else None)

    return [(theirs, ours) for ours in candidate if (theirs := counterpart(ours)) is not None]


def _unique_by_scope(layers: Sequence[Layer]) -> dict[tuple[str, str], Layer]:
    counts = collections.Counter(_scope(layer) for layer in layers)
    return {_scope(layer): layer for layer in layers if counts[_scope(layer)] == 1}


def _scope(layer: Layer) -> tuple[str, str]:
    """The operator, and the network's layer that the first of the fused operations belongs to."""
    return layer.operator, layer.name.split(";")[0].rpartition("/")[0] or layer.name


def match_by_order(
    reference: Sequence[Layer], candidate: Sequence[Layer]
) -> list[tuple[Layer, Layer]]:
    """Pairs of layers with the same operator and shape, in the same order; what is apart stays out."""
    matcher = difflib.SequenceMatcher(
        None,
        [(layer.operator, layer.shape) for layer in reference],
        [(layer.operator, layer.shape) for layer in candidate],
        autojunk=False,
    )
    return [
        (reference[block.a + step], candidate[block.b + step])
        for block in matcher.get_matching_blocks()
        for step in range(block.size)
    ]


def layer_errors(
    reference: Trace,
    candidate: Trace,
    images: NDArray[np.uint8],
    *,
    reference_name: str,
    count: Counter = silent,
) -> LayerErrors:
    """The error of every matched layer over all images, worst first.

    Args:
        reference: the float model.
        candidate: the quantized model.
        images: uint8, shape (n, height, width, 3), RGB, 0..255.
        reference_name: what to call the float model.
        count: sees how many images are done.
    """
    matched_by, pairs = _matched(reference, candidate)
    positions = {layer: index + 1 for index, layer in enumerate(candidate.layers)}
    sums = {pair: _ErrorSum(candidate.channel_axis) for pair in pairs}
    for done, image in enumerate(images, start=1):
        expected = reference.activations(image[np.newaxis])
        found = candidate.activations(image[np.newaxis])
        for theirs, ours in pairs:
            sums[theirs, ours].add(expected.get(theirs.name), found.get(ours.name))
        count(done, len(images))
    rows = [
        LayerError(
            position=positions[ours],
            name=ours.name,
            operator=ours.operator,
            sqnr_db=sums[theirs, ours].sqnr_db,
            max_error=sums[theirs, ours].max_error,
            rescaled=sums[theirs, ours].is_rescaled,
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


def _matched(reference: Trace, candidate: Trace) -> tuple[MatchedBy, list[tuple[Layer, Layer]]]:
    """Pairs by name where names mean something and most layers have a namesake, else by order."""
    if candidate.has_stable_names:
        pairs = match_by_name(reference.layers, candidate.layers)
        if 2 * len(pairs) >= len(candidate.layers):
            return "name", pairs
    return "order", match_by_order(reference.layers, candidate.layers)


class _ErrorSum:
    """Signal and noise power of one layer, added up over images, the products channel by channel."""

    def __init__(self, channel_axis: int) -> None:
        self._channel_axis = channel_axis
        self._noise = 0.0
        self._expected_squares: NDArray[np.float64] = np.zeros(1)
        self._found_squares: NDArray[np.float64] = np.zeros(1)
        self._products: NDArray[np.float64] = np.zeros(1)
        self.max_error = 0.0
        self.is_comparable = True

    def add(self, expected: NDArray[np.float64] | None, found: NDArray[np.float64] | None) -> None:
        if expected is None or found is None or expected.shape != found.shape:
            self.is_comparable = False
            return
        error = np.abs(expected - found)
        self._noise += float(np.square(error).sum())
        self.max_error = max(self.max_error, float(error.max(initial=0.0)))
        self._expected_squares = self._expected_squares + self._by_channel(expected * expected)
        self._found_squares = self._found_squares + self._by_channel(found * found)
        self._products = self._products + self._by_channel(expected * found)

    @property
    def sqnr_db(self) -> float | None:
        """What remains after the gains where the layer is rescaled; None without noise."""
        return self._sqnr_db(self._noise_after_gains if self.is_rescaled else self._noise)

    @property
    def is_rescaled(self) -> bool:
        """Whether one gain a channel explains nearly all of the difference."""
        plain, fitted = self._sqnr_db(self._noise), self._sqnr_db(self._noise_after_gains)
        if plain is None or plain >= FAR_OFF_DB:
            return False
        return fitted is None or fitted - plain > RESCALED_DB

    @property
    def _noise_after_gains(self) -> float:
        """The noise that is left by the best gain of every channel: r^2 - (r q)^2 / q^2 of it."""
        explained = np.square(np.maximum(self._products, 0)) / np.maximum(
            self._found_squares, np.finfo(np.float64).tiny
        )
        # Rounding can leave a hair below zero where the channels are equal.
        return float(np.maximum(self._expected_squares - explained, 0).sum())

    def _by_channel(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        others = tuple(set(range(values.ndim)) - {self._channel_axis % values.ndim})
        return np.asarray(values.sum(axis=others))

    def _sqnr_db(self, noise: float) -> float | None:
        """Source: as ``cifar_eval.parity.counts``."""
        if noise == 0:
            return None
        signal = float(self._expected_squares.sum())
        return 10 * math.log10(max(signal, np.finfo(np.float64).tiny) / noise)
