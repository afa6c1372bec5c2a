"""Adam in units that fit folded layers; TensorFlow only, since both backends of QAT use it.

In a folded network a step of one size for all weights undoes it at once: channels differ by factors of a thousand,
and behind ReLU or raw pixels every input is positive, so equal small changes of a kernel's weights add up to a large
shift of all its outputs. So each output channel's weights move by shares of their own root mean square, its bias by
shares of its output's, and the bias takes back what a change of the kernel shifts the mean output by.

Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1; the inputs' mean taken out
of the gradient: LeCun et al., "Efficient BackProp", 1998, section 4.3.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.probe import activations
from cifar_export.int8.simulation import (
    SCALE_AXES,
)

_FIRST_DECAY = 0.9
_SECOND_DECAY = 0.99
_EPSILON = 1e-12
# Of the layer's largest: a channel that calibration images never reach still gets a unit.
_LEAST_UNIT = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What one layer's steps are shares of, float32; kernel shapes are Keras'.

    Attributes:
        mean_input: of each input channel, broadcastable to the kernel.
        kernel: root mean square of each output channel's weights, broadcastable to the kernel.
        bias: root mean square of each output channel's values, shape (out,).
    """

    mean_input: NDArray[np.float32]
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]


def units_of(
    kernel: NDArray[np.float32],
    mean_input: NDArray[np.float64],
    mean_square_output: NDArray[np.float64],
    *,
    is_depthwise: bool,
) -> Units:
    """The units of a layer.

    Args:
        kernel: Conv2D (h, w, in, out), DepthwiseConv2D (h, w, in, multiplier), or Dense (in, out).
        mean_input: shape (in,), over calibration images and positions.
        mean_square_output: shape (out,), likewise.
        is_depthwise: whether the kernel is DepthwiseConv2D's.
    """
    axes = (0, 1) if is_depthwise else tuple(range(kernel.ndim - 1))
    spread = np.sqrt(np.mean(np.square(kernel, dtype=np.float64), axis=axes, keepdims=True))
    size = np.sqrt(mean_square_output)
    by_input = (1,) * (kernel.ndim - 2) + (-1, 1)
    return Units(
        mean_input=mean_input.reshape(by_input).astype(np.float32),
        kernel=_with_least(spread).astype(np.float32),
        bias=_with_least(size).astype(np.float32),
    )


def _with_least(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(sizes, max(_LEAST_UNIT * float(sizes.max()), _EPSILON))


class ScaledAdam:
    """Moves the kernels and biases of linear layers.

    Args:
        layers: for each layer its kernel and its bias (None where it has none), TensorFlow variables.
        units: of each layer.
    """

    def __init__(self, layers: list[tuple[Any, Any]], units: list[Units]) -> None:
        import tensorflow as tf

        self._layers = [
            (kernel, bias, unit) for (kernel, bias), unit in zip(layers, units, strict=True)
        ]
        self.variables = [variable for pair in layers for variable in pair if variable is not None]
        self._moments = [
            (tf.Variable(tf.zeros(variable.shape)), tf.Variable(tf.zeros(variable.shape)))
            for variable in self.variables
        ]
        self._count = tf.Variable(0.0)

    def apply(self, gradients: list[Any], rate: Any) -> None:
        """One step.

        Args:
            gradients: of ``variables``, in that order.
            rate: the share of its unit that a weight moves by, about.
        """
        import tensorflow as tf

        self._count.assign_add(1.0)
        remaining = iter(zip(gradients, self._moments, strict=True))
        for kernel, bias, unit in self._layers:
            by_output = unit.kernel.shape
            kernel_gradient, kernel_moments = next(remaining)
            if bias is None:
                kernel.assign_sub(
                    self._step(kernel_gradient * unit.kernel, kernel_moments, rate) * unit.kernel
                )
                continue
            bias_gradient, bias_moments = next(remaining)
            centred = kernel_gradient - unit.mean_input * tf.reshape(bias_gradient, by_output)
            change = self._step(centred * unit.kernel, kernel_moments, rate) * unit.kernel
            kernel.assign_sub(change)
            axes = [axis for axis, size in enumerate(by_output) if size == 1]
            shifted = tf.reshape(tf.reduce_sum(change * unit.mean_input, axis=axes), bias.shape)
            moved = self._step(bias_gradient * unit.bias, bias_moments, rate) * unit.bias
            bias.assign_sub(moved - shifted)

    def _step(self, gradient: Any, moments: tuple[Any, Any], rate: Any) -> Any:
        import tensorflow as tf

        first, second = moments
        first.assign(_FIRST_DECAY * first + (1 - _FIRST_DECAY) * gradient)
        second.assign(_SECOND_DECAY * second + (1 - _SECOND_DECAY) * tf.square(gradient))
        mean = first / (1 - _FIRST_DECAY**self._count)
        square = second / (1 - _SECOND_DECAY**self._count)
        return rate * mean / (tf.sqrt(square) + _EPSILON)


def linear_layers(model: Any) -> list[Any]:
    """The layers with kernels, in the order of the model's weights."""
    return [layer for layer in model.layers if type(layer).__name__ in SCALE_AXES]


def linear_units(model: Any, feed: RepresentativeDataset) -> list[Units]:
    """The units of each linear layer's steps, measured on the calibration images."""
    import keras

    layers = linear_layers(model)
    probe = keras.Model(model.inputs[0], [[layer.input, layer.output] for layer in layers])
    inputs = [np.zeros(layer.input.shape[-1]) for layer in layers]
    squares = [np.zeros(layer.output.shape[-1]) for layer in layers]
    for values in activations(probe, feed):
        for place, (given, made) in enumerate(zip(values[::2], values[1::2], strict=True)):
            share = len(given) / len(feed.images)
            inputs[place] += share * np.mean(
                given, axis=tuple(range(given.ndim - 1)), dtype=np.float64
            )
            squares[place] += share * np.mean(
                np.square(made), axis=tuple(range(made.ndim - 1)), dtype=np.float64
            )
    return [
        units_of(
            np.asarray(layer.weights[0]),
            mean_input,
            mean_square,
            is_depthwise=type(layer).__name__ == "DepthwiseConv2D",
        )
        for layer, mean_input, mean_square in zip(layers, inputs, squares, strict=True)
    ]
