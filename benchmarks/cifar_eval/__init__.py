"""Scores become accuracy, parity, a gate's verdict, confidence, robustness and errors by layer.

The names below are loaded on first use, so that importing the package waits for no NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cifar_eval.accuracy import measure_accuracy as measure_accuracy
    from cifar_eval.confidence import fit_confidence as fit_confidence
    from cifar_eval.layers.explanation import explain as explain
    from cifar_eval.models.opening import open_model as open_model
    from cifar_eval.parity.comparison import compare as compare
    from cifar_eval.parity.counts import Parity as Parity
    from cifar_eval.parity.gate import judge as judge
    from cifar_eval.parity.limits import Limits as Limits
    from cifar_eval.robustness.measure import measure_robustness as measure_robustness

_MODULES = {
    "Limits": "cifar_eval.parity.limits",
    "Parity": "cifar_eval.parity.counts",
    "compare": "cifar_eval.parity.comparison",
    "explain": "cifar_eval.layers.explanation",
    "fit_confidence": "cifar_eval.confidence",
    "judge": "cifar_eval.parity.gate",
    "measure_accuracy": "cifar_eval.accuracy",
    "measure_robustness": "cifar_eval.robustness.measure",
    "open_model": "cifar_eval.models.opening",
}
__all__ = [
    "Limits",
    "Parity",
    "compare",
    "explain",
    "fit_confidence",
    "judge",
    "measure_accuracy",
    "measure_robustness",
    "open_model",
]


def __getattr__(name: str) -> Any:
    """A public name, from the module that holds it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
