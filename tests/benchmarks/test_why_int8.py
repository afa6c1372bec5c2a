"""The sentence about int8 says what was measured and what the processor has."""

from dataclasses import replace

import pytest

from cifar_bench.report import Report


def test_int8_that_is_faster_with_dot_product_instructions(report: Report) -> None:
    flags = ("avx2", "fma", "avx512f", "avx512_vnni")
    faster = replace(report, environment=replace(report.environment, isa_flags=flags))
    assert faster.why_int8 == (
        "int8 is 1.69 times as fast as float32 in litert (seed-cnn-int8 against seed-cnn-float32): "
        "the processor can multiply int8 with avx512_vnni; "
        "XNNPACK runs 7 of 8 operators, LiteRT's own kernels SOFTMAX."
    )


def test_int8_that_is_slower_without_them(report: Report) -> None:
    keras, float32, int8 = report.models
    swapped = replace(
        report,
        models=(
            keras,
            replace(float32, latency=int8.latency),
            replace(int8, latency=float32.latency),
        ),
    )
    assert swapped.why_int8 == (
        "int8 is slower than float32, 1.69 times its time, in litert (seed-cnn-int8 against "
        "seed-cnn-float32): the processor has no VNNI (avx2 is its widest vector set); without it int8 "
        "products can need more instructions than float32's fused multiply-add; "
        "XNNPACK runs 7 of 8 operators, LiteRT's own kernels SOFTMAX."
    )


def test_nothing_is_said_of_how_onnxruntime_multiplies(report: Report) -> None:
    keras, float32, int8 = (
        replace(
            model, runtime="onnxruntime", options={"graph_optimization": "all"}, delegation=None
        )
        for model in report.models
    )
    slower = replace(int8, latency=replace(float32.latency, samples_ns=((300_000,),) * 10))
    assert replace(report, models=(keras, float32, slower)).why_int8 == (
        "int8 is slower than float32, 1.38 times its time, in onnxruntime (seed-cnn-int8 against "
        "seed-cnn-float32): the processor has no VNNI (avx2 is its widest vector set)."
    )


def test_the_fastest_pair_of_the_first_network_is_told(report: Report) -> None:
    keras, float32, int8 = report.models
    slow = tuple(
        replace(
            model,
            name=f"{model.name} slow",
            options={"xnnpack": False},
            latency=replace(model.latency, samples_ns=((400_000,),) * 10),
        )
        for model in (float32, int8)
    )
    tiny = tuple(
        replace(
            model,
            name=f"tiny {model.cost.precision}",
            cost=replace(model.cost, macs=1),
            latency=replace(model.latency, samples_ns=((1_000,),) * 10),
        )
        for model in (float32, int8)
    )
    crowd = replace(report, models=(keras, *slow, float32, int8, *tiny))
    assert crowd.why_int8 == report.why_int8


def test_what_speaks_against_the_verdict_is_an_although(report: Report) -> None:
    assert report.why_int8 == (
        "int8 is 1.69 times as fast as float32 in litert (seed-cnn-int8 against seed-cnn-float32): "
        "although the processor has no VNNI (avx2 is its widest vector set); "
        "XNNPACK runs 7 of 8 operators, LiteRT's own kernels SOFTMAX."
    )


@pytest.mark.parametrize("flags", [(), ("asimd",)])
def test_other_processors_are_not_explained_by_what_they_lack(
    report: Report, flags: tuple[str, ...]
) -> None:
    sentence = replace(report, environment=replace(report.environment, isa_flags=flags)).why_int8
    assert sentence is not None
    assert "multiply-add" not in sentence
    assert ("asimd is its widest" in sentence) == bool(flags)


def test_without_a_pair_of_the_same_work_there_is_no_sentence(report: Report) -> None:
    keras, float32, int8 = report.models
    assert replace(report, models=(keras, int8)).why_int8 is None
    other = replace(float32, cost=replace(float32.cost, macs=1))
    assert replace(report, models=(keras, other, int8)).why_int8 is None
    plain = replace(float32, options={"xnnpack": False})
    assert replace(report, models=(keras, plain, int8)).why_int8 is None
