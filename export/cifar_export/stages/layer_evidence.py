"""Which layers of an artefact stray from the float32 model of the same format, made for that and thrown away."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cifar_eval.layers.explanation import Explanation, explain
from cifar_eval.layers.layer_errors import LayerError, LayerErrors
from cifar_export.int8.obstacles import obstacle
from cifar_export.stages.staged import Request, Staged, stage_float32_beside
from cifar_runtime.errors import CifarEdgeError
from cifar_runtime.progress import Progress

NUM_NAMED = 3
"""Layers that a sentence names."""
# A layer of int8 that meets exact inputs has some 40 dB; above this nothing is lost that could be looked for.
_CLEAN_DB = 50.0


def explain_layers(request: Request, staged: Staged, progress: Progress) -> Explanation | None:
    """The errors of the artefact's layers, or why there are none; None for float32, whose layers have none.

    It raises nothing: the verdict stands without its explanation.

    Args:
        request: what was asked for.
        staged: the artefact; the float32 model is written beside it.
        progress: takes a sentence when it begins.
    """
    if staged.key[1] == "none":
        return None
    progress(f"converting to {staged.key[0]} in float32, to compare {staged.path.name} with it")
    try:
        floats = stage_float32_beside(request, staged)
        found = explain(
            staged.path,
            {floats: floats.stem, staged.path: staged.path.stem},
            images=np.asarray(request.source.split.images),
            labels=np.asarray(request.source.split.labels, np.int64),
            progress=progress,
        )
        return _named(found, staged.converted.layers)
    except CifarEdgeError as error:
        return _unexplained(str(error))
    except Exception as error:  # noqa: BLE001 - a bug in the explanation must not hide a failed gate
        return _unexplained(f"unexpected {type(error).__name__}: {error}.")


def cause(staged: Staged, explanation: Explanation | None) -> str:
    """What kept the layer where the error starts from being prepared, as a sentence; empty where nothing did.

    Args:
        staged: the artefact.
        explanation: of its layers.
    """
    start = (
        None if explanation is None or explanation.errors is None else _start(explanation.errors)
    )
    if start is None or staged.ready.preparation is None:
        return ""
    equalized = {str(one["layer"]) for one in staged.ready.preparation.report["equalized"]}
    return obstacle(start[0].name, staged.ready.folded, equalized)


def _named(found: Explanation, names: Mapping[str, str]) -> Explanation:
    """With the layers of the network in place of the numbers that the file has for its tensors."""
    if found.errors is None:
        return found
    layers = (replace(one, name=names.get(one.name, one.name)) for one in found.errors.layers)
    return replace(found, errors=replace(found.errors, layers=tuple(layers)))


def layers_sentence(name: str, explanation: Explanation | None, *, because: str = "") -> str:
    """What the comparison found: the worst layers, and where the error starts; empty where there was none.

    Args:
        name: the artefact's file.
        explanation: of its layers.
        because: see :func:`cause`.
    """
    if explanation is None:
        return ""
    if explanation.errors is None:
        return f"No error by layer of {name}: {explanation.reason}"
    start = _start(explanation.errors)
    sentences = [f"Worst layers of {name}: {_worst(explanation.errors)}."]
    if start is not None:
        sentences.append(_start_sentence(*start))
    return " ".join(filter(None, [*sentences, because]))


def _worst(errors: LayerErrors) -> str:
    """The worst layers by their place in the order of execution, with the SQNR of each, worst first."""
    named = [
        f"#{layer.position} {layer.operator} {layer.title} {_decibels(layer.sqnr_db)}"
        for layer in errors.layers[:NUM_NAMED]
    ]
    return f"{', '.join(named)} (SQNR against {errors.reference})"


def _start(errors: LayerErrors) -> tuple[LayerError, float] | None:
    """The layer with the largest fall below all before it: what is worse behind it may only pass its error on.

    With it goes the lowest SQNR before it, in decibels.
    """
    lowest, largest, start = _CLEAN_DB, 0.0, None
    for layer in sorted(errors.layers, key=lambda layer: layer.position):
        found = _clean(layer.sqnr_db)
        if lowest - found > largest:
            largest, start = lowest - found, (layer, lowest)
        lowest = min(lowest, found)
    return start


def _start_sentence(layer: LayerError, lowest: float) -> str:
    before = "nothing lost" if lowest == _CLEAN_DB else f"{_decibels(lowest)} at worst"
    where = f"#{layer.position} {layer.operator} {layer.title}"
    found = _decibels(_clean(layer.sqnr_db))
    return f"The error starts at {where}: {found}, {before} before it."


def _clean(sqnr_db: float | None) -> float:
    return _CLEAN_DB if sqnr_db is None else min(sqnr_db, _CLEAN_DB)


def _decibels(sqnr_db: float | None) -> str:
    # Adding zero turns the minus zero of a tiny negative figure into zero.
    return "exact" if sqnr_db is None else f"{round(sqnr_db, 1) + 0.0:.1f} dB"


def _unexplained(reason: str) -> Explanation:
    return Explanation(errors=None, reason=reason, next_commands=())
