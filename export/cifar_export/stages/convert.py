"""One ready model to one file, and what its contract says."""

from dataclasses import replace
from typing import Any

from cifar_export.contracts import output_contract, quantized_contract
from cifar_export.converted import Converted
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.recipe import ExportRecipe
from cifar_export.stages.prepared import ReadyModel
from cifar_export.stages.source import Source
from cifar_export.targets.failing_layer import with_layer_name
from cifar_export.targets.known_targets import TARGETS, Conversion, Key
from cifar_export.witness import witnessed
from cifar_runtime.contract import Contract
from cifar_runtime.errors import ArtefactError


def convert(ready: ReadyModel, key: Key, recipe: ExportRecipe) -> Converted:
    """The converted model.

    Args:
        ready: the model.
        key: format and precision.
        recipe: says how ranges are calibrated, and whether converters may talk.

    Raises:
        ArtefactError: a layer cannot be converted.
    """
    model = ready.folded.model

    def make(part: Any, images: RepresentativeDataset | None) -> Converted:
        return TARGETS[key].convert(
            Conversion(
                model=part,
                feed=images,
                model_name=recipe.source.checkpoint.stem,
                method=recipe.calibration.method,
                activations="int8" if recipe.onnx_activations == "int8" else "uint8",
                verbose=recipe.verbose,
                kept=ready.kept if part is model else {},
            )
        )

    with witnessed(_last_words(key, recipe)):
        try:
            return make(model, ready.feed)
        except ArtefactError as error:
            raise with_layer_name(error, model, make) from error


def _last_words(key: Key, recipe: ExportRecipe) -> str:
    name = f"{recipe.name_of(recipe.source.checkpoint.stem, key[1])}.{key[0]}"
    return (
        f"{recipe.source.checkpoint.name}: the process ended while a converter made {name}, expected a file: the "
        "converter crashed, or memory ran out. Export another --format or --quantize, or replace the layers that are "
        "no convolutions or dense ones; what was published before is complete."
    )


def contract_of(converted: Converted, ready: ReadyModel, source: Source) -> Contract:
    """What the converted model expects and returns.

    Raises:
        ArtefactError: its int8 input is not pixel - 128.
    """
    multiplier, offset = ready.folded.multiplier, ready.folded.offset
    pixels = replace(source.pixels, multiplier=multiplier, offset=offset)
    if converted.input is not None:
        pixels = quantized_contract(
            source.pixels, converted.input, multiplier=multiplier, offset=offset
        )
    output = replace(
        output_contract(source.kind, converted.output),
        temperature=source.declared.temperature,
        abstention_threshold=source.declared.abstention_threshold,
        abstention_score=source.declared.abstention_score,
        label_threshold=source.judge.threshold,
    )
    return Contract(input=pixels, output=output, labels=source.labels)
