"""The sentences about int8 say what was measured, and what the processor has."""

from dataclasses import replace

import pytest

from cifar_bench.results.report import Report
from cifar_bench.results.roofline import Ceiling

AGAINST_CEILINGS = (
    "int8's ceiling is 2.00 times float32's here; the int8 model reaches 109 % of its ceiling, "
    "the float32 one 129 %"
)
DELEGATED = "XNNPACK runs 7 of 8 operators, LiteRT's own kernels SOFTMAX"
AVX2 = "The processor has avx2 as its widest vector set, and no VNNI."


def test_int8_that_is_faster(report: Report) -> None:
    """1.69 is the ceilings' 2.00 times 109 % over 129 %."""
    assert report.why_int8 == (
        "int8 is 1.69 times as fast as float32 in litert (seed-cnn-int8 against seed-cnn-float32): "
        f"{AGAINST_CEILINGS}; {DELEGATED}. {AVX2}"
    )


def test_int8_that_is_slower(report: Report) -> None:
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
        "seed-cnn-float32): int8's ceiling is 2.00 times float32's here; the int8 model reaches 64 % of "
        f"its ceiling, the float32 one 217 %; {DELEGATED}. {AVX2}"
    )


def test_without_ceilings_it_says_what_it_can(report: Report) -> None:
    assert replace(report, roofline=None).why_int8 == (
        "int8 is 1.69 times as fast as float32 in litert (seed-cnn-int8 against seed-cnn-float32): "
        f"{DELEGATED}. {AVX2}"
    )
    undelegated = tuple(replace(model, delegation=None) for model in report.models)
    assert replace(report, roofline=None, models=undelegated).why_int8 == (
        "int8 is 1.69 times as fast as float32 in litert (seed-cnn-int8 against seed-cnn-float32). "
        f"{AVX2}"
    )


def test_every_runtime_with_a_pair_has_a_sentence_with_its_own_ceilings(report: Report) -> None:
    """82.5 of 80 G and 59.8 of 76 G; in litert as above."""
    keras, float32, int8 = report.models
    of_onnx = [
        replace(
            model,
            name=f"{model.name}.onnx",
            runtime="onnxruntime",
            options={"graph_optimization": "all"},
            delegation=None,
        )
        for model in (float32, int8)
    ]
    of_onnx[1] = replace(of_onnx[1], latency=replace(int8.latency, samples_ns=((300_000,),) * 10))
    assert report.roofline is not None
    ceilings = (
        Ceiling(runtime="onnxruntime", precision="float32", macs=80_000, samples_ns=(1_000,)),
        Ceiling(runtime="onnxruntime", precision="int8", macs=76_000, samples_ns=(1_000,)),
    )
    both = replace(
        report,
        models=(keras, float32, int8, *of_onnx),
        roofline=replace(report.roofline, ceilings=(*report.roofline.ceilings, *ceilings)),
    )
    assert both.why_int8 == (
        "int8 is 1.69 times as fast as float32 in litert (seed-cnn-int8 against seed-cnn-float32): "
        f"{AGAINST_CEILINGS}; {DELEGATED}. "
        "int8 is slower than float32, 1.38 times its time, in onnxruntime (seed-cnn-int8.onnx against "
        "seed-cnn-float32.onnx): int8's ceiling is 0.95 times float32's here; the int8 model reaches "
        f"79 % of its ceiling, the float32 one 103 %. {AVX2}"
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


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("avx2", "avx512f", "avx512_vnni"), "The processor has avx512_vnni for int8."),
        (("asimd", "asimddp", "i8mm"), "The processor has asimddp, i8mm for int8."),
        (
            ("asimd",),
            "The processor has asimd as its widest vector set, and no int8 dot product.",
        ),
        ((), "The processor does not tell its instruction sets here."),
    ],
)
def test_the_instructions_are_what_the_processor_has(
    report: Report, flags: tuple[str, ...], told: str
) -> None:
    sentence = replace(report, environment=replace(report.environment, isa_flags=flags)).why_int8
    assert sentence is not None
    assert report.why_int8 == sentence.replace(told, AVX2)


def test_without_a_pair_of_the_same_work_there_is_no_sentence(report: Report) -> None:
    keras, float32, int8 = report.models
    assert replace(report, models=(keras, int8)).why_int8 is None
    other = replace(float32, cost=replace(float32.cost, macs=1))
    assert replace(report, models=(keras, other, int8)).why_int8 is None
    plain = replace(float32, options={"xnnpack": False})
    assert replace(report, models=(keras, plain, int8)).why_int8 is None
