"""The contract of a converted model and the document that travels inside it and in its card; pure data."""

from collections.abc import Mapping
from importlib import metadata
from pathlib import PurePath
from typing import Any

from cifar_export.converted import Converted
from cifar_runtime import __version__
from cifar_runtime.artefact import CARD_SCHEMA
from cifar_runtime.contract import Contract
from cifar_runtime.formats.known_formats import ModelFormat
from cifar_runtime.golden import GoldenVectors

_TOOLS: Mapping[ModelFormat, tuple[str, ...]] = {
    "tflite": ("tensorflow", "keras", "numpy", "ai-edge-litert"),
    "onnx": ("tensorflow", "keras", "numpy", "tf2onnx", "onnx", "onnxruntime"),
}


def card_document(
    *,
    target: PurePath,
    converted: Converted,
    contract: Contract,
    provenance: Mapping[str, Any],
    golden: GoldenVectors | None,
    licence: str | None,
) -> dict[str, Any]:
    """The card but for the file's digest and size, which :func:`cifar_runtime.formats.embedded_card.sealed` adds.

    Args:
        target: the file to publish; its suffix is the format.
        converted: what the converter made.
        contract: of that model.
        provenance: where it comes from.
        golden: None before the scores are known.
        licence: an SPDX expression; None when it is not known.
    """
    model_format: ModelFormat = "onnx" if target.suffix == ".onnx" else "tflite"
    return {
        "schema": CARD_SCHEMA,
        "name": target.stem,
        "licence": licence,
        "model": {"file": target.name, "format": model_format},
        "contract": contract.to_json(),
        "golden_vectors": None if golden is None else golden.to_json(),
        "provenance": {
            **provenance,
            "conversion": dict(converted.conversion),
            "tools": tool_versions(model_format),
        },
    }


def licence_of(training_card: Mapping[str, Any] | None) -> str | None:
    """The licence that a checkpoint's card states, an SPDX expression; None when it states none."""
    licence = (training_card or {}).get("licence")
    return licence if isinstance(licence, str) else None


def tool_versions(model_format: ModelFormat) -> dict[str, str]:
    """The versions of everything that shapes a file of this format."""
    return {"cifar-edge": __version__} | {name: _version(name) for name in _TOOLS[model_format]}


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # tensorflow-cpu and others provide the same import
        return "unknown"
