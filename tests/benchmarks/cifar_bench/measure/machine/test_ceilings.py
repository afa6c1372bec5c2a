"""The handwritten matrix products compute what NumPy computes, and a model's share follows from them."""

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from cifar_bench.measure.machine.ceilings import (
    fastest_by_block,
    litert_product,
    measure_roofline,
    onnxruntime_product,
)
from cifar_bench.measure.machine.gemm_models import weights
from cifar_bench.measure.machine.keras_product import keras_product
from cifar_bench.results.report import Report
from cifar_bench.results.roofline import (
    CeilingPrecision,
    Roofline,
    bound_of,
    exceeded_sentence,
)
from cifar_runtime.documents import from_document

SIZE = 16


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_litert_multiplies_by_the_transposed_weights(precision: CeilingPrecision) -> None:
    pytest.importorskip("ai_edge_litert")
    left = np.random.default_rng(2).integers(-8, 9, (SIZE, SIZE))
    given = left.astype(np.int8 if precision == "int8" else np.float32)
    exact = left @ weights(precision, SIZE).T.astype(np.float64)
    np.testing.assert_allclose(
        litert_product(precision, SIZE)(given), expected(exact, precision, -128, 127), atol=1e-4
    )


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_onnxruntime_multiplies_by_the_weights(precision: CeilingPrecision) -> None:
    pytest.importorskip("onnxruntime")
    left = np.random.default_rng(2).integers(0, 9, (SIZE, SIZE))
    given = left.astype(np.uint8 if precision == "int8" else np.float32)
    exact = left @ weights(precision, SIZE).astype(np.float64)
    np.testing.assert_allclose(
        onnxruntime_product(precision, SIZE)(given), expected(exact, precision, 0, 255), atol=1e-4
    )


def expected(exact: Any, precision: str, low: int, high: int) -> Any:
    """All scales are 0.5, so a step of the product is half a step of left times right."""
    return np.clip(np.rint(exact / 2), low, high) if precision == "int8" else exact


def test_the_roofline_holds_what_was_measured_and_survives_json() -> None:
    pytest.importorskip("onnxruntime")
    ticks = count(0, 7)
    visits: list[tuple[int, int]] = []
    roofline = measure_roofline(
        ("onnxruntime", "keras/torch"),
        clock=lambda: next(ticks),
        sizes=(4, 8),
        visit_ns=700,
        copied_bytes=1000,
        count=lambda *counted: visits.append(counted),
    )
    assert visits == [(done, 8) for done in range(1, 9)]  # two sizes, two precisions, twice
    assert [(one.runtime, one.precision, one.macs) for one in roofline.ceilings] == [
        ("onnxruntime", "float32", 512),
        ("onnxruntime", "int8", 512),
    ]
    assert [one.size for one in roofline.ceilings] == [8, 8]
    assert roofline.ceilings[0].macs_per_s == pytest.approx(512 / 7e-9)
    assert roofline.copy_bytes_per_s == pytest.approx(1000 / 7e-9)
    document = roofline.to_json()
    document["ceilings"][0]["macs_per_s"] = 1
    assert from_document(Roofline, document) == roofline


def test_a_models_share_is_its_rate_over_its_runtimes_ceiling_of_one_thread(report: Report) -> None:
    """17.94 M MACs in 129 us are 139.3 G a second; the int8 ceiling is 2^27 in 1,048,576 ns: 128 G."""
    keras, _, int8 = report.models
    assert int8.latency.median_ns == 128_900
    assert report.roofline_share(int8) == pytest.approx(17.94e6 / 128.9e-6 / (2**27 / 1_048_576e-9))
    assert report.roofline_share(keras) is None
    two_threads = replace(int8, latency=replace(int8.latency, threads=2))
    assert report.roofline_share(two_threads) is None
    assert replace(report, roofline=None).roofline_share(int8) is None


