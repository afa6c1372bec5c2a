"""Which layers of an artefact stray from the float32 model of the same format, made for that and thrown away."""

from pathlib import Path

import numpy as np

from cifar_eval.layers.explanation import Explanation, explain
from cifar_eval.layers.layer_errors import LayerErrors
from cifar_export.convert import convert
from cifar_export.job import Job
from cifar_export.publish.card import card_document
from cifar_export.publish.publish import write_artefact
from cifar_export.recipe import Quantize
from cifar_runtime.contract import ModelFormat
from cifar_runtime.errors import CifarEdgeError
from cifar_runtime.formats.embedded_card import sealed

NUM_NAMED = 3
"""Layers that a sentence names."""


def explain_layers(
    job: Job, staged: Path, model_format: ModelFormat, quantize: Quantize
) -> Explanation | None:
    """The errors of the artefact's layers, or why there are none; None for float32, whose layers have none.

    It raises nothing: the verdict stands without its explanation.

    Args:
        job: the export.
        staged: the artefact, its card beside it, in a staging folder; the float32 model is written beside it.
        model_format: of both.
        quantize: the artefact's precision.
    """
    if quantize == "none":
        return None
    job.say(f"comparing the layers of {staged.name} with float32")
    try:
        floats = _float32_beside(job, staged, model_format)
        return explain(
            staged,
            {floats: floats.stem, staged: staged.stem},
            images=np.asarray(job.split.images),
            labels=np.asarray(job.split.labels, np.int64),
        )
    except CifarEdgeError as error:
        return _unexplained(str(error))
    except Exception as error:  # noqa: BLE001 - a bug in the explanation must not hide a failed gate
        return _unexplained(f"unexpected {type(error).__name__}: {error}.")


def layers_sentence(name: str, explanation: Explanation | None) -> str:
    """What the comparison found, as one sentence that names the worst layers; empty where there was none.

    Args:
        name: the artefact's file.
        explanation: of its layers.
    """
    if explanation is None:
        return ""
    if explanation.errors is None:
        return f"No error by layer of {name}: {explanation.reason}"
    return f"Worst layers of {name}: {_worst(explanation.errors)}."


def _worst(errors: LayerErrors) -> str:
    """The worst layers by their place in the order of execution, with the SQNR of each, worst first."""
    named = [
        f"#{layer.position} {layer.operator} {layer.title} {_decibels(layer.sqnr_db)}"
        for layer in errors.layers[:NUM_NAMED]
    ]
    return f"{', '.join(named)} (SQNR against {errors.reference})"


def _decibels(sqnr_db: float | None) -> str:
    # Adding zero turns the minus zero of a tiny negative figure into zero.
    return "exact" if sqnr_db is None else f"{round(sqnr_db, 1) + 0.0:.1f} dB"


def _unexplained(reason: str) -> Explanation:
    return Explanation(errors=None, reason=reason, next_commands=())


def _float32_beside(job: Job, staged: Path, model_format: ModelFormat) -> Path:
    """The float32 model of the same format as an artefact, in the staging folder, which goes with it."""
    target = staged.with_name(f"{job.recipe.name_of(job.checkpoint.name, 'none')}.{model_format}")
    converted = convert(job, model_format, "none")
    document = card_document(
        target=target,
        converted=converted,
        contract=job.contract(converted, "none"),
        provenance={},
        golden=None,
        licence=None,
    )
    write_artefact(target, *sealed(converted.data, model_format, document))
    return target
