"""The command ``cifar-bench``: parses, calls :func:`cifar_bench.bench`, prints. Imports numpy only to measure."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cifar_bench.commands.report_options import (
    NO_REPORT_OPTIONS,
    ReportOptions,
    add_report_options,
    check_nothing_to_measure,
    check_outputs,
    report_options_from_arguments,
)
from cifar_bench.recipe import FULL, QUICK, BenchRecipe, Effort
from cifar_bench.regression.baseline import is_model, judge_against, read_baseline, read_report
from cifar_bench.remote.ssh_target import (
    Target,
    add_target_options,
    target_from_arguments,
    without_accounts,
)
from cifar_bench.variants import VARIANTS
from cifar_data.split_names import BenchSplit
from cifar_runtime.commands.config_file import add_config_option, parse_with_config
from cifar_runtime.commands.options import (
    add_contract_option,
    add_document_option,
    add_eval_data_option,
    add_limit_option,
    add_quiet_option,
    add_split_option,
    add_verbose_option,
)
from cifar_runtime.commands.parser import (
    Parser,
    positive_int,
    run_command,
    thread_count,
    whole_number,
)
from cifar_runtime.commands.progress import progress_line
from cifar_runtime.commands.result_file import STDOUT, write_result_file
from cifar_runtime.errors import GateError, UsageError
from cifar_runtime.formats.known_formats import ModelFormat

if TYPE_CHECKING:
    from cifar_bench.results.report import Report

_PROGRAM = "cifar-bench"
_EXAMPLES = """\
  cifar-bench
  cifar-bench edge-s-int8.tflite edge-s-int8.onnx --json report.json
  cifar-bench edge-s-int8.tflite --against edge-s.keras --split test
  cifar-bench edge-s-int8.tflite --baseline report.json --max-slowdown 10%
  cifar-bench new/edge-s-int8.tflite --baseline old/edge-s-int8.tflite --max-slowdown 10%
  cifar-bench runs/mine --html report.html           # a run on your own pictures, and what was exported there
  cifar-bench --from-report report.json --html report.html
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One command line.

    Attributes:
        recipe: what to measure.
        command: the command line for the report, without the folders of absolute paths.
        json: where the JSON report goes: None, ``-`` for stdout, or a file.
        markdown: where the Markdown table goes, as for ``json``.
        quiet: no progress on stderr.
        options: what else to make of the report, and what to judge it against.
        target: the board to measure on; None for this machine.
        end_to_end: compare the packaged model's way with bare code instead.
    """

    recipe: BenchRecipe
    command: tuple[str, ...]
    json: str | None
    markdown: str | None
    quiet: bool
    options: ReportOptions = NO_REPORT_OPTIONS
    target: Target | None = None
    end_to_end: bool = False


def parse(argv: Sequence[str]) -> Invocation:
    """The command line as data.

    Raises:
        UsageError: it makes no sense.
    """
    arguments = parse_with_config(_parser(), argv)
    if arguments.end_to_end:
        _check_end_to_end(arguments, argv)
    if arguments.split and arguments.eval_data:
        raise UsageError(
            f"{_PROGRAM}: --split and --eval-data both name the images.", hint="Give one of them."
        )
    check_outputs(arguments)
    check_nothing_to_measure(arguments, _parser())  # whose defaults no file has changed
    run = _run_among(arguments)
    models, of_run = _models(arguments.models, run)
    return Invocation(
        recipe=BenchRecipe(
            models=models,
            against=(*of_run, *arguments.against, *filter(is_model, [arguments.baseline])),
            run=run,
            runtimes=arguments.runtimes,
            split=arguments.split or "test-sample",
            eval_data=arguments.eval_data,
            limit=arguments.limit,
            threads=arguments.threads,
            contract=arguments.contract,
            profile=arguments.profile,
            effort=_effort(arguments),
        ),
        command=without_accounts(_without_folders(argv)),
        json=arguments.json,
        markdown=arguments.markdown,
        quiet=arguments.quiet,
        options=report_options_from_arguments(arguments),
        target=target_from_arguments(arguments),
        end_to_end=arguments.end_to_end,
    )


def _check_end_to_end(arguments: argparse.Namespace, argv: Sequence[str]) -> None:
    """Refuses what does not go with the comparison: it takes one .onnx at most, and ``--json``."""
    models = [str(path) for path in arguments.models]
    json = [] if arguments.json is None else [arguments.json]
    rest = [
        word
        for word in argv
        if word not in ("--end-to-end", "--json", f"--json={arguments.json}", *models, *json)
    ]
    if rest or len(models) > 1 or not all(model.endswith(".onnx") for model in models):
        raise UsageError(
            f"{_PROGRAM}: --end-to-end measures the packaged models and nothing else.",
            hint="Give it alone, with --json FILE, or with an .onnx of edge-s in float32.",
        )


def _run_among(arguments: argparse.Namespace) -> Path | None:
    """The folder of a training run among the models.

    Raises:
        UsageError: there are several, or options name other images or a board, which has no such pictures.
    """
    runs = [path for path in arguments.models if (path / "data.json").is_file()]
    if not runs:
        return None
    if len(runs) > 1 or arguments.split or arguments.eval_data or arguments.target:
        raise UsageError(
            f"{_PROGRAM}: {runs[0]} is a run's folder, whose test pictures are scored, but the command names "
            "other images or another machine too.",
            hint="Give one run, without --split, --eval-data and --target.",
        )
    return Path(runs[0])


def _models(given: Sequence[Path], run: Path | None) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The models, those that were exported into the run's folder among them, and the checkpoint to compare with."""
    if run is None:
        return tuple(given), ()
    checkpoint = run / "model.keras"
    exported = [one for known in get_args(ModelFormat) for one in sorted(run.glob(f"*.{known}"))]
    models = (*(path for path in given if path != run), *exported)
    return (models, (checkpoint,)) if models else ((checkpoint,), ())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, lambda arguments: _run(parse(arguments)), argv)


