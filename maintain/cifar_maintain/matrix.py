"""Exports everything that one checkpoint can become, and reports it: ``python -m cifar_maintain.matrix -o DIR``.

It is :func:`cifar_export.pipeline.export` for every pair of format and precision, then for int8 with ``--qat``; the
report is read from the documents that this left in the folder.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from cifar_export.recipe import (
    RUNNABLE,
    EvalSplit,
    EvaluationImages,
    ExportRecipe,
    PublishOptions,
    QatRecipe,
    Quantize,
    SourceRecipe,
)
from cifar_export.result import ExportConflictError, ExportGateError
from cifar_runtime.commands.options import add_document_option
from cifar_runtime.commands.parser import Parser, choice, run_command, sentences_to_stderr
from cifar_runtime.commands.result_file import STDOUT, check_result_file, write_result_file
from cifar_runtime.documents import from_document
from cifar_runtime.errors import GateError, UsageError

if TYPE_CHECKING:
    from cifar_eval.models.protocols import ModelFile
    from cifar_maintain.tables.matrix_report import MatrixEntry, MatrixReport, RefusedPair

_PROGRAM = "python -m cifar_maintain.matrix"
_EXAMPLES = """\
  python -m cifar_maintain.matrix -o exported --eval-split test --json benchmarks/reports/matrix.json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def export_matrix(
    recipe: ExportRecipe, *, qat: QatRecipe, progress: Callable[[str], None] | None = None
) -> "MatrixReport":
    """Every export of a checkpoint with its verdict; those that pass are published.

    Args:
        recipe: checkpoint, folder, images and limits; its formats, precisions and training are not looked at.
        qat: how to train int8 models for the pairs with training.
        progress: takes a few words on what begins.

    Raises:
        CifarEdgeError: an export could not be made at all, or an artefact is in the way of one; a failed gate is
            in the report.
    """
    from cifar_maintain.tables.matrix_report import MatrixReport
    from cifar_runtime.environment import read_environment

    documents: list[tuple[str, dict[str, Any]]] = []
    for part in _parts(recipe, qat):
        documents += _exported(part, progress)
    order = list(RUNNABLE)
    documents.sort(key=lambda pair: order.index(pair[1]["model"]["format"]))
    provenance = documents[0][1]["provenance"]
    return MatrixReport(
        environment=read_environment(),
        checkpoint=_checkpoint_file(recipe.source.checkpoint, provenance["checkpoint"]["sha256"]),
        split=provenance["parity"]["split"],
        entries=tuple(_entry(precision, document) for precision, document in documents),
        refused=_refused(recipe),
    )


def _parts(recipe: ExportRecipe, qat: QatRecipe) -> tuple[ExportRecipe, ...]:
    """The whole matrix as exports of one kind each; the trained ones last."""
    shared = set.intersection(*(set(all_) for all_ in RUNNABLE.values()))
    common = tuple(precision for precision in get_args(Quantize) if precision in shared)
    plain = replace(recipe, formats=tuple(RUNNABLE), quantize=common, qat=None)
    others = [
        replace(plain, formats=(model_format,), quantize=(precision,))
        for model_format, all_ in RUNNABLE.items()
        for precision in all_
        if precision not in shared
    ]
    return plain, *others, replace(plain, quantize=("int8",), qat=qat)


def _exported(
    recipe: ExportRecipe, progress: Callable[[str], None] | None
) -> list[tuple[str, dict[str, Any]]]:
    """What each pair is called in the table, and the document that its export left."""
    from cifar_export.pipeline import export
    from cifar_runtime.artefact import card_path

    try:
        results = export(recipe, progress=progress)
    except ExportGateError as error:
        _refuse_unmeasured(error)
        results = error.results
    published = {result.path.name for result in results}
    found = []
    for model_format, quantize in recipe.pairs:
        name = f"{recipe.name_of(recipe.source.checkpoint.stem, quantize)}.{model_format}"
        target = recipe.publish.output / name
        failed = target.with_name(f"{name}.failed.parity.json")
        document = card_path(target) if name in published else failed
        found.append((_precision(recipe, quantize), json.loads(document.read_bytes())))
    return found


