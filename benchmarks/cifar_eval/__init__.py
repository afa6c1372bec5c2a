"""Scores become accuracy, parity, a gate's verdict, confidence, robustness and errors by layer.

The names below are loaded on first use, so that importing the package waits for no NumPy.
"""

from typing import TYPE_CHECKING

from cifar_runtime.public_names import public_names

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

__getattr__, __dir__, __all__ = public_names(
    __name__,
    {
        "accuracy": ("measure_accuracy",),
        "confidence": ("fit_confidence",),
        "layers.explanation": ("explain",),
        "models.opening": ("open_model",),
        "parity.comparison": ("compare",),
        "parity.counts": ("Parity",),
        "parity.gate": ("judge",),
        "parity.limits": ("Limits",),
        "robustness.measure": ("measure_robustness",),
    },
)
