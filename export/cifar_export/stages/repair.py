"""An int8 artefact that missed its gate, repaired: what costs most decisions goes back to float32, in a budget.

What operators cost is measured on calibration images: the decisions that differ from the checkpoint's with all in int8,
less those with these operators in float32; where these are equal, the error of the scores decides. Then one move after
another is made until the gate passes. The gate's images never choose a group, but each move looks
at them once more, so that the card says how often.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.converted import IoType
from cifar_export.evidence.verify import Verification
from cifar_export.publish.publish import write_artefact
from cifar_export.recipe import INTEGER_IO, RepairRecipe
from cifar_export.scratch import scratch_folder
from cifar_export.stages.convert import contract_of
from cifar_export.stages.failure import verified
from cifar_export.stages.staged import Request, Staged, seal
from cifar_export.targets.mixed_precision import MixedPrecision, Move
from cifar_export.targets.onnx_float import onnx_float32
from cifar_export.targets.onnx_int8 import StaticQuantization
from cifar_export.targets.onnx_repair import OnnxMixedPrecision
from cifar_export.targets.tflite_repair import TfliteMixedPrecision
from cifar_runtime.artefact import Artefact
from cifar_runtime.contract import Contract
from cifar_runtime.errors import ArtefactError
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.progress import Progress, counter_of
from cifar_runtime.scores import dequantize
from cifar_runtime.sessions.open import open_session

MAX_IMAGES = 256
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """How a model decides beside the checkpoint on calibration images.

    Attributes:
        flips: images that it decides otherwise.
        error: mean absolute error of the scores.
    """

    flips: int
    error: float


def repaired(
    request: Request, staged: Staged, missed: Verification, progress: Progress
) -> tuple[Staged, Verification]:
    """The artefact with some operators in float32 that passes its gate; where none does, the one given.

    Args:
        request: what was asked for, with a budget.
        staged: an int8 artefact.
        missed: how it decides.
        progress: takes a sentence when something long begins.

    Raises:
        ArtefactError: a mixed model cannot be quantized or run.
    """
    # Biases corrected for int8 mislead what is float: so without that, too.
    for ready in filter(None, (staged.ready, staged.ready.plain)):
        base = replace(staged, ready=ready)
        found = _repaired_from(request, base, missed, progress)
        if found is not None:
            return found
    progress("repair: not within its budget of multiply-accumulates; --repair-budget allows more")
    write_artefact(staged.path, *seal(request, staged))
    return staged, missed


def _repaired_from(
    request: Request, base: Staged, missed: Verification, progress: Progress
) -> tuple[Staged, Verification] | None:
    """The first mix of a model that passes; None where none does within the budget."""
    repair = request.recipe.repair
    if repair is None:
        raise TypeError("the recipe repairs nothing")
    with scratch_folder() as folder:
        mixed = _mixed_precision(request, base, folder)
        progress(
            f"{base.path.name} misses its gate: measuring what {len(mixed.moves)} groups cost it"
        )
        whole, costs = _costs(request, base, mixed, progress)
        ranked = sorted(
            (move for move, cost in costs.items() if cost.error < whole.error),
            key=lambda move: (costs[move].flips, costs[move].error),
        )
        card = _card(base, repair, whole, missed)
        search = _Search(request=request, staged=base, mixed=mixed, progress=progress)
        return search.run([(move, costs[move]) for move in ranked], card)


def _mixed_precision(request: Request, base: Staged, folder: Path) -> MixedPrecision:
    ready, name = base.ready, request.recipe.source.checkpoint.stem
    if base.key[0] == "tflite":
        return TfliteMixedPrecision(ready.folded.model, ready.calibration_feed, model_name=name)
    static = StaticQuantization(
        method=request.recipe.calibration.method,
        activations="int8" if request.recipe.onnx_activations == "int8" else "uint8",
    )
    float_model = ready.kept.get("onnx") or onnx_float32(ready.folded.model)
    return OnnxMixedPrecision(float_model, ready.calibration_feed, static, folder, model_name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    request: Request
    staged: Staged
    mixed: MixedPrecision
    progress: Progress

    def run(
        self, ranked: Sequence[tuple[Move, Cost]], card: dict[str, Any]
    ) -> tuple[Staged, Verification] | None:
        """Makes one move after another until the gate passes; None where the budget is spent before."""
        moved: Move = ()
        for move, cost in ranked:
            wanted = tuple(dict.fromkeys((*moved, *move)))
            share = sum(group.macs_share for group in wanted)
            if wanted == moved or share > card["budget"] + _ROUNDING:
                continue
            moved = wanted
            found = verified(self.request, self._with_floats(moved, card), self.progress)
            if isinstance(found, ArtefactError):
                raise found
            card["macs_share"] = share
            card["moved"].append(_entry(move, cost, found))
            self.progress(
                f"{_title(move)} in float32, {share:.1%} of the multiply-accumulates so far: drop "
                f"{100 * found.parity.accuracy_drop:.2f} points, agreement {found.parity.agreement:.2%}"
            )
            if found.passed:
                return self._with_floats(moved, card), found
        return None

    def _with_floats(self, groups: Move, card: Mapping[str, Any]) -> Staged:
        """The artefact with these groups in float32, written in place of the one before."""
        io: IoType = INTEGER_IO.get(self.staged.key[1], "float32")
        converted = self.mixed.convert(groups, io=io)
        converted = replace(converted, conversion={**converted.conversion, "repair": dict(card)})
        contract = contract_of(converted, self.staged.ready, self.request.source)
        candidate = replace(self.staged, converted=converted, contract=contract)
        write_artefact(candidate.path, *seal(self.request, candidate))
        return candidate


def repair_remark(staged: Staged) -> str | None:
    """What a repair moved, and what that bought, in one sentence; None where nothing was repaired."""
    card = staged.converted.conversion.get("repair")
    if card is None:
        return None
    before, after = card["before"], card["moved"][-1]
    moved = dict.fromkeys(title for move in card["moved"] for title in move["operators"])
    return (
        f"repaired: {', '.join(moved)} in float32, "
        f"{card['macs_share']:.1%} of the multiply-accumulates: agreement {before['agreement']:.2%} to "
        f"{after['agreement']:.2%}, drop {100 * before['accuracy_drop']:.2f} to "
        f"{100 * after['accuracy_drop']:.2f} points"
    )


def _costs(
    request: Request, staged: Staged, mixed: MixedPrecision, progress: Progress
) -> tuple[Cost, dict[Move, Cost]]:
    """The cost of all in int8, and that of each move alone; of one that cannot be made, a sentence."""
    images = _calibration_images(staged)
    expected = request.source.judge.scores(images)

    def cost(groups: Move) -> Cost:
        converted = mixed.convert(groups, io="int8")
        contract = contract_of(converted, staged.ready, request.source)
        scores = _scores(staged, converted.data, contract, images)
        flips = int(np.count_nonzero(scores.argmax(axis=1) != expected.argmax(axis=1)))
        return Cost(flips=flips, error=float(np.abs(scores - expected).mean()))

    costs: dict[Move, Cost] = {}
    count, total = counter_of(progress), len(mixed.moves) + 1
    whole = cost(())
    for done, move in enumerate(mixed.moves, start=1):
        count(done, total)
        try:
            costs[move] = cost(move)
        except ArtefactError as error:
            progress(f"{_title(move)} cannot be in float32: {error}")
    count(total, total)
    return whole, costs


def _calibration_images(staged: Staged) -> NDArray[np.uint8]:
    """Some real ones, spread evenly."""
    calibration = staged.ready.calibration
    if calibration is None:
        raise TypeError("an int8 model is calibrated")
    count = len(calibration.ids)
    positions = np.linspace(0, count - 1, min(MAX_IMAGES, count)).round().astype(np.int64)
    return calibration.images[positions]


def _scores(
    staged: Staged, data: bytes, contract: Contract, images: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """The scores of a file that is not written yet, in real units.

    Raises:
        ArtefactError: its interpreter cannot run it.
    """
    artefact = Artefact(
        path=staged.path, format=staged.key[0], data=data, contract=contract, card={}
    )
    session = open_session(artefact)
    try:
        scores = session.run(input_table(contract.input)[images])
    finally:
        session.close()
    return dequantize(scores, contract.output)


def _card(
    staged: Staged, repair: RepairRecipe, whole: Cost, missed: Verification
) -> dict[str, Any]:
    return {
        "budget": repair.budget,
        "calibration_images": len(_calibration_images(staged)),
        "calibration_flips": whole.flips,
        "before": _figures(missed),
        "macs_share": 0.0,
        "moved": [],
    }


def _entry(move: Move, cost: Cost, found: Verification) -> dict[str, Any]:
    return {
        "operators": [group.title for group in move],
        "calibration_flips_alone": cost.flips,
        **_figures(found),
    }


def _title(move: Move) -> str:
    return " and ".join(group.title for group in move)


def _figures(found: Verification) -> dict[str, Any]:
    parity = found.parity
    return {
        "accuracy_drop": parity.accuracy_drop,
        "accuracy_drop_interval_95": list(parity.accuracy_drop_interval),
        "agreement": parity.agreement,
    }
