"""Converts Keras classifiers to TFLite and ONNX artefacts, and publishes only what was verified.

``export`` does what ``cifar-export`` does, from an ``ExportRecipe``; nothing here prints.
"""

from typing import TYPE_CHECKING

from cifar_runtime.public_names import public_names

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

__getattr__, __dir__, __all__ = public_names(
    __name__,
    {
        "pipeline": ("export",),
        "planning": ("plan",),
        "keras_graph.fold": ("fold",),
        "recipe": (
            "ExportRecipe",
            "SourceRecipe",
            "PublishOptions",
            "CalibrationRecipe",
            "QatRecipe",
            "GateRecipe",
            "EvaluationImages",
            "ConfidenceRecipe",
            "RobustnessRecipe",
        ),
        "result": (
            "ExportResult",
            "ExportGateError",
        ),
    },
)
