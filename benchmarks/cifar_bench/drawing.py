"""What is made of a report besides its JSON and tables: the options, the files, and the verdict against a baseline.

It imports nothing slow until a report is at hand.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_bench.regression_limits import RegressionLimits
from cifar_runtime.command import Parser, share
from cifar_runtime.errors import InputError, UsageError
from cifar_runtime.files import read_once
from cifar_runtime.result_file import STDOUT, check_result_file

if TYPE_CHECKING:
    from cifar_bench.regression import RegressionGate
    from cifar_bench.report import Report

MAX_REPORT_BYTES = 256 * 1024 * 1024

_DEFAULT = RegressionLimits()
_MEASURING = (
    "runtimes",
    "contract",
    "split",
    "eval_data",
    "limit",
    "threads",
    "batch_sizes",
    "warmup",
    "runs",
    "max_seconds",
    "cold_starts",
    "roofline",
    "profile",
    "quick",
    "target",
    "target_python",
)
"""The options, as attributes, that say what is measured and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What to make of a report.

    Attributes:
        from_report: a saved report to draw and judge instead of measuring one; None to measure.
        csv: where the CSV table goes: None, ``-`` for stdout, or a file.
        html: where the HTML page goes, or None.
        baseline: a saved report to judge against, or None.
        limits: how much worse than the baseline a model may be.
    """

    from_report: Path | None = None
    csv: str | None = None
    html: Path | None = None
    baseline: Path | None = None
    limits: RegressionLimits = _DEFAULT


NO_DRAWING = Drawing()


def add_drawing_options(parser: Parser) -> None:
    """Adds ``--csv``, ``--html``, ``--from-report`` and the regression gate's options."""
    add = parser.add_argument_group("reports").add_argument
    add(
        "--csv",
        nargs="?",
        const=STDOUT,
        metavar="FILE",
        help="write the figures as CSV, to stdout without FILE",
    )
    add("--html", metavar="FILE", help="write the report as a page that needs nothing else")
    add(
        "--from-report",
        type=Path,
        metavar="FILE",
        help="measure nothing: draw and judge a report that --json FILE has written",
    )
    add(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="judge the models against the same ones in an older report of the same machine: exit 5 "
        "when one is worse beyond a limit and beyond chance (one-sided tests at 2.5 %%: Mann-Whitney "
        "of the rounds' medians; McNemar, or two proportions on other images)",
    )
    add(
        "--max-slowdown",
        type=share,
        metavar="SHARE",
        help="how much slower than the baseline a model may be (default: 10%%)",
    )
    add(
        "--max-accuracy-drop",
        type=share,
        metavar="SHARE",
        help="how much less accurate than the baseline a model may be (default: 0.5pp)",
    )


def drawing_from_arguments(arguments: argparse.Namespace) -> Drawing:
    """The options that :func:`add_drawing_options` added, as data.

    Raises:
        UsageError: they do not go together.
    """
    given = {
        name: value
        for name in ("max_slowdown", "max_accuracy_drop")
        if (value := getattr(arguments, name)) is not None
    }
    if given and arguments.baseline is None:
        raise UsageError(
            "cifar-bench: --max-slowdown and --max-accuracy-drop limit what --baseline compares.",
            hint="Give --baseline FILE.json as well.",
        )
    return Drawing(
        from_report=arguments.from_report,
        csv=arguments.csv,
        html=None if arguments.html is None else Path(arguments.html),
        baseline=arguments.baseline,
        limits=RegressionLimits(**given),
    )


def check_outputs(arguments: argparse.Namespace) -> None:
    """Refuses two documents on stdout, a page on stdout, and files of another kind.

    Raises:
        UsageError: that is what the command line asks for.
    """
    suffixes = {"json": ".json", "markdown": ".md", "csv": ".csv", "html": ".html"}
    claiming = [f"--{name}" for name in suffixes if getattr(arguments, name) == STDOUT]
    if len(claiming) > 1:
        raise UsageError(
            f"cifar-bench: {claiming[0]} and {claiming[1]} both claim stdout.",
            hint="Give one of them a FILE.",
        )
    for name, suffix in suffixes.items():
        target = getattr(arguments, name)
        check_result_file(
            f"--{name}", target, suffix=suffix, program="cifar-bench", operands="MODEL"
        )
    if arguments.html == STDOUT:
        raise UsageError(
            "cifar-bench: --html writes a file, not to stdout.", hint="Give --html FILE.html."
        )


def check_nothing_to_measure(arguments: argparse.Namespace, parser: Parser) -> None:
    """Refuses models and options of measuring beside a saved report.

    Raises:
        UsageError: that is what the command line asks for.
    """
    if arguments.from_report is None:
        return
    hint = "Give it --html, --csv, --markdown, --json or --baseline only."
    if arguments.models or arguments.against:
        raise UsageError(
            "cifar-bench: --from-report measures nothing, so no models go with it.", hint=hint
        )
    given = [
        f"--{name.replace('_', '-')}"
        for name in _MEASURING
        if getattr(arguments, name) != parser.get_default(name)
    ]
    if given:
        raise UsageError(
            f"cifar-bench: --from-report measures nothing, so nothing comes of {', '.join(given)}.",
            hint=hint,
        )


def read_report(path: Path) -> "Report":
    """The report in a file.

    Raises:
        InputError: it cannot be read, or holds no report.
    """
    from cifar_bench.report import report_from_text

    data = read_once(path, max_bytes=MAX_REPORT_BYTES, error=InputError)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not a benchmark report: {error}.",
            hint="Give a file that cifar-bench --json FILE has written.",
        ) from error
    return report_from_text(text, origin=str(path))


def read_baseline(drawing: Drawing, *, measured_here: bool) -> "Report | None":
    """The baseline, before anything is measured in vain; None when none was asked for.

    Args:
        drawing: names the baseline.
        measured_here: whether this machine is the one that will be measured.

    Raises:
        InputError: it cannot be read, or is to be compared with measurements of this machine and
            comes from another one.
    """
    if drawing.baseline is None:
        return None
    from cifar_bench.environment import read_environment
    from cifar_bench.regression import check_same_machine

    baseline = read_report(drawing.baseline)
    if measured_here:
        check_same_machine(baseline.environment, read_environment())
    return baseline


def verdict_text(baseline: "Report", report: "Report", gates: "Sequence[RegressionGate]") -> str:
    """What was not judged, and one line for every gate, the failed ones last, with a last newline."""
    from cifar_bench.regression_pairs import unshared_sentence

    ordered = sorted(gates, key=lambda gate: not gate.passed)
    failed = sum(not gate.passed for gate in gates)
    result = f"{failed} of {len(gates)} gates failed" if failed else f"{len(gates)} gates passed"
    head = f"Against the baseline of {baseline.date}: {result}."
    unshared = unshared_sentence(baseline, report)
    lines = [head, *([] if unshared is None else [unshared])]
    return "\n".join([*lines, *(gate.sentence for gate in ordered)]) + "\n"
