"""One folded model to one file: which converter makes which pair of format and precision."""

from typing import Any

from cifar_export.converted import Converted
from cifar_export.int8.calibration import Feed
from cifar_export.job import Job
from cifar_export.recipe import CALIBRATED, INTEGER_IO, ExportRecipe, Quantize
from cifar_export.targets.failing_layer import with_layer_name
from cifar_export.targets.onnx_float import onnx_float16, onnx_float32
from cifar_export.targets.onnx_int8 import onnx_dynamic, onnx_int8
from cifar_export.targets.tflite import (
    tflite_dynamic,
    tflite_float16,
    tflite_float32,
    tflite_int8,
    tflite_int16x8,
)
from cifar_runtime.contract import ModelFormat
from cifar_runtime.errors import ArtefactError


def convert(job: Job, model_format: ModelFormat, quantize: Quantize) -> Converted:
    """The converted model.

    Raises:
        ArtefactError: a layer cannot be converted.
        InputError: calibration images are missing or do not decode.
    """
    recipe, name = job.recipe, job.checkpoint.name
    model = job.folded(quantize).model
    feed = job.feed(quantize) if quantize in CALIBRATED else None

    def make(part: Any, images: Feed | None) -> Converted:
        if model_format == "tflite":
            return _tflite(part, images, quantize, verbose=recipe.verbose)
        return _onnx(part, images, quantize, recipe, name=name)

    try:
        return make(model, feed)
    except ArtefactError as error:
        raise with_layer_name(error, model, make) from error


def _tflite(model: Any, feed: Feed | None, quantize: Quantize, *, verbose: bool) -> Converted:
    if quantize == "none":
        return tflite_float32(model, verbose=verbose)
    if quantize == "fp16":
        return tflite_float16(model, verbose=verbose)
    if quantize == "dynamic" or feed is None:
        return tflite_dynamic(model, verbose=verbose)
    if quantize == "int16x8":
        return tflite_int16x8(model, feed, verbose=verbose)
    return tflite_int8(model, feed, io=INTEGER_IO.get(quantize, "float32"), verbose=verbose)


def _onnx(
    model: Any, feed: Feed | None, quantize: Quantize, recipe: ExportRecipe, *, name: str
) -> Converted:
    verbose = recipe.verbose
    floats = onnx_float32(model, verbose=verbose)
    if quantize == "none":
        return floats
    if quantize == "fp16":
        return onnx_float16(floats, model_name=name, verbose=verbose)
    if quantize == "dynamic" or feed is None:
        return onnx_dynamic(floats, model_name=name, verbose=verbose)
    return onnx_int8(
        floats,
        feed,
        model_name=name,
        io=INTEGER_IO.get(quantize, "float32"),
        method=recipe.calibration_method,
        verbose=verbose,
    )
