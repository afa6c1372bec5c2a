"""From a Keras checkpoint to published artefacts: open, fold, convert, verify, publish; it never prints."""

import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.calibration import Calibration, load_calibration
from cifar_export.card import (
    card_document,
    licence_of,
    output_contract,
    pixel_contract,
    quantized_contract,
)
from cifar_export.checkpoint import Checkpoint, open_checkpoint
from cifar_export.converted import Converted
from cifar_export.fold import Folded, fold
from cifar_export.publish import make_folder, refuse_different, write_artefact
from cifar_export.recipe import ExportGateError, ExportRecipe, ExportResult, Quantize
from cifar_export.verify import Verification, evaluation_split, limits_for, verify
from cifar_runtime.contract import Contract, InputContract, ModelFormat
from cifar_runtime.embedding import sealed
from cifar_runtime.errors import ArtefactError, MissingDependencyError
from cifar_train.dataset import LABELS, Split

_REQUIRED = {"tflite": ("ai_edge_litert",), "onnx": ("tf2onnx", "onnx", "onnxruntime")}


def export(
    recipe: ExportRecipe, *, progress: Callable[[str], None] | None = None
) -> tuple[ExportResult, ...]:
    """The artefacts that were published, in the order of formats, then precisions.

    Args:
        recipe: what to make.
        progress: told in a few words what begins.

    Raises:
        ArtefactError: the checkpoint cannot be used or converted, or a different artefact is in the way.
        InputError: calibration or evaluation images are missing or do not decode.
        ExportGateError: an artefact decides too differently; those that pass are published nevertheless.
        MissingDependencyError: a converter or interpreter is not installed.
    """
    say = progress or (lambda _: None)
    _check_installed(recipe)
    say(f"opening {recipe.checkpoint}")
    checkpoint = open_checkpoint(recipe.checkpoint, verbose=recipe.verbose)
    split = evaluation_split(recipe)
    labels = _labels(checkpoint, split)
    make_folder(recipe.output)
    say(f"Keras' decisions on {len(split.labels)} images of {split.name}")
    job = _Job(
        recipe=recipe,
        checkpoint=checkpoint,
        split=split,
        labels=labels,
        reference=_keras_scores(checkpoint, split),
    )
    results: list[ExportResult] = []
    failures: list[str] = []
    for model_format in recipe.formats:
        for quantize in recipe.quantize:
            say(f"converting to {model_format}, {_precision(quantize)}")
            outcome = _export_one(job, model_format, quantize)
            (results if isinstance(outcome, ExportResult) else failures).append(outcome)  # type: ignore[arg-type]
    if failures:
        raise ExportGateError(
            "; ".join(failures) + "; not published.",
            hint="Try --calibration-samples 2048 or typical images by --calibration-data, or accept it by "
            "--max-accuracy-drop and --min-agreement.",
            results=tuple(results),
        )
    return tuple(results)


@dataclass(slots=True, kw_only=True)
class _Job:
    """What the artefacts of one export share; the parts that not every artefact needs are made on first use."""

    recipe: ExportRecipe
    checkpoint: Checkpoint
    split: Split
    labels: tuple[str, ...]
    reference: NDArray[np.float32]
    _folded: dict[Quantize, Folded] = field(default_factory=dict)
    _calibration: Calibration | None = None

    @property
    def pixels(self) -> InputContract:
        return pixel_contract(self.checkpoint.image_shape, self.recipe)

    def folded(self, quantize: Quantize) -> Folded:
        """The folded model; for int8 without a leading Rescaling, so that the input stays exact."""
        if quantize not in self._folded:
            self._folded[quantize] = fold(
                self.checkpoint.model, rescaling="keep" if quantize == "none" else "strip"
            )
        return self._folded[quantize]

    def calibration(self) -> Calibration:
        if self._calibration is None:
            self._calibration = load_calibration(self.recipe, self.pixels)
        return self._calibration


