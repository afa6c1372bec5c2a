"""The command ``cifar-parity``: parses, runs or reads, judges, prints. Imports numpy only to compare."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cifar_data.split_names import BenchSplit
from cifar_eval.parity.limits import Limits
from cifar_eval.parity.recipe import ParityRecipe
from cifar_runtime.commands.config_file import add_config_option, parse_with_config
from cifar_runtime.commands.options import (
    add_contract_option,
    add_document_option,
    add_eval_data_option,
    add_limit_option,
    add_quiet_option,
    add_split_option,
    add_threads_option,
    add_verbose_option,
)
from cifar_runtime.commands.parser import Parser, run_command, share
from cifar_runtime.commands.progress import progress_line
from cifar_runtime.commands.result_file import (
    STDOUT,
    check_result_file,
    write_document,
    write_result_file,
)
from cifar_runtime.errors import GateError, InputError, UsageError, json_error_reason
from cifar_runtime.plain_text import printable

if TYPE_CHECKING:
    from cifar_eval.layers.explanation import Explanation
    from cifar_eval.parity.report import ParityReport
    from cifar_eval.parity.score import OpenModels
    from cifar_runtime.certificates.certificate import Certificate
    from cifar_runtime.progress import Progress

_PROGRAM = "cifar-parity"
_MAX_CERTIFICATE_BYTES = 16 * 1024 * 1024
_EXAMPLES = """\
  cifar-parity edge-s.keras edge-s-int8.tflite
  cifar-parity edge-s.keras edge-s-float32.tflite edge-s-int8.tflite --split test -v
  cifar-parity edge-s-int8.tflite edge-s-int8.onnx --save-outputs outputs.npz
  cifar-parity --from-outputs outputs.npz --max-accuracy-drop 1pp
  cifar-parity --certificates desk.json board.json         # of cifar-info --self-test --json, on two machines
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePair:
    """Two machines' certificates to compare.

    Attributes:
        paths: of both.
        layers: name the first operator that differs.
    """

    paths: tuple[Path, Path]
    layers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One command line.

    Attributes:
        source: what to run, the file of saved outputs to judge again, or certificates to compare.
        limits: what the candidates must hold.
        save_outputs: where all scores go; None for nowhere.
        json: where the JSON report goes: None, ``-`` for stdout, or a file.
        quiet: no progress on stderr.
        verbose: errors by layer for every candidate, not only for those that fail.
    """

    source: ParityRecipe | Path | CertificatePair
    limits: Limits
    save_outputs: Path | None
    json: str | None
    quiet: bool
    verbose: bool


def parse(argv: Sequence[str]) -> Invocation:
    """The command line as data.

    Raises:
        UsageError: it makes no sense.
    """
    arguments = parse_with_config(_parser(), argv)
    for option, target, suffix in (
        ("--json", arguments.json, ".json"),
        ("--save-outputs", arguments.save_outputs, ".npz"),
    ):
        check_result_file(option, target, suffix=suffix, program=_PROGRAM, operands="the models")
    return Invocation(
        source=_source(arguments),
        limits=Limits(
            max_accuracy_drop=arguments.max_accuracy_drop,
            min_agreement=arguments.min_agreement,
            min_accuracy=arguments.min_accuracy,
        ),
        save_outputs=None if arguments.save_outputs is None else Path(arguments.save_outputs),
        json=arguments.json,
        quiet=arguments.quiet,
        verbose=arguments.verbose,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, lambda arguments: _run(parse(arguments)), argv)


def _run(invocation: Invocation) -> int:
    """Prints the whole report, whatever the verdict: a failed gate is an answer, not an error."""
    from cifar_eval.parity.outputs import read_outputs
    from cifar_eval.parity.report import report_from_outputs
    from cifar_eval.parity.score import open_models, score_models

    if isinstance(invocation.source, CertificatePair):
        return _compare_certificates(invocation.source, invocation.json)
    explanations: dict[str, Explanation] = {}
    if isinstance(invocation.source, Path):
        report = report_from_outputs(read_outputs(invocation.source), invocation.limits)
    else:
        opened = open_models(invocation.source)
        progress = progress_line(_PROGRAM, quiet=invocation.quiet)
        outputs = score_models(opened, progress=progress)
        if invocation.save_outputs is not None:
            write_result_file(invocation.save_outputs, outputs.to_bytes())
        report = report_from_outputs(outputs, invocation.limits)
        explanations = _explanations(
            invocation.source, opened, report, verbose=invocation.verbose, progress=progress
        )
    _publish(report, explanations, invocation.json)
    return 0 if report.passed else GateError.exit_code


def _compare_certificates(pair: CertificatePair, json_target: str | None) -> int:
    import json

    from cifar_eval.parity.certificates import compare_certificates, comparison_lines
    from cifar_runtime.certificates.certificate import certificate_from_json
    from cifar_runtime.system.files import read_text_once

    def read(path: Path) -> "Certificate":
        text = read_text_once(path, max_bytes=_MAX_CERTIFICATE_BYTES, error=InputError)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = json_error_reason(error)
            raise InputError(
                f"{path}: is not JSON: {reason}.", hint="Certify the machine again."
            ) from error
        return certificate_from_json(document, origin=str(path))

    first, second = map(read, pair.paths)
    comparison = compare_certificates(first, second, layers=pair.layers)
    if json_target is not None:
        write_document(json_target, json.dumps(comparison.to_json(), indent=1) + "\n")
    if json_target != STDOUT:
        sys.stdout.writelines(f"{printable(line)}\n" for line in comparison_lines(comparison))
    return 0 if comparison.passed else GateError.exit_code


def _explanations(
    recipe: ParityRecipe,
    opened: "OpenModels",
    report: "ParityReport",
    *,
    verbose: bool,
    progress: "Progress | None",
) -> "dict[str, Explanation]":
    """Of the candidates that failed, or of all when ``verbose``, by name."""
    from cifar_eval.layers.explanation import explain

    names = [report.reference.name, *(one.model.name for one in report.candidates)]
    models: dict[Path, str] = {}
    for path, name in zip(recipe.models, names, strict=True):
        models.setdefault(path, name)
    evaluation = opened.evaluation
    return {
        candidate.model.name: explain(
            path,
            models,
            images=evaluation.images,
            labels=evaluation.labels,
            contract=recipe.contract,
            progress=progress,
        )
        for path, candidate in zip(recipe.candidates, report.candidates, strict=True)
        if verbose or not candidate.passed
    }


def _publish(
    report: "ParityReport", explanations: "dict[str, Explanation]", json_target: str | None
) -> None:
    """One document to stdout: JSON when asked, else the table; and the JSON file when asked."""
    from cifar_eval.parity.report import report_text
    from cifar_eval.parity.table import plain_report

    if json_target == STDOUT:
        sys.stdout.write(report_text(report, explanations))
        return
    if json_target is not None:
        write_result_file(json_target, report_text(report, explanations))
    sys.stdout.write(_printable(plain_report(report, explanations)))


def _printable(text: str) -> str:
    """The text with its marks spelled out where the terminal's encoding lacks them."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return text.replace("✓", "pass").replace("✗", "FAIL").replace("…", "~")
    return text


