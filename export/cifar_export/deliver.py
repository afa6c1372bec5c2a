"""What is made of a published artefact for who runs no interpreter of ours: firmware in C, a page for a browser."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cifar_export.recipe import DELIVERED_FROM, Accelerator, Delivery, ExportRecipe
from cifar_export.result import ExportFailure, ExportResult
from cifar_export.targets.known_targets import Key
from cifar_runtime.errors import CifarEdgeError

if TYPE_CHECKING:
    from cifar_export.firmware.evaluation import Evaluation

Progress = Callable[[str], None]


def deliver(
    key: Key,
    result: ExportResult,
    recipe: ExportRecipe,
    progress: Progress,
    *,
    evaluation: "Evaluation | None" = None,
) -> tuple[ExportResult, tuple[ExportFailure, ...]]:
    """The result, with a remark on each folder that was written beside the artefact, and those that were not.

    Args:
        key: the artefact's format and precision.
        result: the published artefact.
        recipe: names the deliveries.
        progress: takes a sentence whenever one begins.
        evaluation: what firmware's decisions are judged on; None: its golden vectors only.
    """
    failures: list[ExportFailure] = []
    for delivery in recipe.publish.deliveries:
        if DELIVERED_FROM[delivery] == key:
            progress(f"writing {_WORDS[delivery]} of {result.path.name}")
            folder = recipe.publish.output / f"{result.name}-{delivery}"
            try:
                written = _written(delivery, result.path, folder, recipe, evaluation)
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


def _written(
    delivery: Delivery,
    model: Path,
    folder: Path,
    recipe: ExportRecipe,
    evaluation: "Evaluation | None",
) -> str:
    """What was written, in a few words."""
    if delivery == "web":
        return _site(model, folder, force=recipe.publish.force)
    if delivery == "vela":
        return _compiled(recipe.publish.accelerator, model, folder)
    return _firmware(delivery, model, folder, evaluation)


def _site(model: Path, folder: Path, *, force: bool) -> str:
    """A page for a browser; what was written, in a few words."""
    from cifar_export.web.site import write_site

    site = write_site(model, folder, force=force)
    engine = " ".join(site.engine)
    return f"{len(site.files)} files, {site.size_bytes:,} bytes, {engine}"


def _firmware(
    engine: Literal["c", "tflm"], model: Path, folder: Path, evaluation: "Evaluation | None"
) -> str:
    """Firmware; what was written, in a few words."""
    from cifar_export.firmware.write import write_firmware

    written = write_firmware(model, folder, engine=engine, evaluation=evaluation)
    judged = written.judged
    verdict = (
        ""
        if judged is None
        else f"top-1 {judged.accuracy:.2%}, agreement {judged.agreement:.2%} on {judged.num_images:,} images, "
    )
    return (
        f"{verdict}arena {written.arena_bytes:,} bytes, constants {written.constant_bytes:,} bytes, "
        f"{written.num_vectors} golden vectors to replay"
    )


def _compiled(accelerator: Accelerator, model: Path, folder: Path) -> str:
    """A model for an accelerator; what Vela estimates of it, in a few words."""
    from cifar_export.firmware.vela import compile_for

    compiled = compile_for(accelerator, model, folder)
    return (
        f"{accelerator}, {compiled.cpu_operators} operators left on the CPU; Vela estimates "
        f"{compiled.inferences_per_second:,.0f} inferences/s, {compiled.sram_bytes:,} bytes of SRAM and "
        f"{compiled.flash_bytes:,} of flash"
    )


_WORDS: dict[Delivery, str] = {
    "c": "C99 without an interpreter",
    "tflm": "files for TensorFlow Lite Micro",
    "vela": "the model as Vela compiles it",
    "web": "a page that classifies in a browser",
}
