"""Draws the result of MLPerf Tiny's method for a terminal. Pure: a report in, text out."""

import shlex

from cifar_bench.cells import aligned, counted, microseconds, percent
from cifar_bench.mlperf_recipe import OFFICIAL_WINDOW_SECONDS, MlperfRecipe
from cifar_bench.mlperf_report import MlperfModel, MlperfReport

_HEADER = ["model", "runtime", "inf/s", "latency µs", "top-1", "95 %", "correct", "bytes"]


def mlperf_table(report: MlperfReport, recipe: MlperfRecipe) -> str:
    """The report for a terminal, about 100 columns wide, with a last newline.

    Args:
        report: what was measured.
        recipe: what it was made from, for the command that measures on the whole test set.
    """
    seen = report.models[0].seen
    return "\n".join(
        [
            *_measured_how(report),
            "",
            *aligned([_HEADER, *(_row(model) for model in report.models)]),
            "",
            f"{seen} images cannot tell models apart that differ by a few points. On all 10,000:",
            f"  {_full_command(recipe)}",
            *_warnings(report),
            "",
        ]
    )


def _measured_how(report: MlperfReport) -> list[str]:
    machine, first = report.environment, report.models[0]
    threads = sorted({str(model.threads or "the runtime's choice") for model in report.models})
    return [
        f"Score: median of {counted(len(first.windows), 'window')} of {report.window_seconds:g} s or "
        f"more, each on another image; threads: {', '.join(threads)}.",
        f"Accuracy: percent of MLPerf Tiny's {first.seen} images, part of CIFAR-10's test set.",
        f"Machine: {machine.cpu_model}, {counted(machine.cores, 'core')}, {machine.os}, "
        f"{machine.python}{'' if report.target is None else f', {report.target}'}.",
    ]


def _row(model: MlperfModel) -> list[str]:
    low, high = model.accuracy_interval
    return [
        model.name,
        model.runtime,
        f"{model.throughput_per_s:,.3f}",
        microseconds(model.latency_ns),
        percent(model.accuracy),
        f"{percent(low)}-{percent(high)}",
        f"{model.correct}/{model.seen}",
        f"{model.model_file.size_bytes:,}",
    ]


def _full_command(recipe: MlperfRecipe) -> str:
    contract = [] if recipe.contract is None else ["--contract", recipe.contract]
    return shlex.join(["cifar-bench", *map(str, recipe.models), "--split", "test", *contract])


def _warnings(report: MlperfReport) -> list[str]:
    if report.follows_the_rules:
        return []
    return [
        f"A trial: MLPerf Tiny asks for windows of {OFFICIAL_WINDOW_SECONDS:g} s; leave "
        "--window-seconds out for a score to quote."
    ]
