"""Draws a report's int8 .tflite files beside MLPerf Tiny's references, as Markdown. Pure: a report in, text out."""

from cifar_bench.figures.published import (
    MLPERF_TINY,
    TEST_IMAGES,
    PublishedModel,
    not_measured,
    reference_of,
)
from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_eval.accuracy import Accuracy
from cifar_eval.formatting import NOT_APPLICABLE, counted, markdown_rows, microseconds, percent
from cifar_runtime.environment import Environment
from cifar_runtime.errors import InputError

_HEADER = ("model, int8", "top-1 % (95 % interval)", "MMACs", ".tflite bytes", "median µs", "time")
_YARDSTICK = "IC01 int8"
_SUFFIX = "-int8.tflite"


def family_table(report: Report) -> str:
    """One row per int8 .tflite file, the most accurate first, and how it was measured, with a last newline.

    IC02, which has no file to measure, stands there with its published figures.

    Raises:
        InputError: the report holds no IC01 to compare with, or not all test images.
    """
    models = int8_tflite_models(report)
    known = {reference.sha256: reference.name for reference in MLPERF_TINY if reference.sha256}
    yardstick = next(
        (model for model in models if known.get(model.model_file.sha256) == _YARDSTICK), None
    )
    if yardstick is None or yardstick.accuracy.seen != TEST_IMAGES:
        raise InputError(
            f"the report does not hold {_YARDSTICK} on all {TEST_IMAGES:,} test images.",
            hint="Measure pretrainedResnet_quant.tflite beside ours, with --split test.",
        )
    unit = yardstick.latency.median_ns
    rows = [
        (model.accuracy.value, _row(model, known.get(model.model_file.sha256), unit))
        for model in models
    ]
    rows += [
        (reference.accuracy, _published_row(reference))
        for reference in not_measured([model.model_file for model in report.models])
        if reference.name.endswith("int8")
    ]
    ordered = [row for _, row in sorted(rows, key=lambda pair: -pair[0])]
    return (
        "\n".join([*markdown_rows(_HEADER, ordered), "", _caption(yardstick, report.environment)])
        + "\n"
    )


def int8_tflite_models(report: Report) -> list[ModelReport]:
    """The report's int8 .tflite files, ours and others'."""
    return [
        model
        for model in report.models
        if model.cost.precision == "int8" and model.model_file.format == "tflite"
    ]


def short_name(model: ModelReport) -> str:
    """An int8 .tflite file as a reader knows it: ours by its network, a reference by MLPerf Tiny's word."""
    reference = reference_of(model.model_file)
    return (
        reference_name(reference.name) if reference else model.model_file.file.removesuffix(_SUFFIX)
    )


def _row(model: ModelReport, known_as: str | None, unit: int) -> list[str]:
    low, high = model.accuracy.interval
    macs, median = model.cost.macs, model.latency.median_ns
    return [
        short_name(model) if known_as else f"**{short_name(model)}**",
        f"{percent(model.accuracy.value)} ({percent(low)} to {percent(high)})",
        NOT_APPLICABLE if macs is None else f"{macs / 1e6:.2f}",
        f"{model.model_file.size_bytes:,}",
        microseconds(median),
        f"{median / unit:.2f} x",
    ]


def _published_row(reference: PublishedModel) -> list[str]:
    low, high = Accuracy(correct=reference.correct, seen=TEST_IMAGES, split="test").interval
    return [
        f"{reference_name(reference.name)}, published",
        f"{percent(reference.accuracy)} ({percent(low)} to {percent(high)})",
        f"{reference.macs / 1e6:.2f}",
        f"{reference.size_bytes:,}",
        NOT_APPLICABLE,
        NOT_APPLICABLE,
    ]


def reference_name(name: str) -> str:
    """What a reader calls one of MLPerf Tiny's references, such as ``MLPerf Tiny IC01``."""
    return f"MLPerf Tiny {name.partition(' ')[0]}"


def _caption(yardstick: ModelReport, environment: Environment) -> str:
    vnni = "with" if any("vnni" in flag for flag in environment.isa_flags) else "without"
    processor = f"{environment.cpu_model.partition(' (')[0]} {vnni} VNNI"
    return (
        f"All {counted(TEST_IMAGES, 'test image')}, one view of each. Median of one inference in LiteRT, "
        f"{counted(yardstick.latency.threads or 1, 'thread')} of an {processor}, all in one run; time: as a multiple "
        f"of {_YARDSTICK}'s. "
        "edge-s is the file in the package, the others of ours are what cifar-export makes of models/."
    )
