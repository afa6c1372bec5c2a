"""What the firmware will compute, in NumPy's 64-bit integers: the golden scores, without a compiler or a board.

A second implementation of the kernels of ``c/``, by other means (patches as one matrix product), so that the two judge
one another. It writes no C.
"""

import math
from collections.abc import Callable, Iterator
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from cifar_export.firmware import fixed_point
from cifar_export.firmware.lowering.lower import Network
from cifar_export.firmware.operators import (
    Addition,
    Block,
    Channel,
    Convolution,
    Depthwise,
    Elementwise,
    Four,
    Lookup,
    Movement,
    Multiplication,
    Operator,
    OutputRange,
    Pooling,
    Reduction,
    Softmax,
    Window,
)

Tensors = dict[int, NDArray[np.int8]]
_Integers = NDArray[np.int64]
_BATCH = 64


def simulate(network: Network, images: NDArray[np.int8]) -> NDArray[np.int8]:
    """The scores of images.

    Args:
        network: what to compute.
        images: int8, shape (n, ...), as the network's input expects them.

    Returns:
        int8, shape (n, num_classes).
    """
    rows = images.reshape(len(images), -1)
    parts = [
        list(trace(network, rows[start : start + _BATCH]))[-1][1][network.output]
        for start in range(0, len(rows), _BATCH)
    ]
    return np.concatenate(parts)


def trace(network: Network, images: NDArray[np.int8]) -> Iterator[tuple[Operator, Tensors]]:
    """Each operator after it has run, with all tensors so far: int8, shape (n, numbers)."""
    tensors: Tensors = {
        index: np.frombuffer(data, np.int8)[None].repeat(len(images), axis=0)
        for index, data in network.constants.items()
    }
    tensors[network.input] = images
    for operator in network.operators:
        result = _run(operator, tensors)
        tensors[operator.output] = result.reshape(len(images), -1).astype(np.int8)
        yield operator, tensors


@singledispatch
def _run(operator: Operator, tensors: Tensors) -> _Integers:
    raise TypeError(f"no simulation of {operator}, {len(tensors)}")


@_run.register
def _convolution(operator: Convolution, tensors: Tensors) -> _Integers:
    source = tensors[operator.inputs[0]]
    patches = _patches(operator.window, source, operator.input_zero_point)
    # Sums of 2 ** 10 products of 14 bits fill float32's 24.
    exact = np.float32 if operator.window.patch_bytes <= 1024 else np.float64
    sums = patches.astype(exact) @ operator.weights.T.astype(exact)
    return _scaled(sums.astype(np.int64), operator.channels, operator.range)


@_run.register
def _depthwise(operator: Depthwise, tensors: Tensors) -> _Integers:
    window = operator.window
    patches = _patches(window, tensors[operator.inputs[0]], operator.input_zero_point)
    taps = window.size[0] * window.size[1]
    patches = patches.reshape(*patches.shape[:2], taps, window.channels)
    repeated = patches.repeat(operator.multiplier, axis=3).astype(np.float64)
    weights = operator.weights.reshape(taps, -1).astype(np.float64)
    sums = np.einsum("nptc,tc->npc", repeated, weights)
    return _scaled(sums.astype(np.int64), operator.channels, operator.range)


