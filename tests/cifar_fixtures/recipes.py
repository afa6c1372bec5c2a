"""Export recipes from flat options, as a test states them: one option, one value."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from cifar_export.recipe import (
    CalibrationRecipe,
    EvaluationImages,
    ExportRecipe,
    GateRecipe,
    PublishOptions,
    SourceRecipe,
)

_PARTS = {
    "source": (
        *(
            "checkpoint",
            "contract",
            "labels",
            "input_range",
            "output_kind",
            "resize_filter",
            "resize",
            "jpeg_decoding",
            "input_size",
            "output_name",
            "custom_objects",
            "label_threshold",
        ),
    ),
    "publish": ("output", "force", "golden", "deliveries"),
    "calibration": ("calibration_samples", "calibration_data", "calibration_method", "seed"),
    "gate": ("max_accuracy_drop", "min_agreement", "min_accuracy"),
    "evaluation": ("eval_split", "eval_data"),
}
_PREFIXES = ("calibration_", "eval_")


def export_recipe(*, checkpoint: Path | str, output: Path | str, **options: Any) -> ExportRecipe:
    """The recipe with these options, named as on the command line; float32 where no precision is given."""
    options = {"quantize": ("none",), **options}
    parts, others = _by_part({"checkpoint": checkpoint, "output": output, **options})
    return ExportRecipe(
        source=SourceRecipe(**parts["source"]),
        publish=PublishOptions(**parts["publish"]),
        calibration=CalibrationRecipe(**parts["calibration"]),
        gate=GateRecipe(**parts["gate"]),
        evaluation=EvaluationImages(**parts["evaluation"]),
        **others,
    )


def changed(recipe: ExportRecipe, **options: Any) -> ExportRecipe:
    """The recipe with some options changed."""
    parts, others = _by_part(options)
    nested = {name: replace(getattr(recipe, name), **fields) for name, fields in parts.items()}
    return replace(recipe, **nested, **others)


def _by_part(options: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    parts = {
        part: {_field(name): options.pop(name) for name in names if name in options}
        for part, names in _PARTS.items()
    }
    return parts, options


def _field(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name
