"""Muon for convolution kernels, and Nesterov momentum for every other weight; imports Keras.

A kernel in front of BatchNorm acts by its direction, not by its length. So a step moves it by about a fixed part of
its length, in the orthogonal direction nearest to its momentum, and then gives it its old length.

Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; and airbench94_muon.py in
KellerJordan/cifar10-airbench, which also keeps lengths, with three iterations.
"""

import math
from typing import Any

import keras
from keras import ops

ITERATIONS = 3
# The quintic of the Newton-Schulz iteration: it brings singular values near 1 in few steps, not to exactly 1.
_FIRST, _THIRD, _FIFTH = 3.4445, -4.7750, 2.0315
_SMALLEST = 1e-7


class Muon(keras.optimizers.SGD):  # type: ignore[misc]  # Keras has no types
    """Keras' SGD with Nesterov momentum, which treats the kernels of dense convolutions apart.

    They have the shape (height, width, channels in, channels out), and count as matrices of the last axis against the
    others. They never decay, since their lengths stay. Depthwise kernels, dense layers, BatchNorm and biases are SGD's.
    Keras' own Muon takes matrices only and leaves convolutions to Adam.
    """

    def __init__(
        self, learning_rate: Any, *, kernel_rate: float, undecayed: list[str], **sgd: Any
    ) -> None:
        """An optimizer that is not built yet.

        Args:
            learning_rate: of SGD's weights, a number or a schedule.
            kernel_rate: the part of its length by which, about, a step moves a kernel, for each unit of
                ``learning_rate``.
            undecayed: names of other variables that do not decay.
            sgd: what Keras' SGD takes beside.
        """
        super().__init__(learning_rate, nesterov=True, **sgd)
        self.kernel_rate = kernel_rate
        self.undecayed = undecayed

    def build(self, variables: Any) -> None:
        """Makes the momenta of ``variables``."""
        if not self.built:
            kernels = [variable for variable in variables if _is_kernel(variable)]
            self.exclude_from_weight_decay(var_list=kernels, var_names=self.undecayed)
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable."""
        if not _is_kernel(variable):
            super().update_step(gradient, variable, learning_rate)
            return
        momentum = self.momentums[self._get_variable_index(variable)]
        self.assign(momentum, momentum * self.momentum + gradient)
        direction = orthogonalized(gradient + self.momentum * momentum)
        length = _length(variable)
        # A matrix of singular values 1 has the square root of its rank as length.
        step = length / math.sqrt(min(variable.shape[-1], math.prod(variable.shape[:-1])))
        rate = self.kernel_rate * ops.cast(learning_rate, variable.dtype)
        moved = variable - rate * step * direction
        self.assign(variable, moved * (length / _length(moved)))


def orthogonalized(kernel: Any) -> Any:
    """The kernel with its singular values brought near 1, same shape; it is seen as (height * width * in, out)."""
    matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
    is_tall = matrix.shape[0] > matrix.shape[1]
    if is_tall:
        matrix = ops.transpose(matrix)
    matrix = matrix / (_length(matrix) + _SMALLEST)
    for _ in range(ITERATIONS):
        square = ops.matmul(matrix, ops.transpose(matrix))
        matrix = _FIRST * matrix + ops.matmul(
            _THIRD * square + _FIFTH * ops.matmul(square, square), matrix
        )
    return ops.reshape(ops.transpose(matrix) if is_tall else matrix, kernel.shape)


def _is_kernel(variable: Any) -> bool:
    return len(variable.shape) == 4 and variable.shape[-1] > 1


def _length(tensor: Any) -> Any:
    """The Frobenius norm, a scalar."""
    return ops.sqrt(ops.sum(ops.square(tensor)))
