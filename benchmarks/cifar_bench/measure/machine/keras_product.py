"""A matrix product as Keras computes it, for the machine's ceilings."""

from collections.abc import Callable
from typing import Any

from cifar_bench.measure.machine.gemm_models import weights
from cifar_bench.results.roofline import CeilingPrecision
from cifar_eval.models.keras import imported_keras, limit_threads


def keras_product(precision: CeilingPrecision, size: int) -> Callable[[Any], Any]:
    """A product of two square matrices as Keras computes it, with TensorFlow, on one thread."""
    limit_threads(1)
    keras = imported_keras()
    right = keras.ops.convert_to_tensor(weights(precision, size))
    return lambda left: keras.ops.convert_to_numpy(keras.ops.matmul(left, right))
