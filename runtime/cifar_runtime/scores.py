"""Raw scores become probabilities and certainties, as a contract says."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.contract import OutputContract

# What a probability of zero stands for where its logarithm is needed.
_LEAST_PROBABILITY = 1e-12
_ENTROPY_POWER = 0.25


def dequantize(raw: NDArray[Any], contract: OutputContract) -> NDArray[np.float32]:
    """Scores in real units, float32, in the shape of ``raw``: ``(q - zero_point) * scale``."""
    if contract.scale is None or contract.zero_point is None:
        return raw.astype(np.float32)
    real = (raw.astype(np.float64) - contract.zero_point) * contract.scale
    return real.astype(np.float32)


def score_table(contract: OutputContract) -> NDArray[np.float32] | None:
    """The score in real units that each byte of a quantized score stands for, shape (256,); None for float scores."""
    if contract.scale is None:
        return None
    return dequantize(np.arange(256, dtype=np.uint8).view(contract.dtype), contract)


def probabilities_from_scores(
    scores: NDArray[np.float32], contract: OutputContract
) -> NDArray[np.float64]:
    """Probabilities, float64, shape (n, num_classes), at the contract's temperature.

    The softmax of logits, or the scores; see :class:`OutputContract` for the temperature. Those of independent labels
    do not sum to one.
    """
    exact = scores.astype(np.float64)
    temperature = contract.temperature
    if contract.kind != "logits":
        if temperature is None:
            return exact
        exact = np.log(
            np.maximum(exact, _least_probability(contract))
        )  # logits, but for a constant
    exponentials = np.exp(
        (exact - np.maximum.reduce(exact, 1, keepdims=True)) / (temperature or 1.0)
    )
    return np.asarray(exponentials / np.add.reduce(exponentials, 1, keepdims=True))


def certainties_from_probabilities(
    probabilities: NDArray[np.float64], contract: OutputContract
) -> NDArray[np.float64]:
    """What the contract's abstention threshold is compared with, float64, shape (n,), 0..1.

    The largest probability; or one minus the generalized entropy G(p) = sum((p * (1 - p)) ** 0.25) as a share of
    what equal probabilities have: it separates pictures of no class better (docs/log.md), since it sees whether
    the other labels are all ruled out.

    Args:
        probabilities: float64, shape (n, num_classes), at the contract's temperature.
        contract: whose score is wanted.

    Source: X. Liu, Y. Lochman and C. Zach, "GEN: pushing the limits of softmax-based out-of-distribution detection",
        CVPR 2023.
    """
    if contract.abstention_score == "probability":
        return np.asarray(probabilities.max(axis=1))
    # At a temperature, probabilities_from_scores has done it.
    least = _least_probability(contract) if contract.temperature is None else 0.0
    inside = np.minimum(np.maximum(probabilities, least), 1.0)
    num_classes = probabilities.shape[1]
    entropy = np.add.reduce((inside * (1 - inside)) ** _ENTROPY_POWER, 1)
    most = num_classes * ((num_classes - 1) / num_classes**2) ** _ENTROPY_POWER
    return np.asarray(1 - np.minimum(entropy / most, 1.0))


def _least_probability(contract: OutputContract) -> float:
    """A quantized probability of zero stands for anything below half a step: for the middle of that."""
    if contract.kind == "logits" or contract.scale is None:
        return _LEAST_PROBABILITY
    return contract.scale / 4