def _run(invocation: Invocation) -> int:
    """Prints the whole report, whatever the verdict: a failed gate is an answer, not an error."""
    if invocation.end_to_end:
        return _compare_end_to_end(invocation)
    options = invocation.options
    if options.html is not None:
        from cifar_bench.page.page import check_template_engine

        check_template_engine()
    measured_here = options.from_report is None and invocation.target is None
    baseline = (
        None
        if options.baseline is None
        else read_baseline(options.baseline, measured_here=measured_here)
    )
    report = (
        _measured(invocation) if options.from_report is None else read_report(options.from_report)
    )
    _publish(report, invocation)
    if baseline is None:
        return 0
    verdict, passed = judge_against(baseline, report, options.limits)
    has_document = STDOUT in (invocation.json, invocation.markdown, options.csv)
    stream = sys.stderr if has_document else sys.stdout
    stream.write(verdict)
    return 0 if passed else GateError.exit_code


def _compare_end_to_end(invocation: Invocation) -> int:
    import json
    import tempfile

    from cifar_bench.measure.end_to_end import compare_end_to_end, end_to_end_document
    from cifar_bench.tables.end_to_end import end_to_end_table

    float32 = next((Path(model) for model in invocation.recipe.models), None)
    with tempfile.TemporaryDirectory() as folder:
        compared = compare_end_to_end(Path(folder), runs=1000, starts=10, float32=float32)
    document = json.dumps(end_to_end_document(compared), indent=1) + "\n"
    if invocation.json not in (None, STDOUT):
        write_result_file(invocation.json, document)
    sys.stdout.write(document if invocation.json == STDOUT else end_to_end_table(compared))
    return 0 if all(one.passed for one in compared) else GateError.exit_code


def _measured(invocation: Invocation) -> "Report":
    recipe, command = invocation.recipe, invocation.command
    progress = progress_line(_PROGRAM, quiet=invocation.quiet)
    if invocation.target is not None:
        from cifar_bench.remote.host import bench_on

        return bench_on(invocation.target, recipe, command=command, progress=progress)
    from cifar_bench.benchmark import bench

    return bench(recipe, command=command, progress=progress)


def _publish(report: "Report", invocation: Invocation) -> None:
    """Writes files, and one document to stdout: JSON, Markdown or CSV when asked, else the table."""
    from cifar_bench.results.report import Report
    from cifar_bench.tables.csv import csv_table
    from cifar_bench.tables.plain import markdown_table, plain_table

    on_stdout, options = None, invocation.options
    for target, draw in (
        (invocation.json, Report.to_text),
        (invocation.markdown, markdown_table),
        (options.csv, csv_table),
    ):
        if target == STDOUT:
            on_stdout = draw(report)
        elif target is not None:
            write_result_file(target, draw(report))
    sys.stdout.write(plain_table(report) if on_stdout is None else on_stdout)
    if options.html is not None:  # last, so that a picture which cannot be drawn costs nothing else
        from cifar_bench.page.page import html_page

        write_result_file(options.html, html_page(report))


