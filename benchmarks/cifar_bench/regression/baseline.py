"""What a run is judged against: an older report, or an older model that is measured in the same rounds.

It imports nothing slow until a report is at hand.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.formats.known_formats import SUFFIXES
from cifar_runtime.plain_text import printable_lines, reason_of
from cifar_runtime.system.files import MAX_MODEL_BYTES, read_once

if TYPE_CHECKING:
    from cifar_bench.regression.gates import RegressionGate
    from cifar_bench.regression.limits import RegressionLimits
    from cifar_bench.results.report import Report

MAX_REPORT_BYTES = 256 * 1024 * 1024
_MODEL_SUFFIXES = (*SUFFIXES, ".keras")


def is_model(baseline: Path | None) -> bool:
    """Whether a baseline is a model to measure, not a saved report."""
    return baseline is not None and baseline.suffix in _MODEL_SUFFIXES


def read_report(path: str | Path) -> "Report":
    """The report in a file that ``cifar-bench --json`` or ``Report.to_text`` has written.

    Raises:
        InputError: it cannot be read, or holds no report.

    Example:
        >>> from pathlib import Path
        >>> from cifar_bench import read_report
        >>> read_report("report.json").to_text() == Path("report.json").read_text("utf-8")
        True
    """
    from cifar_bench.results.report import report_from_text

    data = read_once(Path(path), max_bytes=MAX_REPORT_BYTES, error=InputError)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not a benchmark report: {reason_of(error)}.",
            hint="Give a file that cifar-bench --json FILE has written.",
        ) from error
    return report_from_text(text, origin=str(path))


def read_baseline(baseline: Path, *, measured_here: bool) -> "Report | str":
    """The report in the baseline, or the SHA-256 of a model, before anything is measured in vain.

    Args:
        baseline: a file.
        measured_here: whether this machine is the one that will be measured.

    Raises:
        ArtefactError: it is a model and cannot be read.
        InputError: it cannot be read, or is to be compared with measurements of this machine and
            comes from another one.
    """
    if is_model(baseline):
        data = read_once(baseline, max_bytes=MAX_MODEL_BYTES, error=ArtefactError)
        return hashlib.sha256(data).hexdigest()
    from cifar_bench.regression.gates import check_same_machine
    from cifar_runtime.environment import read_environment

    report = read_report(baseline)
    if measured_here:
        check_same_machine(report.environment, read_environment())
    return report


def judge_against(
    baseline: "Report | str", report: "Report", limits: "RegressionLimits"
) -> tuple[str, bool]:
    """The verdict in words, with a last newline, and whether every gate passed.

    Args:
        baseline: what :func:`read_baseline` gave.
        report: what is judged.
        limits: how much worse it may be.

    Raises:
        InputError: there is nothing that both measured alike.
    """
    from cifar_bench.regression.gates import judge_beside, judge_regression
    from cifar_bench.regression.pairs import (
        baseline_entries,
        pairs_beside,
        shared_models,
        unpaired_sentence,
        unshared_sentence,
    )
    from cifar_bench.results.steadiness import unsteady_pairs_sentence

    if isinstance(baseline, str):
        gates = judge_beside(baseline, report, limits)
        names = ", ".join(model.name for model in baseline_entries(baseline, report))
        head = f"Against the baseline {names}, measured in the same rounds"
        left_out, pairs = unpaired_sentence(baseline, report), pairs_beside(baseline, report)
    else:
        gates = judge_regression(baseline, report, limits)
        head = f"Against the baseline of {baseline.date}"
        left_out, pairs = unshared_sentence(baseline, report), shared_models(baseline, report)
    notes = filter(None, (left_out, unsteady_pairs_sentence(pairs)))
    lines = [f"{head}: {_counted(gates)}.", *notes]
    ordered = sorted(gates, key=lambda gate: not gate.passed)
    text = printable_lines([*lines, *(gate.sentence for gate in ordered)])
    return text, all(gate.passed for gate in gates)


def _counted(gates: "Sequence[RegressionGate]") -> str:
    failed = sum(not gate.passed for gate in gates)
    return f"{failed} of {len(gates)} gates failed" if failed else f"{len(gates)} gates passed"