def _source(arguments: argparse.Namespace) -> ParityRecipe | Path | CertificatePair:
    """What to run, the saved outputs to judge, or the certificates to compare.

    Raises:
        UsageError: none of them, or several.
    """
    models: list[Path] = arguments.models
    if arguments.certificates is not None:
        if models or arguments.save_outputs or arguments.limit or arguments.contract:
            raise UsageError(
                f"{_PROGRAM}: --certificates runs nothing, so no models or --save-outputs go with it.",
                hint="Give it --layers and --json only.",
            )
        first, second = arguments.certificates
        return CertificatePair(paths=(first, second), layers=arguments.layers)
    if arguments.layers:
        raise UsageError(
            f"{_PROGRAM}: --layers compares operators of certificates, which are not given.",
            hint="Give --certificates A.json B.json; -v shows the error by layer of models.",
        )
    if arguments.from_outputs is not None:
        to_run = (arguments.save_outputs, arguments.eval_data, arguments.limit, arguments.contract)
        if models or any(to_run):
            raise UsageError(
                f"{_PROGRAM}: --from-outputs runs nothing, so no models, images or --save-outputs "
                "go with it.",
                hint="Give it limits and --json only.",
            )
        saved: Path = arguments.from_outputs
        return saved
    if len(models) < 2:
        raise UsageError(
            f"{_PROGRAM}: {len(models)} model{'s' * (len(models) != 1)} given, expected REFERENCE "
            "and one or more CANDIDATE.",
            hint=f"See {_PROGRAM} --help.",
        )
    return ParityRecipe(
        reference=models[0],
        candidates=tuple(models[1:]),
        split=arguments.split or "test-sample",
        eval_data=arguments.eval_data,
        limit=arguments.limit,
        threads=arguments.threads,
        contract=arguments.contract,
    )


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        description="Compare models on the same labelled images, and decide whether the candidates "
        "decide like the reference. A failed gate is exit code 5.",
        examples=_EXAMPLES,
    )
    _add_models(parser)
    _add_limits(parser)
    _add_results(parser)
    return parser


def _add_models(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "models",
        metavar="MODEL",
        nargs="*",
        type=Path,
        help="REFERENCE, then one or more CANDIDATE: .keras, or .tflite and .onnx with their cards",
    )
    images = parser.add_mutually_exclusive_group()
    add_split_option(images, get_args(BenchSplit))
    add_eval_data_option(images)
    images.add_argument(
        "--from-outputs",
        type=Path,
        metavar="FILE.npz",
        help="judge what --save-outputs wrote, without running any model",
    )
    images.add_argument(
        "--certificates",
        nargs=2,
        type=Path,
        metavar=("A.json", "B.json"),
        help="compare two machines by what cifar-info --self-test --json, or --serial-log, wrote of them",
    )
    parser.add_argument(
        "--layers",
        action="store_true",
        help="with --certificates: name the first operator whose output differs",
    )
    add_limit_option(parser)
    add_threads_option(parser)
    add_contract_option(parser)


def _add_limits(parser: Parser) -> None:
    add, default = parser.add_argument, Limits()
    add(
        "--max-accuracy-drop",
        type=share,
        default=default.max_accuracy_drop,
        metavar="0.5pp",
        help="largest loss against the reference, in points; judged at the upper end of its 95 %% "
        "interval where there are enough images (default: 0.5pp)",
    )
    add(
        "--min-agreement",
        type=share,
        default=default.min_agreement,
        metavar="0.97",
        help="smallest share of images decided like the reference (default: 0.97)",
    )
    add(
        "--min-accuracy",
        type=share,
        metavar="0.65",
        help="smallest top-1 accuracy of a candidate (default: none)",
    )


def _add_results(parser: Parser) -> None:
    parser.add_argument(
        "--save-outputs",
        metavar="FILE.npz",
        help="write all scores and labels, to be judged again by --from-outputs",
    )
    add_document_option(parser, "--json", "the report as JSON")
    add_config_option(parser)
    add_quiet_option(parser)
    add_verbose_option(parser, "the error by layer for every candidate")
