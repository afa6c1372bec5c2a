"""What is made of a published artefact for who runs no interpreter of ours: firmware in C, a page for a browser."""

from collections.abc import Callable
from dataclasses import replace

from cifar_export.recipe import DELIVERED_FROM, Delivery, ExportRecipe
from cifar_export.result import ExportResult

Progress = Callable[[str], None]


def deliver(result: ExportResult, recipe: ExportRecipe, progress: Progress) -> ExportResult:
    """The result, with a remark on each folder that was written beside the artefact.

    Args:
        result: a published artefact.
        recipe: names the deliveries.
        progress: takes a sentence whenever one begins.

    Raises:
        ArtefactError: the model has an operator that a delivery does not compute.
        InputError: a folder cannot be written, or an engine can be neither found nor fetched.
        MissingDependencyError: a package that a delivery needs is not installed.
    """
    for delivery in recipe.publish.deliveries:
        model_format, quantize = DELIVERED_FROM[delivery]
        if result.path.name.endswith(f"-{quantize}.{model_format}"):
            progress(f"writing {_WORDS[delivery]} of {result.path.name}")
            result = replace(result, remarks=(*result.remarks, _WRITERS[delivery](result, recipe)))
    return result


def _firmware(result: ExportResult, recipe: ExportRecipe, engine: Delivery) -> str:
    from cifar_export.firmware.write import write_firmware

    folder = recipe.publish.output / f"{result.name}-{engine}"
    report = write_firmware(result.path, folder, engine="c" if engine == "c" else "tflm")
    return (
        f"{folder}: {_WORDS[engine]}, arena {report.arena_bytes:,} bytes, constants "
        f"{report.constant_bytes:,} bytes, {report.num_vectors} golden vectors to replay"
    )


def _site(result: ExportResult, recipe: ExportRecipe) -> str:
    from cifar_export.web.site import write_site

    folder = recipe.publish.output / f"{result.name}-web"
    report = write_site(result.path, folder, force=recipe.publish.force)
    return (
        f"{folder}: {_WORDS['web']}, {len(report.files)} files, {report.size_bytes:,} bytes, "
        f"{report.engine[0]} {report.engine[1]}"
    )


_WORDS: dict[Delivery, str] = {
    "c": "C99 without an interpreter",
    "tflm": "files for TensorFlow Lite Micro",
    "web": "a page that classifies in a browser",
}
_WRITERS: dict[Delivery, Callable[[ExportResult, ExportRecipe], str]] = {
    "c": lambda result, recipe: _firmware(result, recipe, "c"),
    "tflm": lambda result, recipe: _firmware(result, recipe, "tflm"),
    "web": _site,
}