def _refuse_unmeasured(error: ExportGateError) -> None:
    """Checks that every export that failed has a verdict of its own, which only a measured one has.

    Raises:
        ExportConflictError: a different artefact is in the way of one, or its interpreter refuses it.
    """
    others = [failure.sentence for failure in error.failures if failure.reason != "gate"]
    if others:
        raise ExportConflictError(
            f"{'; '.join(others)}.",
            hint="Export with force, into another folder, or on other calibration images.",
            results=error.results,
            failures=error.failures,
        ) from error


def _precision(recipe: ExportRecipe, quantize: Quantize) -> str:
    return f"{quantize} --qat" if recipe.trains(quantize) else quantize


def _entry(precision: str, document: Mapping[str, Any]) -> "MatrixEntry":
    from cifar_eval.models.protocols import ModelFile
    from cifar_eval.parity.counts import Parity
    from cifar_eval.parity.limits import Limits
    from cifar_maintain.tables.matrix_report import MatrixEntry

    provenance = document["provenance"]
    limits = {gate["name"]: gate["limit"] for gate in provenance["parity"]["gates"]}
    return MatrixEntry(
        model_file=ModelFile(**document["model"]),
        precision=precision,
        parity=from_document(Parity, provenance["parity"]),
        limits=Limits(max_accuracy_drop=limits["accuracy_drop"], min_agreement=limits["agreement"]),
        training=provenance["training_for_int8"],
        tools=provenance["tools"],
    )


def _checkpoint_file(path: Path, sha256: str) -> "ModelFile":
    from cifar_eval.models.protocols import ModelFile

    return ModelFile(file=path.name, format="keras", size_bytes=path.stat().st_size, sha256=sha256)


def _refused(recipe: ExportRecipe) -> "tuple[RefusedPair, ...]":
    """The pairs that a recipe refuses, in its own words."""
    from cifar_maintain.tables.matrix_report import RefusedPair

    refused = []
    for model_format in RUNNABLE:
        for precision in get_args(Quantize):
            try:
                replace(recipe, formats=(model_format,), quantize=(precision,), qat=None)
            except UsageError as error:
                reason = error.message.partition(": ")[2].partition(", expected")[0]
                refused.append(
                    RefusedPair(format=model_format, precision=precision, reason=f"{reason}.")
                )
    return tuple(refused)


def _run(argv: Sequence[str]) -> int:
    """Prints the table, whatever the verdicts; exit code 5 when a gate failed."""
    options = _parse(argv)
    from cifar_data import packaged
    from cifar_maintain.tables.matrix_report import markdown_matrix

    recipe = ExportRecipe(
        source=SourceRecipe(checkpoint=options.checkpoint or packaged.checkpoint()),
        publish=PublishOptions(output=options.output, force=True),
        evaluation=EvaluationImages(split=options.eval_split),
    )
    report = export_matrix(recipe, qat=QatRecipe(), progress=sentences_to_stderr(_PROGRAM))
    if options.json != STDOUT:
        sys.stdout.write(markdown_matrix(report))
    if options.json == STDOUT:
        sys.stdout.write(report.to_text())
    elif options.json is not None:
        write_result_file(options.json, report.to_text())
    return 0 if all(entry.passed for entry in report.entries) else GateError.exit_code


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog=_PROGRAM,
        description="Export a checkpoint in every format and precision, with --qat too, gate every export, and "
        "report. A failed gate is exit code 5.",
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add(
        "checkpoint",
        nargs="?",
        type=Path,
        metavar="CHECKPOINT",
        help="a .keras file (default: the shipped one)",
    )
    add(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder to publish into; artefacts of these names are replaced",
    )
    add(
        "--eval-split",
        type=choice(get_args(EvalSplit)),
        default="auto",
        metavar="auto|test|test-sample",
        help="images to gate on (default: the test split when fetched, else the shipped 1,000)",
    )
    add_document_option(parser, "--json", "the report, which docs' table is drawn from, as JSON")
    options = parser.parse_args(argv)
    check_result_file(
        "--json", options.json, suffix=".json", program=_PROGRAM, operands="CHECKPOINT"
    )
    return options


if __name__ == "__main__":
    sys.exit(main())
