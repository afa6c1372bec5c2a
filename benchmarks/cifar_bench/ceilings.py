"""Measures this machine's ceilings: a big matrix product in each runtime and precision, and copying memory.

It runs in a worker process, on one thread; :mod:`cifar_bench.roofline` holds what comes out.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from cifar_bench.conditions import Clock
from cifar_bench.keras_scorer import keras_product
from cifar_bench.matrix_models import onnx_product, tflite_product
from cifar_bench.roofline import Ceiling, CeilingPrecision, Roofline
from cifar_bench.sampling import sample_calls
from cifar_runtime.chatter import without_chatter

MATRIX_SIZE = 512
COPIED_BYTES = 256 * 1024 * 1024
"""Meant to be far beyond the last-level cache; where that is larger, the rate is the cache's. Both buffers
are touched before."""

_PRODUCTS = 30
_COPIES = 7
_FATAL_ONLY = 4


def measure_roofline(
    runtimes: tuple[str, ...],
    *,
    clock: Clock,
    size: int = MATRIX_SIZE,
    copied_bytes: int = COPIED_BYTES,
) -> Roofline:
    """The ceilings of the runtimes named, each in float32 and, if it computes in that, in int8.

    Args:
        runtimes: litert, onnxruntime, keras/tensorflow; others have no ceiling and are left out.
        clock: nanoseconds.
        size: rows and columns of the matrices.
        copied_bytes: how much memory is copied.
    """
    ceilings = [
        _ceiling(runtime, precision, size, clock)
        for runtime, precision in _INPUT_TYPES
        if runtime in runtimes
    ]
    source = np.ones(copied_bytes, dtype=np.uint8)
    target = np.zeros_like(source)
    copies = sample_calls(
        lambda _: np.copyto(target, source), [None], runs=range(_COPIES), warmup=1, clock=clock
    )
    return Roofline(
        ceilings=tuple(ceilings), copied_bytes=copied_bytes, copy_samples_ns=tuple(copies)
    )


def _ceiling(runtime: str, precision: CeilingPrecision, size: int, clock: Clock) -> Ceiling:
    product = _PRODUCT_OF[runtime](precision, size)
    generator = np.random.default_rng(1)
    left = generator.integers(0, 9, (size, size)).astype(_INPUT_TYPES[runtime, precision])
    samples = sample_calls(product, [left], runs=range(_PRODUCTS), warmup=5, clock=clock)
    return Ceiling(
        runtime=runtime,
        precision=precision,
        macs=size**3,
        samples_ns=tuple(max(1, s) for s in samples),
    )


def litert_product(precision: CeilingPrecision, size: int) -> Callable[[Any], Any]:
    """The product as LiteRT computes it with XNNPACK; only ``invoke`` moves, the input is set."""
    with without_chatter():
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=tflite_product(precision, size), num_threads=1)
        interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    answered = interpreter.get_output_details()[0]["index"]

    def product(left: Any) -> Any:
        interpreter.set_tensor(given, left)
        interpreter.invoke()
        return interpreter.get_tensor(answered)

    return product


def onnxruntime_product(precision: CeilingPrecision, size: int) -> Callable[[Any], Any]:
    """The product as onnxruntime computes it."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at import
    with without_chatter():
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        session = onnxruntime.InferenceSession(
            onnx_product(precision, size), sess_options=options, providers=["CPUExecutionProvider"]
        )
    return lambda left: session.run(None, {"left": left})[0]


_INPUT_TYPES: dict[tuple[str, CeilingPrecision], Any] = {
    ("litert", "float32"): np.float32,
    ("litert", "int8"): np.int8,
    ("onnxruntime", "float32"): np.float32,
    ("onnxruntime", "int8"): np.uint8,
    ("keras/tensorflow", "float32"): np.float32,
}
_PRODUCT_OF: dict[str, Callable[[CeilingPrecision, int], Callable[[Any], Any]]] = {
    "litert": litert_product,
    "onnxruntime": onnxruntime_product,
    "keras/tensorflow": keras_product,
}