@_run.register
def _pooling(operator: Pooling, tensors: Tensors) -> _Integers:
    window = operator.window
    index = _patch_index(window).reshape(-1, window.size[0] * window.size[1], window.channels)
    inside = index >= 0
    values = tensors[operator.inputs[0]][:, index].astype(np.int64)
    if operator.name == "MAX_POOL_2D":
        result = np.where(inside, values, -128).max(axis=2)
    else:
        counts = inside.sum(axis=1)
        sums = np.where(inside, values, 0).sum(axis=2)
        # Towards zero from half a count away from it.
        result = np.sign(sums) * ((np.abs(sums) + counts // 2) // counts)
    held: _Integers = np.clip(result, operator.range.lowest, operator.range.highest)
    return held


@_run.register
def _addition(operator: Addition, tensors: Tensors) -> _Integers:
    one, other = _operands(operator, tensors)
    left, right = operator.factors
    total = _rescale(one << 20, left.multiplier, left.shift)
    total = total + _rescale(other << 20, right.multiplier, right.shift)
    factor = operator.factor
    return _clipped(_rescale(total, factor.multiplier, factor.shift), operator.range)


@_run.register
def _multiplication(operator: Multiplication, tensors: Tensors) -> _Integers:
    one, other = _operands(operator, tensors)
    factor = operator.factor
    return _clipped(_rescale(one * other, factor.multiplier, factor.shift), operator.range)


@_run.register
def _reduction(operator: Reduction, tensors: Tensors) -> _Integers:
    shape = (-1, operator.outer, operator.reduced, operator.inner)
    sums = tensors[operator.inputs[0]].astype(np.int64).reshape(shape).sum(axis=2) + operator.offset
    factor = operator.factor
    return _clipped(_rescale(sums, factor.multiplier, factor.shift), operator.range)


@_run.register
def _lookup(operator: Lookup, tensors: Tensors) -> _Integers:
    return np.array(operator.table, np.int64)[tensors[operator.inputs[0]].astype(np.int64) + 128]


@_run.register
def _softmax(operator: Softmax, tensors: Tensors) -> _Integers:
    values = tensors[operator.inputs[0]].astype(int).reshape(-1, operator.classes)
    result = np.empty(values.shape, np.int64)
    for row, target in zip(values, result, strict=True):
        exponentials = [operator.exponentials[max(row) - value] for value in row]
        total = sum(fixed_point.shift_right(one, 12) for one in exponentials)
        headroom = 32 - total.bit_length()
        scale = fixed_point.reciprocal((total << headroom) - 2**31)
        shares = [fixed_point.multiply_high(scale, one) for one in exponentials]
        target[:] = [min(127, fixed_point.shift_right(one, 35 - headroom) - 128) for one in shares]
    return result


@_run.register
def _movement(operator: Movement, tensors: Tensors) -> _Integers:
    source = tensors[operator.inputs[0]]
    target = tensors.get(operator.output)
    if operator.fill is not None:
        target = np.full((len(source), operator.output_bytes), operator.fill, np.int8)
    to = _block_index(operator.target, operator.shape)
    size = int(to.max()) + 1
    if target is None or target.shape[1] < size:  # a longer one for each part of a concatenation
        longer = np.zeros((len(source), size), np.int8)
        if target is not None:
            longer[:, : target.shape[1]] = target
        target = longer
    target[:, to] = source[:, _block_index(operator.source, operator.shape)]
    return target.astype(np.int64)


def _block_index(block: Block, shape: Four) -> _Integers:
    axes = np.indices(shape).reshape(4, -1)
    return block.start + np.array(block.strides) @ axes


def _operands(operator: Elementwise, tensors: Tensors) -> tuple[_Integers, _Integers]:
    """Both inputs, repeated to the output's shape, minus their zero points."""
    one, other = (
        tensors[tensor][:, _block_index(Block(start=0, strides=strides), operator.shape)].astype(
            np.int64
        )
        - zero_point
        for tensor, strides, zero_point in zip(
            operator.inputs, operator.strides, operator.zero_points, strict=True
        )
    )
    return one, other


def _patches(window: Window, source: NDArray[np.int8], fill: int) -> NDArray[np.int8]:
    """The bytes under each place of the window: int8, shape (n, pixels, bytes of a patch)."""
    padded = np.concatenate([source, np.full((len(source), 1), fill, np.int8)], axis=1)
    return padded[:, _patch_index(window)]


def _patch_index(window: Window) -> _Integers:
    """Where each byte of each patch lies in the input; -1 outside it."""
    rows, columns = (
        np.arange(count)[:, None] * stride - pad + np.arange(size) * dilation
        for count, stride, pad, size, dilation in zip(
            window.output_size,
            window.strides,
            window.padding,
            window.size,
            window.dilations,
            strict=True,
        )
    )
    y, x = rows[:, None, :, None], columns[None, :, None, :]
    height, width = window.input_size
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    first = np.where(inside, (y * width + x) * window.channels, -1)
    index = np.where(first[..., None] < 0, -1, first[..., None] + np.arange(window.channels))
    return index.reshape(math.prod(window.output_size), window.patch_bytes)


def _scaled(sums: _Integers, channels: tuple[Channel, ...], output: OutputRange) -> _Integers:
    biases, multipliers, shifts = (
        np.array([value(channel) for channel in channels], np.int64) for value in _CHANNEL_VALUES
    )
    return _clipped(_rescale(sums + biases, multipliers, shifts), output)


_CHANNEL_VALUES: tuple[Callable[[Channel], int], ...] = (
    lambda channel: channel.bias,
    lambda channel: channel.factor.multiplier,
    lambda channel: channel.factor.shift,
)


def _rescale(values: _Integers, multiplier: int | _Integers, shift: int | _Integers) -> _Integers:
    shifts = np.asarray(shift, np.int64)
    left: _Integers = np.maximum(shifts, 0)
    right: _Integers = np.maximum(-shifts, 0)
    shifted: _Integers = values * (np.int64(1) << left) * np.int64(multiplier) + np.int64(2**30)
    product: _Integers = shifted >> np.int64(31)
    mask: _Integers = (np.int64(1) << right) - 1
    result: _Integers = (product >> right) + ((product & mask) > (mask >> 1) + (product < 0))
    return result


def _clipped(values: _Integers, output: OutputRange) -> _Integers:
    return np.clip(values + output.zero_point, output.lowest, output.highest)