def test_a_models_memory_share_is_what_it_moves_over_twice_the_copy_rate(report: Report) -> None:
    """int8: 400,000 bytes in 128.9 us are 3.10 GB a second; a copy of 8 GB a second moves 16."""
    keras, float32, int8 = report.models
    assert report.memory_share(int8) == pytest.approx(400_000 / 128.9e-6 / 16e9)
    assert report.memory_share(float32) == pytest.approx(1_600_000 / 217.4e-6 / 16e9)
    assert report.memory_share(keras) is None
    two_threads = replace(int8, latency=replace(int8.latency, threads=2))
    assert report.memory_share(two_threads) is None
    assert replace(report, roofline=None).memory_share(int8) is None


def test_the_larger_share_names_the_bound(report: Report) -> None:
    """float32 17.94 M MACs in 217.4 us are 82.5 of 64 G: above 1, so no bound; half of them are 64 %."""
    keras, float32, _ = report.models
    half = replace(float32, name="half", cost=replace(float32.cost, macs=8_970_000))
    moving = replace(half, name="moving", cost=replace(half.cost, moved_bytes=6_000_000))
    slow = replace(
        float32, name="slow", cost=replace(float32.cost, macs=1_000_000, moved_bytes=10_000)
    )
    models = (keras, float32, half, moving, slow)
    bounds = [bound_of(report.roofline, model) for model in models]
    assert bounds == [None, None, "compute", "memory", "neither"]
    assert replace(report, models=models).bound_sentence == (
        "Bound by compute for half (64 and 46 %); by memory for moving (64 and 172 %); by neither for "
        "slow (7 and 0 %): shares of the ceiling, and of the memory rate if no tensor stayed in a cache."
    )
    assert replace(report, roofline=None).bound_sentence is None


def test_what_does_more_than_its_ceiling_is_named_and_a_rounded_100_percent_is_not(
    report: Report,
) -> None:
    """64 G of a second's MACs in 217.4 us are 13.9136 M: 100 %; 0.4 % more is still printed as that."""
    _, float32, int8 = report.models
    even = replace(float32, name="even", cost=replace(float32.cost, macs=13_969_000))
    assert exceeded_sentence(report.roofline, (even, float32, int8)) == (
        "More than was measured as the ceiling, which bounds nothing then: seed-cnn-float32 (129 %), "
        "seed-cnn-int8 (109 %)."
    )
    assert exceeded_sentence(report.roofline, (even,)) is None
    assert exceeded_sentence(None, (float32, int8)) is None


class _Calls:
    """A call that takes as long as it is given, by a clock of its own; the last duration for all further."""

    def __init__(self, *durations_ns: int) -> None:
        self.now_ns = 0
        self._durations_ns = list(durations_ns)

    def clock(self) -> int:
        return self.now_ns

    def __call__(self, left: Any) -> None:
        del left
        lasting = len(self._durations_ns) == 1
        self.now_ns += self._durations_ns[0] if lasting else self._durations_ns.pop(0)


WARM_UP = (90, 90, 90)


@pytest.mark.parametrize(
    ("durations_ns", "expected"),
    [
        ((*WARM_UP, 10), [10] * 50),
        ((*WARM_UP, *[20] * 15, 15), [20] * 15 + [15] * 22),
        ((*WARM_UP, 2, 3, 2, 3, 4, 5), [2, 4] + [5] * 48),
        ((*WARM_UP, 700), [700, 700]),
    ],
    ids=["steady", "better late", "several in a block", "longer than all"],
)
def test_a_ceiling_is_sought_until_the_second_half_brings_nothing_better(
    durations_ns: tuple[int, ...], expected: list[int]
) -> None:
    calls = _Calls(*durations_ns)
    assert fastest_by_block(calls, None, least_ns=500, clock=calls.clock) == expected


def test_a_ceiling_that_always_rises_ends_after_four_times_the_least() -> None:
    calls = _Calls(*WARM_UP, *(1000 - 10 * turn for turn in range(90)))
    fastest_by_block(calls, None, least_ns=5_000, clock=calls.clock)
    assert 90 * 3 + 20_000 <= calls.now_ns <= 90 * 3 + 21_000


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_keras_multiplies_by_the_weights() -> None:
    pytest.importorskip("keras")
    left = np.random.default_rng(2).integers(-8, 9, (SIZE, SIZE)).astype(np.float32)
    expected_product = left @ weights("float32", SIZE)
    np.testing.assert_allclose(keras_product("float32", SIZE)(left), expected_product, atol=1e-3)
