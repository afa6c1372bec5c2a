"""What is made of a published artefact for who runs no interpreter of ours: firmware in C, a page for a browser."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cifar_export.recipe import DELIVERED_FROM, Delivery, ExportRecipe
from cifar_export.result import ExportFailure, ExportResult
from cifar_export.targets.known_targets import Key
from cifar_runtime.errors import CifarEdgeError

Progress = Callable[[str], None]


def deliver(
    key: Key, result: ExportResult, recipe: ExportRecipe, progress: Progress
) -> tuple[ExportResult, tuple[ExportFailure, ...]]:
    """The result, with a remark on each folder that was written beside the artefact, and those that were not.

    Args:
        key: the artefact's format and precision.
        result: the published artefact.
        recipe: names the deliveries.
        progress: takes a sentence whenever one begins.
    """
    failures: list[ExportFailure] = []
    for delivery in recipe.publish.deliveries:
        if DELIVERED_FROM[delivery] == key:
            progress(f"writing {_WORDS[delivery]} of {result.path.name}")
            folder = recipe.publish.output / f"{result.name}-{delivery}"
            try:
                written = _written(delivery, result.path, folder, force=recipe.publish.force)
            except CifarEdgeError as error:
                failures.append(_failure(folder, key, result, error))
                continue
            remark = f"{folder}: {_WORDS[delivery]}, {written}"
            result = replace(result, remarks=(*result.remarks, remark))
    return result, tuple(failures)


def _failure(folder: Path, key: Key, result: ExportResult, error: CifarEdgeError) -> ExportFailure:
    what = error.message.removesuffix(".")
    return ExportFailure(
        name=folder.name,
        quantize=key[1],
        reason="cannot be delivered",
        sentence=f"{result.path} was published, but {folder.name} was not written: {what}",
        split=result.split,
        num_images=result.num_images,
        gates=(),
        layers=None,
        error=error,
    )


def _written(delivery: Delivery, model: Path, folder: Path, *, force: bool) -> str:
    """What was written, in a few words."""
    if delivery == "web":
        from cifar_export.web.site import write_site

        site = write_site(model, folder, force=force)
        engine = " ".join(site.engine)
        return f"{len(site.files)} files, {site.size_bytes:,} bytes, {engine}"
    from cifar_export.firmware.write import write_firmware

    firmware = write_firmware(model, folder, engine=delivery)
    return (
        f"arena {firmware.arena_bytes:,} bytes, constants {firmware.constant_bytes:,} bytes, "
        f"{firmware.num_vectors} golden vectors to replay"
    )


_WORDS: dict[Delivery, str] = {
    "c": "C99 without an interpreter",
    "tflm": "files for TensorFlow Lite Micro",
    "web": "a page that classifies in a browser",
}
