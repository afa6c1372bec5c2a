"""Converts Keras classifiers to TFLite and ONNX artefacts, and publishes only what was verified.

``export`` does what ``cifar-export`` does, from an ``ExportRecipe``; nothing here prints.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cifar_export.keras_graph.fold import fold as fold
    from cifar_export.pipeline import export as export
    from cifar_export.planning import plan as plan
    from cifar_export.recipe import CalibrationRecipe as CalibrationRecipe
    from cifar_export.recipe import ConfidenceRecipe as ConfidenceRecipe
    from cifar_export.recipe import EvaluationImages as EvaluationImages
    from cifar_export.recipe import ExportRecipe as ExportRecipe
    from cifar_export.recipe import GateRecipe as GateRecipe
    from cifar_export.recipe import PublishOptions as PublishOptions
    from cifar_export.recipe import QatRecipe as QatRecipe
    from cifar_export.recipe import RobustnessRecipe as RobustnessRecipe
    from cifar_export.recipe import SourceRecipe as SourceRecipe
    from cifar_export.result import ExportGateError as ExportGateError
    from cifar_export.result import ExportResult as ExportResult

_MODULES = {
    "export": "pipeline",
    "plan": "planning",
    "fold": "keras_graph.fold",
    "ExportRecipe": "recipe",
    "SourceRecipe": "recipe",
    "PublishOptions": "recipe",
    "CalibrationRecipe": "recipe",
    "QatRecipe": "recipe",
    "GateRecipe": "recipe",
    "EvaluationImages": "recipe",
    "ConfidenceRecipe": "recipe",
    "RobustnessRecipe": "recipe",
    "ExportResult": "result",
    "ExportGateError": "result",
}
__all__ = [  # noqa: RUF022 - in the order in which one meets them
    "export",
    "plan",
    "fold",
    "ExportRecipe",
    "SourceRecipe",
    "PublishOptions",
    "CalibrationRecipe",
    "QatRecipe",
    "GateRecipe",
    "EvaluationImages",
    "ConfidenceRecipe",
    "RobustnessRecipe",
    "ExportResult",
    "ExportGateError",
]


def __getattr__(name: str) -> Any:
    """Loads a public name on first use, so that ``--help`` pays for none."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