def _effort(arguments: argparse.Namespace) -> Effort:
    """``--quick`` or the full effort, changed by what was given besides."""
    base = QUICK if arguments.quick else FULL
    given = {
        name: value
        for name in ("warmup", "runs", "max_seconds", "batch_sizes", "cold_starts", "roofline")
        if (value := getattr(arguments, name)) is not None
    }
    return replace(base, **given)


def _without_folders(argv: Sequence[str]) -> tuple[str, ...]:
    """The command with absolute paths cut down to their names: a report names no machine's folders."""
    return (_PROGRAM, *map(_without_folder, argv))


def _without_folder(word: str) -> str:
    option, equals, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{equals}{Path(value).name}" if value.startswith("/") else word


def _counts(text: str) -> tuple[int, ...]:
    """A parser type for whole numbers above zero, separated by commas."""
    return tuple(positive_int(word) for word in text.split(","))


def _thread_counts(text: str) -> tuple[int, ...]:
    """A parser type for numbers of threads, separated by commas."""
    return tuple(thread_count(word) for word in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _seconds(text: str) -> float:
    """A parser type for seconds from zero up, of at most a day."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds, 0 to 86400")
    return seconds


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        description="Measure accuracy, agreement, latency, start, throughput, memory and size of models, "
        "and judge them against an older report.",
        examples=_EXAMPLES,
    )
    _add_models(parser)
    _add_images(parser)
    _add_effort(parser)
    add_target_options(parser)
    add_document_option(parser, "--json", "the report as JSON")
    add_document_option(parser, "--markdown", "the table as Markdown")
    add_report_options(parser)
    add_config_option(parser)
    noise = parser.add_mutually_exclusive_group()
    add_quiet_option(noise)
    add_verbose_option(noise)
    return parser


def _add_models(parser: Parser) -> None:
    models = parser.add_argument_group("models")
    add = models.add_argument
    add(
        "models",
        metavar="MODEL",
        nargs="*",
        type=Path,
        help="exported .tflite or .onnx file with its card, .keras checkpoint, or the folder of a run on "
        "your own pictures (default: the models in the package)",
    )
    add(
        "--against",
        metavar="MODEL",
        action="append",
        type=Path,
        default=[],
        help="checkpoint or model to measure before them and to compare decisions with (repeatable): "
        "a model is compared with the checkpoint it was made from, if given, else with the first",
    )
    add(
        "--runtimes",
        type=_names,
        default=("default",),
        metavar="NAME,...",
        help=f"default, all, or some of {', '.join(one.name for one in VARIANTS)}",
    )
    add_contract_option(models)


def _add_images(parser: Parser) -> None:
    images = parser.add_argument_group("images")
    add_split_option(images, get_args(BenchSplit))
    add_eval_data_option(images)
    add_limit_option(images)


def _add_effort(parser: Parser) -> None:
    effort = parser.add_argument_group("measuring")
    add = effort.add_argument
    add(
        "--threads",
        type=_thread_counts,
        default=(1,),
        metavar="N,...",
        help="threads per inference; at most 256; further counts are measured as well (default: 1)",
    )
    add(
        "--batch-sizes",
        type=_counts,
        metavar="N,...",
        help="batches whose throughput is measured (default: 1,8,32)",
    )
    add(
        "--warmup",
        type=positive_int,
        metavar="N",
        help="unmeasured inferences before each round (default: 10)",
    )
    add(
        "--runs",
        type=positive_int,
        metavar="N",
        help="measured inferences per model in the first 10 rounds (default: 1000)",
    )
    add(
        "--max-seconds",
        type=_seconds,
        metavar="S",
        help="add rounds for S seconds at most, until the 95 %% interval of every median is within "
        "2 %% (default: 30)",
    )
    add(
        "--cold-starts",
        type=whole_number,
        metavar="N",
        help="whole runs of cifar-classify per model (default: 5)",
    )
    add(
        "--roofline",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="measure this machine's ceilings (default: yes)",
    )
    add("--profile", action="store_true", help="time per operator")
    add(
        "--quick",
        action="store_true",
        help="200 inferences, no further rounds, batches, cold starts or roofline",
    )
    add(
        "--end-to-end",
        action="store_true",
        help="instead: files, arrays, batches and a start beside bare code, two processes beside one, and beside the "
        "float32 .onnx that is given the packaged int8 one, as ratios with their limits",
    )
