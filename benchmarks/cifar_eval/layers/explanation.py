"""Why a quantized candidate decides differently: its layers' errors, and the next export to try."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.choose import stratified_positions
from cifar_data.cifar10.splits import IMAGE_SHAPE, LABELS
from cifar_eval.layers.comparison import compare_layers
from cifar_eval.layers.layer_errors import LayerErrors
from cifar_eval.models.exported import open_measured
from cifar_eval.models.protocols import is_checkpoint
from cifar_runtime.artefact import Artefact
from cifar_runtime.documents import OMITTED, to_document
from cifar_runtime.errors import ArtefactError, MissingDependencyError
from cifar_runtime.progress import Progress, counter_of

NUM_LAYER_IMAGES = 32
MORE_CALIBRATION_SAMPLES = 1024
_TRAINABLE = ("int8", "int8-float-io", "int8-uint8-io")
_REPEATED = (
    "contract",
    "input_range",
    "output_kind",
    "resize_filter",
    "resize",
    "jpeg_decoding",
    "calibration_method",
    "seed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a candidate's file says of its error.

    Attributes:
        errors: by layer, worst first; None where they could not be compared.
        reason: why they could not; None where they could.
        next_commands: exports worth trying, the cheapest first, with words in capitals for the user's own files and
            folders; empty where calibration had no part; no document holds them.
    """

    errors: LayerErrors | None
    reason: str | None
    next_commands: tuple[str, ...] = field(metadata=OMITTED)

    def to_json(self) -> dict[str, Any]:
        """The layers as JSON-ready data."""
        return to_document(self)


def explain(
    candidate: str | Path,
    models: Mapping[Path, str] | Sequence[str | Path],
    *,
    images: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    contract: str | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """Which layers of a candidate err most, and the exports worth trying next.

    Args:
        candidate: its file.
        models: all files of the comparison, or these with their names, the reference first: the first float32
            model of the candidate's format is what its layers are compared with, and the first
            checkpoint is what commands export again.
        images: uint8, shape (n, height, width, 3), RGB; ``NUM_LAYER_IMAGES`` of them are used.
        labels: integer, shape (n,), their classes, so that every class has its share.
        contract: of the models without a card.
        progress: takes a sentence when the layers' turn comes.

    Raises:
        ArtefactError: the candidate or its card cannot be used.

    Example:
        >>> from cifar_data.packaged import checkpoint, test_sample
        >>> from cifar_eval import explain
        >>> from cifar_runtime.classifier import default_model
        >>> split, int8 = test_sample(), default_model("tflite")
        >>> explain(int8, [checkpoint(), int8], images=split.images, labels=split.labels).reason
        'that takes the float32 .tflite of the same export: give it as REFERENCE or as another CANDIDATE.'
    """
    candidate, named = Path(candidate), _named(models)
    if is_checkpoint(candidate):
        return _silent("it is a Keras checkpoint: layers are compared between exported files.")
    artefact = open_measured(candidate, contract=contract)
    chosen = stratified_positions(labels, min(NUM_LAYER_IMAGES, len(labels)))
    if progress is not None:
        progress(f"comparing the layers of {candidate.name} with float32")
    try:
        found = compare_layers(
            artefact, named, images[chosen], contract=contract, count=counter_of(progress)
        )
    except (ArtefactError, MissingDependencyError) as error:
        # The verdict stands without its explanation.
        return _silent(str(error), commands=next_commands(artefact, list(named)))
    if found is None:
        return _silent("it is float32: there is no quantization error to find.")
    commands = next_commands(artefact, list(named))
    if isinstance(found, str):
        return _silent(found, commands=commands)
    return Explanation(errors=found, reason=None, next_commands=commands)


def _named(models: Mapping[Path, str] | Sequence[str | Path]) -> Mapping[Path, str]:
    return models if isinstance(models, Mapping) else {Path(one): Path(one).name for one in models}


def next_commands(artefact: Artefact, models: Sequence[Path]) -> tuple[str, ...]:
    """Ready cifar-export commands that may bring a calibrated artefact closer, the cheapest first.

    Args:
        artefact: the quantized model; its card says how it was calibrated.
        models: the compared files; a checkpoint among them is exported again, else the one that the
            card names.
    """
    provenance = _record(artefact.card, "provenance")
    recipe, calibration = _record(provenance, "recipe"), _record(provenance, "calibration")
    recorded = _record(provenance, "checkpoint").get("file")
    checkpoint = next((str(path) for path in models if is_checkpoint(path)), recorded)
    quantize = recipe.get("quantize")
    if not calibration or not isinstance(checkpoint, str) or not isinstance(quantize, str):
        return ()
    options: list[tuple[str, ...]] = []
    count = calibration.get("count")
    if isinstance(count, int) and count < MORE_CALIBRATION_SAMPLES:
        options.append(("--calibration-samples", str(MORE_CALIBRATION_SAMPLES)))
    if artefact.format == "onnx" and recipe.get("calibration_method") != "percentile":
        options.append(("--calibration-method", "percentile"))
    if not recipe.get("qat") and quantize in _TRAINABLE and _is_cifar10(artefact):
        options.append(("--qat",))
    again = ("cifar-export", checkpoint, "--format", artefact.format, "--quantize", quantize)
    named = _to_be_named(artefact, recipe, calibration)
    return tuple(
        shlex.join(
            (
                *again,
                *_repeated(recipe, but=option[0]),
                *named,
                *option,
                "-o",
                _folder(artefact, option),
            )
        )
        for option in options
    )


def _folder(artefact: Artefact, option: tuple[str, ...]) -> str:
    """Where the next export goes: the candidate's own name is taken beside it, that of a trained one is not."""
    folder = artefact.path.parent
    return str(folder if option == ("--qat",) else folder / "retry")


def _is_cifar10(artefact: Artefact) -> bool:
    contract = artefact.contract
    return contract.labels == LABELS and contract.input.shape == IMAGE_SHAPE


def _to_be_named(
    artefact: Artefact, recipe: Mapping[str, Any], calibration: Mapping[str, Any]
) -> tuple[str, ...]:
    """Options for the user's own files and folders, which no card names: words in capitals stand for them."""
    is_own = not _is_cifar10(artefact)
    needed = {
        "--labels=FILE": is_own and recipe.get("contract") is None,
        "--calibration-data=TRAINING-FOLDER": calibration.get("source") == "folder",
        "--eval-data=TEST-FOLDER": is_own,
    }
    return tuple(option for option, is_needed in needed.items() if is_needed)


def _repeated(recipe: Mapping[str, Any], *, but: str) -> tuple[str, ...]:
    """What else the card's recipe holds, as options; FLAG=VALUE, since -1..1 alone would be read as a flag."""
    flags = {f"--{name.replace('_', '-')}": recipe.get(name) for name in _REPEATED}
    return tuple(
        f"{flag}={value}"
        for flag, value in flags.items()
        if value not in (None, "minmax", 0) and flag != but
    )


def _record(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of the card that may be missing."""
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}


def _silent(reason: str, *, commands: tuple[str, ...] = ()) -> Explanation:
    return Explanation(errors=None, reason=reason, next_commands=commands)
