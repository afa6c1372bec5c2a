"""What a model file says of its tensors, compared with what its contract says.

It is filled in by the sessions; it imports no interpreter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.artefact import Artefact
from cifar_runtime.contract import Contract
from cifar_runtime.errors import ArtefactError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFacts:
    """One tensor of a model.

    Attributes:
        shape: one size per axis, None where the file leaves it open; axis 0 is the batch.
        dtype: element type, as numpy names it.
        scale: real units per integer step; None for float, or where the format has no field for it.
        zero_point: integer that stands for real 0; None with ``scale``.
    """

    shape: tuple[int | None, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None

    def __str__(self) -> str:
        text = f"{self.dtype} {tuple('any' if size is None else size for size in self.shape)}"
        if self.scale is None:
            return text
        return f"{text} with scale {self.scale!r} and zero point {self.zero_point}"


def contract_input(contract: Contract) -> TensorFacts:
    """The input tensor that the contract promises."""
    declared = contract.input
    return _facts((None, *declared.shape), declared.dtype, declared.scale, declared.zero_point)


def contract_output(contract: Contract) -> TensorFacts:
    """The output tensor that the contract promises."""
    declared = contract.output
    shape = (None, len(contract.labels))
    return _facts(shape, declared.dtype, declared.scale, declared.zero_point)


def check_ends(
    artefact: Artefact,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    *,
    facts: Callable[[Any], TensorFacts],
    quantization_known: bool,
) -> None:
    """Refuses a model that has not one input and one output, or other ones than its contract says.

    Args:
        artefact: the model.
        inputs: what its interpreter says of its inputs.
        outputs: and of its outputs.
        facts: reads one of them.
        quantization_known: whether they hold scale and zero point.

    Raises:
        ArtefactError: that is what it has.
    """
    if len(inputs) != 1 or len(outputs) != 1:
        raise ArtefactError(
            f"{artefact.path}: has {len(inputs)} inputs and {len(outputs)} outputs, "
            "expected one of each.",
            hint="Export an image classifier with cifar-export.",
        )
    for side, tensor, declared in (
        ("input", inputs[0], contract_input(artefact.contract)),
        ("output", outputs[0], contract_output(artefact.contract)),
    ):
        found = facts(tensor)
        if not _agree(found, declared, quantization_known=quantization_known):
            raise ArtefactError(
                f"{artefact.path}: its {side} is {found}, its contract says {declared}.",
                hint="The card belongs to another model: run cifar-export again.",
            )


def _agree(found: TensorFacts, declared: TensorFacts, *, quantization_known: bool) -> bool:
    """Whether a tensor is the one in the contract, with a batch of 1 or any; its open axes agree with all sizes."""
    return (
        found.dtype == declared.dtype
        and found.shape[:1] in ((None,), (1,))
        and _shapes_agree(found.shape, declared.shape)
        and (not quantization_known or _quantizations_agree(found, declared))
    )


def check_batch(batch: NDArray[Any], declared: TensorFacts) -> None:
    """Refuses a batch that the model's input tensor does not hold.

    Raises:
        UsageError: another dtype or shape.
    """
    if batch.shape[1:] != declared.shape[1:] or batch.dtype != declared.dtype:
        raise UsageError(
            f"the batch is {batch.dtype} {batch.shape}, expected {declared}.",
            hint="Use Classifier.scores, which prepares pixels as the contract says.",
        )


def _facts(
    shape: tuple[int | None, ...], dtype: str, scale: float | None, zero_point: int | None
) -> TensorFacts:
    # Model files hold scales as float32: compare, and print, in that precision.
    rounded = None if scale is None else float(np.float32(scale))
    return TensorFacts(shape=shape, dtype=dtype, scale=rounded, zero_point=zero_point)


def _shapes_agree(found: tuple[int | None, ...], declared: tuple[int | None, ...]) -> bool:
    return len(found) == len(declared) and all(
        one is None or other is None or one == other
        for one, other in zip(found, declared, strict=True)
    )


def _quantizations_agree(found: TensorFacts, declared: TensorFacts) -> bool:
    return (found.scale, found.zero_point) == (declared.scale, declared.zero_point)
