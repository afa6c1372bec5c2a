"""Measures this machine's ceilings: a big matrix product in each runtime and precision, and copying memory.

It runs in a worker process, on one thread; :mod:`cifar_bench.results.roofline` holds what comes out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifar_bench.measure.machine.gemm_models import onnx_product, tflite_product
from cifar_bench.measure.machine.keras_product import keras_product
from cifar_bench.measure.sampling import sample_calls
from cifar_bench.results.conditions import Clock
from cifar_bench.results.roofline import Ceiling, CeilingPrecision, Roofline
from cifar_runtime.progress import Counter, silent
from cifar_runtime.sessions.interpreters import import_litert
from cifar_runtime.sessions.ort import native_session
from cifar_runtime.system.native_stderr import filtered_native_stderr

MATRIX_SIZES = (512, 1024)
"""Of square matrices; which gives the higher rate depends on runtime and caches, so the better one counts."""
VISIT_NS = 750_000_000
COPIED_BYTES = 256 * 1024 * 1024
"""Meant to be far beyond the last-level cache; where that is larger, the rate is the cache's. Both buffers
are touched before."""

_VISITS = 2
_BLOCKS = 50
_MOST_VISITS_LONG = 4
_BETTER_SHARE = 0.005
_WARMUP = 3
_COPIES = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class _Product:
    """A product ready to run, and what it is a ceiling of."""

    runtime: str
    precision: CeilingPrecision
    size: int
    call: Callable[[Any], Any]
    left: Any


def measure_roofline(
    runtimes: tuple[str, ...],
    *,
    clock: Clock,
    sizes: tuple[int, ...] = MATRIX_SIZES,
    visit_ns: int = VISIT_NS,
    copied_bytes: int = COPIED_BYTES,
    count: Counter = silent,
) -> Roofline:
    """The ceilings of the runtimes named, each in float32 and, if it computes in that, in int8.

    All products take turns, twice, so that one disturbance spoils no ceiling alone.

    Args:
        runtimes: litert, onnxruntime, keras/tensorflow; others have no ceiling and are left out.
        clock: nanoseconds.
        sizes: rows and columns of the matrices; the ceiling is the better of the sizes.
        visit_ns: how long each product runs at least, each time it is visited.
        copied_bytes: how much memory is copied.
        count: sees how many visits are done.
    """
    products = [
        _product(runtime, precision, size)
        for size in sizes
        for runtime, precision in _INPUT_TYPES
        if runtime in runtimes
    ]
    samples: list[list[int]] = [[] for _ in products]
    for visit in range(_VISITS):
        for place, product in enumerate(products):
            samples[place] += fastest_by_block(
                product.call, product.left, least_ns=visit_ns, clock=clock
            )
            count(visit * len(products) + place + 1, _VISITS * len(products))
    source = np.ones(copied_bytes, dtype=np.uint8)
    target = np.zeros_like(source)
    copies = sample_calls(
        lambda _: np.copyto(target, source), [None], runs=range(_COPIES), warmup=1, clock=clock
    )
    return Roofline(
        ceilings=_best_of_sizes(map(_ceiling, products, samples)),
        copied_bytes=copied_bytes,
        copy_samples_ns=tuple(copies),
    )


def fastest_by_block(
    call: Callable[[Any], Any], left: Any, *, least_ns: int, clock: Clock
) -> list[int]:
    """Nanoseconds of the fastest call in every block of calls, until the best stops improving.

    A block lasts a fiftieth of ``least_ns``, or one call if that is longer. The end is when ``least_ns`` have
    passed and the second half of the time brought nothing better by 0.5 %; four times ``least_ns`` at the most.

    Args:
        call: what is timed.
        left: its argument.
        least_ns: how long it takes at least.
        clock: nanoseconds.
    """
    sample_calls(call, [left], runs=range(0), warmup=_WARMUP, clock=clock)
    fastest: list[int] = []
    best, best_after_ns = None, 0
    start = block_start = clock()
    block: list[int] = []
    while True:
        block += sample_calls(call, [left], runs=range(1), warmup=0, clock=clock)
        now = clock()
        if now - block_start < least_ns // _BLOCKS:
            continue
        fastest.append(max(1, min(block)))
        block, block_start, passed_ns = [], now, now - start
        if best is None or fastest[-1] < best * (1 - _BETTER_SHARE):
            best, best_after_ns = fastest[-1], passed_ns
        if passed_ns >= _MOST_VISITS_LONG * least_ns:
            return fastest
        if passed_ns >= least_ns and best_after_ns <= passed_ns / 2:
            return fastest


def _product(runtime: str, precision: CeilingPrecision, size: int) -> _Product:
    left = np.random.default_rng(1).integers(0, 9, (size, size))
    return _Product(
        runtime=runtime,
        precision=precision,
        size=size,
        call=_PRODUCT_OF[runtime](precision, size),
        left=left.astype(_INPUT_TYPES[runtime, precision]),
    )


def _ceiling(product: _Product, samples_ns: list[int]) -> Ceiling:
    return Ceiling(
        runtime=product.runtime,
        precision=product.precision,
        macs=product.size**3,
        samples_ns=tuple(samples_ns),
    )


def _best_of_sizes(ceilings: Iterable[Ceiling]) -> tuple[Ceiling, ...]:
    """The highest ceiling of every runtime and precision, in the order in which they come first."""
    best: dict[tuple[str, str], Ceiling] = {}
    for one in ceilings:
        kind = one.runtime, one.precision
        if kind not in best or one.macs_per_s > best[kind].macs_per_s:
            best[kind] = one
    return tuple(best.values())


def litert_product(precision: CeilingPrecision, size: int) -> Callable[[Any], Any]:
    """The product as LiteRT computes it with XNNPACK; its input is set and its output read as a model's are."""
    litert = import_litert()
    with filtered_native_stderr():
        interpreter = litert.Interpreter(
            model_content=tflite_product(precision, size), num_threads=1
        )
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
    session = native_session(onnx_product(precision, size))
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
