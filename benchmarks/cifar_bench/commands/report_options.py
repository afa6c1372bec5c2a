"""What is made of a report besides its JSON and tables: the options, and the files. It imports nothing slow."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from cifar_bench.regression.baseline import is_model
from cifar_bench.regression.limits import RegressionLimits
from cifar_runtime.commands.options import add_document_option
from cifar_runtime.commands.parser import Parser, share
from cifar_runtime.commands.result_file import STDOUT, check_result_file
from cifar_runtime.errors import UsageError

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
class ReportOptions:
    """What to make of a report.

    Attributes:
        from_report: a saved report to draw and judge instead of measuring one; None to measure.
        csv: where the CSV table goes: None, ``-`` for stdout, or a file.
        html: where the HTML page goes, or None.
        baseline: a saved report to judge against, or a model to measure for that; None for neither.
        limits: how much worse than the baseline a model may be.
    """

    from_report: Path | None = None
    csv: str | None = None
    html: Path | None = None
    baseline: Path | None = None
    limits: RegressionLimits = _DEFAULT


NO_REPORT_OPTIONS = ReportOptions()


def add_report_options(parser: Parser) -> None:
    """Adds ``--csv``, ``--html``, ``--from-report`` and the regression gate's options."""
    reports = parser.add_argument_group("reports")
    add = reports.add_argument
    add_document_option(reports, "--csv", "the figures as CSV")
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
        metavar="REPORT|MODEL",
        help="judge the models against an older report of the same machine, the same ones in it, or "
        "against an older model, which is then measured in the same rounds: exit 5 when one is worse "
        "beyond a limit and beyond chance (one-sided tests at 2.5 %%: of the rounds' medians "
        "Mann-Whitney, with a model as baseline Wilcoxon's signed ranks, paired by round; of the "
        "decisions McNemar, or two proportions on other images)",
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


def report_options_from_arguments(arguments: argparse.Namespace) -> ReportOptions:
    """The options that :func:`add_report_options` added, as data.

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
            hint="Give --baseline REPORT.json or --baseline MODEL as well.",
        )
    _check_baseline_model(arguments)
    return ReportOptions(
        from_report=arguments.from_report,
        csv=arguments.csv,
        html=None if arguments.html is None else Path(arguments.html),
        baseline=arguments.baseline,
        limits=RegressionLimits(**given),
    )


def _check_baseline_model(arguments: argparse.Namespace) -> None:
    """Refuses a model as baseline where none is measured, where it is itself judged, or where none is like it.

    Raises:
        UsageError: that is what the command line asks for.
    """
    baseline, models = arguments.baseline, arguments.models
    if not is_model(baseline):
        return
    if arguments.from_report is not None:
        raise UsageError(
            f"cifar-bench: --from-report measures nothing, so {baseline} cannot be measured either.",
            hint="Give a saved report as --baseline.",
        )
    if models and not [one for one in models if one != baseline and one.suffix == baseline.suffix]:
        raise UsageError(
            f"cifar-bench: --baseline {baseline} is to be measured beside another {baseline.suffix} "
            "model, but none is given.",
            hint="Give the model that is to be judged.",
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