def _export_one(job: _Job, model_format: ModelFormat, quantize: Quantize) -> ExportResult | str:
    """The published artefact, or the sentence that says why it was not."""
    target = job.recipe.output / f"{job.checkpoint.name}-{_precision(quantize)}.{model_format}"
    converted = _convert(job, model_format, quantize)
    contract = _contract(job, converted, quantize)

    def seal(verification: Verification | None) -> tuple[bytes, dict[str, Any]]:
        document = card_document(
            target=target,
            converted=converted,
            contract=contract,
            provenance=_provenance(job, quantize, verification),
            golden=None if verification is None else verification.golden,
            licence=licence_of(job.checkpoint.training_card),
        )
        return sealed(converted.data, model_format, document)

    with tempfile.TemporaryDirectory(prefix=".cifar-export-", dir=job.recipe.output) as folder:
        candidate = Path(folder) / target.name
        write_artefact(candidate, *seal(None))
        verification = verify(candidate, job.reference, job.split, limits_for(job.recipe, quantize))
    if not verification.passed:
        sentences = ", ".join(gate.sentence for gate in verification.gates)
        return f"{target.name} on {verification.parity.seen} images of {verification.split}: {sentences}"
    data, card = seal(verification)
    refuse_different(target, data, force=job.recipe.force)
    write_artefact(target, data, card)
    return _result(target, card, verification)


def _convert(job: _Job, model_format: ModelFormat, quantize: Quantize) -> Converted:
    from cifar_export.onnx_float import onnx_float32
    from cifar_export.onnx_int8 import onnx_int8
    from cifar_export.tflite import tflite_float32, tflite_int8

    folded, verbose = job.folded(quantize), job.recipe.verbose
    if quantize == "none":
        to_float = tflite_float32 if model_format == "tflite" else onnx_float32
        return to_float(folded.model, verbose=verbose)
    images = job.calibration().images
    if model_format == "tflite":
        return tflite_int8(
            folded.model,
            images,
            multiplier=folded.multiplier,
            offset=folded.offset,
            verbose=verbose,
        )
    return onnx_int8(
        onnx_float32(folded.model, verbose=verbose),
        images,
        multiplier=folded.multiplier,
        offset=folded.offset,
        model_name=job.checkpoint.name,
        verbose=verbose,
    )


def _contract(job: _Job, converted: Converted, quantize: Quantize) -> Contract:
    pixels = job.pixels
    if converted.input is not None:
        folded = job.folded(quantize)
        pixels = quantized_contract(
            pixels, converted.input, multiplier=folded.multiplier, offset=folded.offset
        )
    output = output_contract(job.reference, converted.output)
    return Contract(input=pixels, output=output, labels=job.labels)


def _provenance(job: _Job, quantize: Quantize, verification: Verification | None) -> dict[str, Any]:
    checkpoint = job.checkpoint
    return {
        "checkpoint": {
            "file": checkpoint.path.name,
            "sha256": checkpoint.sha256,
            "training": checkpoint.training_card,
        },
        "recipe": job.recipe.to_json() | {"quantize": quantize},
        "calibration": None if quantize == "none" else job.calibration().to_json(),
        "folding": [
            {"layer": note.layer, "action": note.action} for note in job.folded(quantize).notes
        ],
        "parity": None if verification is None else verification.to_json(),
    }


def _result(path: Path, card: Mapping[str, Any], verification: Verification) -> ExportResult:
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
    )


def _keras_scores(checkpoint: Checkpoint, split: Split) -> NDArray[np.float32]:
    """The reference: float32, shape (n, num_classes)."""
    scores = checkpoint.model.predict(
        np.asarray(split.images).astype(np.float32), batch_size=250, verbose=0
    )
    return np.asarray(scores, dtype=np.float32)


def _labels(checkpoint: Checkpoint, split: Split) -> tuple[str, ...]:
    """The names of the classes, for models that the built-in evaluation images fit."""
    image_shape = split.images.shape[1:]
    if checkpoint.image_shape != image_shape or checkpoint.num_classes != len(LABELS):
        raise ArtefactError(
            f"{checkpoint.path}: takes {checkpoint.image_shape} and gives {checkpoint.num_classes} scores, "
            f"expected {image_shape} and {len(LABELS)}, as CIFAR-10 has, to verify the export on.",
            hint="Give a CIFAR-10 classifier.",
        )
    return LABELS


def _check_installed(recipe: ExportRecipe) -> None:
    for model_format in recipe.formats:
        for package in _REQUIRED[model_format]:
            if importlib.util.find_spec(package) is None:
                raise MissingDependencyError(
                    f"--format {model_format} needs {package}, which is not installed.",
                    hint="pip install 'cifar-edge[export]'",
                )


def _precision(quantize: Quantize) -> str:
    return "float32" if quantize == "none" else quantize
