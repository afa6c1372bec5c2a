"""From a Keras checkpoint to published artefacts: open, fold, convert, verify, publish; it never prints."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from cifar_eval.formatting import counted
from cifar_export.advice import OWN_RUN_ADVICE, advice
from cifar_export.checkpoint.own_images import with_parts
from cifar_export.deliver import deliver
from cifar_export.evidence.gather import gather_evidence
from cifar_export.evidence.verify import Verification, labels_remark
from cifar_export.firmware.evaluation import Evaluation
from cifar_export.int8.image_statistics import calibration_is_unlike, image_statistics
from cifar_export.publish.publish import (
    DifferentArtefactError,
    check_folder,
    make_folder,
    place,
    publish,
    write_artefact,
    write_document,
)
from cifar_export.qat.distil import check_data_set
from cifar_export.recipe import CALIBRATED, ExportRecipe, OnnxActivations
from cifar_export.result import (
    ExportConflictError,
    ExportDependencyError,
    ExportFailure,
    ExportGateError,
    ExportInputError,
    ExportRefusedError,
    ExportResult,
    PartialExportError,
)
from cifar_export.scratch import scratch_parent, staging_folder, sweep
from cifar_export.stages.failure import (
    conflict_failure,
    conversion_failure,
    failed_export_document,
    failed_gate,
    verified,
)
from cifar_export.stages.layer_evidence import cause, explain_layers, layers_sentence
from cifar_export.stages.prepared import (
    ReadyModel,
    calibration_images,
    float_model,
    ready_models,
    with_biases_for_onnx,
)
from cifar_export.stages.repair import repair_remark, repaired
from cifar_export.stages.source import named_by_file, open_source
from cifar_export.stages.staged import Request, Staged, seal, stage
from cifar_export.targets.known_targets import TARGETS, Key
from cifar_runtime.errors import (
    ArtefactError,
    CifarEdgeError,
    GateError,
    InputError,
    MissingDependencyError,
)
from cifar_runtime.install_hints import install_hint
from cifar_runtime.progress import Progress
from cifar_runtime.system.interruption import checked_between

_PARTIAL: Mapping[type[CifarEdgeError], type[PartialExportError]] = {
    GateError: ExportGateError,
    InputError: ExportInputError,
    MissingDependencyError: ExportDependencyError,
}


def export(
    recipe: ExportRecipe, *, progress: Callable[[str], None] | None = None
) -> tuple[ExportResult, ...]:
    """The artefacts that were published, in the order of formats, then precisions.

    Example:
        >>> from cifar_data.packaged import checkpoint
        >>> from cifar_export import (
        ...     EvaluationImages, ExportRecipe, PublishOptions, SourceRecipe, export
        ... )
        >>> recipe = ExportRecipe(
        ...     source=SourceRecipe(checkpoint=checkpoint()),
        ...     publish=PublishOptions(output="exported"),
        ...     quantize=("int8",),
        ...     evaluation=EvaluationImages(split="test-sample"),
        ... )
        >>> (result,) = export(recipe)
        >>> result.path.name, round(result.accuracy, 2)
        ('edge-s-int8.tflite', 0.92)

    Args:
        recipe: what to make.
        progress: told in a few words what begins.

    Raises:
        ArtefactError: the checkpoint cannot be used, or the only artefact asked for cannot be made.
        ExportRefusedError: one of several artefacts cannot be made; the others are tried nevertheless.
        ExportConflictError: a different artefact is in the way of one; the others are published nevertheless.
        InputError: training, calibration or evaluation images are missing or do not decode.
        ExportGateError: an artefact decides too differently; those that pass are published nevertheless.
        MissingDependencyError: a converter or interpreter is not installed.
        PartialExportError: a folder cannot be written of a published artefact, for any of these reasons.
    """
    progress = checked_between(progress or (lambda _: None))
    recipe = with_parts(recipe, progress=progress)
    check_installed(recipe)
    if recipe.qat is not None and recipe.evaluation.data is None:
        check_data_set()
    check_folder(recipe.publish.output)
    source = open_source(recipe, progress)
    recipe = source.recipe
    make_folder(recipe.publish.output)
    sweep(recipe.publish.output)
    sweep(scratch_parent())
    floats = cache(partial(float_model, source))
    request = Request(recipe=recipe, source=source, floats=floats)
    with named_by_file(source.checkpoint):
        ready = ready_models(source, recipe, progress, floats)
    outcomes = [_export_one(request, key, ready[key[1]], progress) for key in recipe.pairs]
    delivered = [
        deliver(key, one, recipe, progress, evaluation=_evaluation_of(request, key))
        for key, one in zip(recipe.pairs, outcomes, strict=True)
        if isinstance(one, ExportResult)
    ]
    results = tuple(result for result, _ in delivered)
    failures = (
        *(one for one in outcomes if isinstance(one, ExportFailure)),
        *(failure for _, undelivered in delivered for failure in undelivered),
    )
    if failures:
        raise _failure_of(request, failures, results)
    return results


def _evaluation_of(request: Request, key: Key) -> Evaluation:
    """What artefacts of this format and precision, and what is made of them, are judged on."""
    source = request.source
    return Evaluation(
        split=source.split,
        reference=source.reference,
        limits=request.recipe.gate.limits(key[1]),
    )


def _failure_of(
    request: Request, failures: tuple[ExportFailure, ...], results: tuple[ExportResult, ...]
) -> PartialExportError:
    """What failed, what its ranges come from, and what to try next."""
    undelivered = tuple(failure for failure in failures if failure.error is not None)
    unpublished = tuple(failure for failure in failures if failure.error is None)
    if not unpublished:
        return _undelivered(undelivered, results)
    error = _unpublished(request, unpublished, results)
    if not undelivered:
        return error
    others = " ".join(f"{_with_hint(failure)}." for failure in undelivered)
    return type(error)(
        f"{error.message} {others}", hint=error.hint, results=results, failures=failures
    )


def _undelivered(
    failures: tuple[ExportFailure, ...], results: tuple[ExportResult, ...]
) -> PartialExportError:
    """What could not be made of artefacts that were all published; the first decides the exit code."""
    first = failures[0].error
    kind = next(
        (kind for base, kind in _PARTIAL.items() if isinstance(first, base)), ExportRefusedError
    )
    others = "".join(f"; {_with_hint(failure)}" for failure in failures[1:])
    hint = "" if first is None else first.hint
    return kind(f"{failures[0].sentence}{others}.", hint=hint, results=results, failures=failures)


def _with_hint(failure: ExportFailure) -> str:
    hint = "" if failure.error is None else failure.error.hint.removesuffix(".")
    return f"{failure.sentence} ({hint})" if hint else failure.sentence


def _unpublished(
    request: Request, failures: tuple[ExportFailure, ...], results: tuple[ExportResult, ...]
) -> PartialExportError:
    recipe = request.recipe
    failed = tuple(
        failure.quantize for failure in failures if failure.reason != "different artefact"
    )
    what = "; ".join(failure.sentence for failure in failures)
    if any(failure.reason == "cannot be converted" for failure in failures):
        return ExportRefusedError(
            f"{what}; not published.",
            hint="Export the others alone, or mend the model.",
            results=results,
            failures=failures,
        )
    if not failed:
        hint = "Give --force to replace it, or another -o DIR."
        return ExportConflictError(f"{what}.", hint=hint, results=results, failures=failures)
    ranges = ""
    is_unlike = is_used_up = False
    num_images = 0
    folder = recipe.calibration.data or recipe.evaluation.data
    if folder is not None and set(failed) & set(CALIBRATED):
        split = request.source.split
        calibration = calibration_images(request.source, recipe)
        own = calibration.images[: len(calibration.ids)]
        num_images = len(own)
        found, expected = image_statistics(own), image_statistics(np.asarray(split.images))
        is_unlike = calibration_is_unlike(found, expected)
        is_used_up = num_images < recipe.calibration.samples
        unlike = f", which look unlike those of {split.name} ({expected})" if is_unlike else ""
        ranges = f"Ranges come from {counted(num_images, 'image')} of {folder} ({found}){unlike}."
    explained = (
        layers_sentence(failure.name, failure.layers, because="" if is_unlike else failure.cause)
        for failure in failures
    )
    return ExportGateError(
        " ".join(filter(None, [f"{what}; not published.", *explained, ranges])),
        hint=OWN_RUN_ADVICE
        if request.source.pictures is not None and recipe.calibration.data is None
        else advice(
            recipe,
            failed,
            calibration_is_unlike=is_unlike,
            folder_is_used_up=is_used_up,
            num_images=num_images,
            can_be_trained=request.source.judge.threshold is None,
        ),
        results=results,
        failures=failures,
    )


def check_installed(recipe: ExportRecipe) -> None:
    """Checks for converters and interpreters before anything slow begins.

    Raises:
        MissingDependencyError: one is not installed.
    """
    for key in recipe.pairs:
        for package in TARGETS[key].packages:
            if importlib.util.find_spec(package) is None:
                raise MissingDependencyError(
                    f"--format {key[0]} needs {package}, which is not installed.",
                    hint=install_hint("export"),
                )


def _export_one(
    request: Request, key: Key, ready: ReadyModel, progress: Progress
) -> ExportResult | ExportFailure:
    """The published artefact, or why it was not."""
    recipe = request.recipe
    name = recipe.name_of(request.source.checkpoint.name, key[1])
    progress(f"converting to {key[0]}: {name}")
    with staging_folder(recipe.publish.output) as folder:
        try:
            with named_by_file(request.source.checkpoint):
                staged, verification = _judged(request, key, ready, folder, progress)
        except ArtefactError as error:
            if len(recipe.pairs) == 1:
                raise
            target = recipe.publish.output / f"{name}.{key[0]}"
            return conversion_failure(target, key, error, split=request.source.split.name)
        if not _passed(verification):
            return _failed(request, staged, verification, progress)
        if recipe.verbose and key[1] in CALIBRATED:
            layers = explain_layers(request, staged, progress)
            progress(layers_sentence(staged.path.name, layers))
        return _published(request, staged, verification)


def _judged(
    request: Request, key: Key, ready: ReadyModel, folder: Path, progress: Progress
) -> tuple[Staged, Verification | ArtefactError]:
    """The artefact in the folder, and how it decides: of the ways to make it the first that passes.

    Where none does, the best of those that were prepared: of them it can be said what stood in the way.
    """
    tried: list[tuple[Request, Staged, Verification | ArtefactError]] = []
    for one, model in _ways(request, key, ready, progress):
        staged = stage(one, key, model, folder)
        tried.append((one, staged, verified(one, staged, progress)))
        if _passed(tried[-1][2]):
            return tried[-1][1:]
    prepared = [way for way in tried if way[1].ready is not ready.plain]
    one, staged, verification = max(prepared, key=lambda way: _agreement(way[2]))
    if staged is not tried[-1][1]:
        write_artefact(staged.path, *seal(one, staged))
    if request.recipe.repairs(key[1]) and _missed(verification):
        return repaired(one, staged, verification, progress)
    return staged, verification


def _ways(
    request: Request, key: Key, ready: ReadyModel, progress: Progress
) -> Iterator[tuple[Request, ReadyModel]]:
    """What to convert and how, the next where the gate was missed."""
    last = request
    missed = f"{key[0]} {key[1]} misses its gate"
    if key[0] == "onnx" and key[1] in CALIBRATED:
        yield from _ways_of_int8_onnx(request, ready, lambda words: progress(f"{missed} {words}"))
        is_unsigned = request.recipe.onnx_activations == "uint8"
        last = _with_activations(request, "uint8" if is_unsigned else "int8")
    else:
        yield request, ready
    if ready.plain is not None:
        progress(f"{missed} as it was prepared, trying it without that")
        yield last, ready.plain


def _ways_of_int8_onnx(
    request: Request, ready: ReadyModel, missed: Progress
) -> Iterator[tuple[Request, ReadyModel]]:
    """The fastest arithmetic first."""
    asked = request.recipe.onnx_activations
    if asked != "int8":
        unsigned = _with_activations(request, "uint8")
        yield unsigned, ready
        if ready.plain is not None:
            missed("with uint8 activations, correcting biases for its weights")
            yield unsigned, with_biases_for_onnx(ready)
    if asked == "auto":
        missed("with uint8 activations, trying int8")
    if asked != "uint8":
        yield _with_activations(request, "int8"), ready


def _with_activations(request: Request, activations: OnnxActivations) -> Request:
    return replace(request, recipe=replace(request.recipe, onnx_activations=activations))


def _agreement(verification: Verification | ArtefactError) -> float:
    return verification.parity.agreement if isinstance(verification, Verification) else -1.0


def _missed(verification: Verification | ArtefactError) -> TypeGuard[Verification]:
    return isinstance(verification, Verification) and not verification.passed


def _passed(verification: Verification | ArtefactError) -> TypeGuard[Verification]:
    return isinstance(verification, Verification) and verification.passed


def _failed(
    request: Request, staged: Staged, verification: Verification | ArtefactError, progress: Progress
) -> ExportFailure:
    """The failure of an artefact that is not published, with a document of what it was left beside its place."""
    layers = explain_layers(request, staged, progress)
    measured = verification if isinstance(verification, Verification) else None
    _, card = seal(request, staged, verification=measured)
    target = request.recipe.publish.output / staged.path.name
    left = _failed_path(target)
    draft = staged.path.with_name(left.name)
    write_document(draft, failed_export_document(card, verification, layers))
    place(draft, left)
    failure = failed_gate(
        target, staged.key[1], verification, layers, split=request.source.split.name
    )
    return replace(failure, cause=cause(staged, layers))


def _published(
    request: Request, staged: Staged, verification: Verification
) -> ExportResult | ExportFailure:
    """The artefact in its place with all evidence in its card, or why a different one was kept there."""
    recipe = request.recipe
    evidence = gather_evidence(
        staged.path,
        staged.contract,
        request.source.evidence,
        recipe,
        gate=verification.accuracy,
    )
    data, card = seal(request, staged, verification=verification, evidence=evidence)
    write_artefact(staged.path, data, card)
    target = recipe.publish.output / staged.path.name
    try:
        publish(staged.path, target, force=recipe.publish.force)
    except DifferentArtefactError as error:
        return conflict_failure(target, staged.key[1], verification, error)
    _failed_path(target).unlink(missing_ok=True)
    own = (TARGETS[staged.key].remark, repair_remark(staged), labels_remark(verification))
    remarks = (*(remark for remark in own if remark is not None), *evidence.remarks)
    return _result(target, card, verification, remarks=remarks)


def _failed_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.failed.parity.json")


def _result(
    path: Path, card: Mapping[str, Any], verification: Verification, *, remarks: tuple[str, ...]
) -> ExportResult:
    return ExportResult(
        path=path,
        name=card["name"],
        size_bytes=card["model"]["size_bytes"],
        sha256=card["model"]["sha256"],
        accuracy=verification.accuracy.value,
        accuracy_drop=verification.parity.accuracy_drop,
        agreement=verification.parity.agreement,
        split=verification.split,
        num_images=verification.parity.seen,
        remarks=remarks,
        measure="exact label sets" if verification.labels else "top-1",
    )
