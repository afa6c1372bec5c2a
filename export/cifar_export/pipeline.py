"""From a Keras checkpoint to published artefacts: open, fold, convert, verify, publish; it never prints."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cifar_eval.formatting import counted
from cifar_export.advice import advice
from cifar_export.convert import convert
from cifar_export.evidence.measure import Evidence, gather_evidence
from cifar_export.evidence.verify import Verification
from cifar_export.failure import failed_gate, in_the_way, remains, verified
from cifar_export.int8.image_statistics import calibration_is_unlike, look_of
from cifar_export.job import Job, open_job
from cifar_export.layer_evidence import explain_layers, layers_sentence
from cifar_export.publish.card import card_document, licence_of
from cifar_export.publish.publish import (
    DifferentArtefactError,
    make_folder,
    place,
    publish,
    write_artefact,
    write_document,
)
from cifar_export.publish.seal import sealed_for_readers
from cifar_export.qat.distil import check_data_set
from cifar_export.recipe import CALIBRATED, ExportRecipe, Quantize
from cifar_export.result import (
    ExportConflictError,
    ExportFailure,
    ExportGateError,
    ExportResult,
    PartialExportError,
)
from cifar_export.scratch import scratch_parent, staging_folder, sweep
from cifar_runtime.contract import ModelFormat
from cifar_runtime.errors import ArtefactError, MissingDependencyError

_REQUIRED = {"tflite": ("ai_edge_litert",), "onnx": ("tf2onnx", "onnx", "onnxruntime")}
_REMARKS: dict[tuple[ModelFormat, Quantize], str] = {
    ("tflite", "int16x8"): "no XNNPACK kernels for int16x8: many times slower than int8 on x86",
    (
        "onnx",
        "fp16",
    ): "onnxruntime computes it in float32 on most CPUs: a smaller file, not a faster one",
}


def export(
    recipe: ExportRecipe, *, progress: Callable[[str], None] | None = None
) -> tuple[ExportResult, ...]:
    """The artefacts that were published, in the order of formats, then precisions.

    Args:
        recipe: what to make.
        progress: told in a few words what begins.

    Raises:
        ArtefactError: the checkpoint cannot be used or converted.
        ExportConflictError: a different artefact is in the way of one; the others are published nevertheless.
        InputError: training, calibration or evaluation images are missing or do not decode.
        ExportGateError: an artefact decides too differently; those that pass are published nevertheless.
        MissingDependencyError: a converter or interpreter is not installed.
    """
    check_installed(recipe)
    if recipe.qat is not None:
        check_data_set()
    job = open_job(recipe, progress or (lambda _: None))
    make_folder(recipe.output)
    sweep(recipe.output)
    sweep(scratch_parent())
    results: list[ExportResult] = []
    failures: list[ExportFailure] = []
    for model_format, quantize in recipe.pairs:
        outcome = _export_one(job, model_format, quantize)
        if isinstance(outcome, ExportResult):
            results.append(outcome)
        else:
            failures.append(outcome)
    if failures:
        raise _failure_of(job, tuple(failures), tuple(results))
    return tuple(results)


def _failure_of(
    job: Job, failures: tuple[ExportFailure, ...], results: tuple[ExportResult, ...]
) -> PartialExportError:
    """What failed, what its ranges come from, and what to try next."""
    recipe = job.recipe
    failed = tuple(
        failure.quantize for failure in failures if failure.reason != "different artefact"
    )
    what = "; ".join(failure.sentence for failure in failures)
    if not failed:
        hint = "Give --force to replace it, or another -o DIR."
        return ExportConflictError(f"{what}.", hint=hint, results=results, failures=failures)
    explained = (layers_sentence(failure.name, failure.layers) for failure in failures)
    sentences = [f"{what}; not published.", *filter(None, explained)]
    is_unlike = is_used_up = False
    if recipe.calibration_data is not None and set(failed) & set(CALIBRATED):
        calibration = job.calibration()
        own = calibration.images[: len(calibration.ids)]
        found, expected = look_of(own), look_of(np.asarray(job.split.images))
        is_unlike = calibration_is_unlike(found, expected)
        is_used_up = len(own) < recipe.calibration_samples
        unlike = f", which look unlike those of {job.split.name} ({expected})" if is_unlike else ""
        sentences.append(
            f"Ranges come from {counted(len(own), 'image')} of {recipe.calibration_data} ({found}){unlike}."
        )
    return ExportGateError(
        " ".join(sentences),
        hint=advice(recipe, failed, calibration_is_unlike=is_unlike, folder_is_used_up=is_used_up),
        results=results,
        failures=failures,
    )


def check_installed(recipe: ExportRecipe) -> None:
    """Checks for converters and interpreters before anything slow begins.

    Raises:
        MissingDependencyError: one is not installed.
    """
    for model_format in recipe.formats:
        for package in _REQUIRED[model_format]:
            if importlib.util.find_spec(package) is None:
                raise MissingDependencyError(
                    f"--format {model_format} needs {package}, which is not installed.",
                    hint="pip install 'cifar-edge[export]'",
                )


def _export_one(
    job: Job, model_format: ModelFormat, quantize: Quantize
) -> ExportResult | ExportFailure:
    """The published artefact, or why it was not."""
    recipe = job.recipe
    name = recipe.name_of(job.checkpoint.name, quantize)
    job.say(f"converting to {model_format}: {name}")
    target = recipe.output / f"{name}.{model_format}"
    converted = convert(job, model_format, quantize)
    contract = job.contract(converted, quantize)

    def seal(
        verification: Verification | None, evidence: Evidence | None
    ) -> tuple[bytes, dict[str, Any]]:
        document = card_document(
            target=target,
            converted=converted,
            contract=contract if evidence is None else evidence.contract,
            provenance=_provenance(job, quantize, verification, evidence),
            golden=None if verification is None else verification.golden,
            licence=licence_of(job.checkpoint.training_card),
        )
        return sealed_for_readers(converted.data, model_format, document)

    failed = target.with_name(f"{target.name}.failed.parity.json")
    with staging_folder(recipe.output) as folder:
        staged = folder / target.name
        write_artefact(staged, *seal(None, None))
        verification = verified(job, staged, quantize)
        if isinstance(verification, ArtefactError) or not verification.passed:
            layers = explain_layers(job, staged, model_format, quantize)
            measured = verification if isinstance(verification, Verification) else None
            _, card = seal(measured, None)
            write_document(folder / failed.name, remains(card, verification, layers))
            place(folder / failed.name, failed)
            return failed_gate(target, quantize, verification, layers, split=job.split.name)
        if recipe.verbose and quantize in CALIBRATED:
            layers = explain_layers(job, staged, model_format, quantize)
            job.say(layers_sentence(target.name, layers))
        evidence = gather_evidence(staged, contract, job.evidence, recipe)
        data, card = seal(verification, evidence)
        write_artefact(staged, data, card)
        try:
            publish(staged, target, force=recipe.force)
        except DifferentArtefactError as error:
            return in_the_way(target, quantize, verification, error)
    failed.unlink(missing_ok=True)
    remark = _REMARKS.get((model_format, quantize))
    remarks = (*(() if remark is None else (remark,)), *evidence.remarks)
    return _result(target, card, verification, remarks=remarks)


def _result(
    path: Path, card: Mapping[str, Any], verification: Verification, *, remarks: tuple[str, ...]
) -> ExportResult:
    return ExportResult(
        path=path,
        name=card["name"],
        size_bytes=card["model"]["size_bytes"],
        sha256=card["model"]["sha256"],
        accuracy=verification.accuracy,
        accuracy_drop=verification.parity.accuracy_drop,
        agreement=verification.parity.agreement,
        split=verification.split,
        num_images=verification.parity.seen,
        remarks=remarks,
    )


def _without_curves(card: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The training card without its epochs: every device would carry them, and the checkpoint's card has them."""
    if card is None:
        return None
    return {name: value for name, value in card.items() if name != "epochs"}


def _provenance(
    job: Job, quantize: Quantize, verification: Verification | None, evidence: Evidence | None
) -> dict[str, Any]:
    checkpoint = job.checkpoint
    return {
        "checkpoint": {
            "file": checkpoint.path.name,
            "sha256": checkpoint.sha256,
            "training": _without_curves(checkpoint.training_card),
        },
        "recipe": job.recipe.to_json() | {"quantize": quantize},
        "calibration": job.calibration().to_json() if quantize in CALIBRATED else None,
        "folding": [
            {"layer": note.layer, "action": note.action} for note in job.folded(quantize).notes
        ],
        "preparation_for_int8": job.preparation(quantize),
        "training_for_int8": job.training_report(quantize),
        "parity": None if verification is None else verification.to_json(),
        **({} if evidence is None else evidence.documents),
    }
