"""One folded model to one file: which converter makes which pair of format and precision."""

from cifar_export.converted import Converted
from cifar_export.job import Job
from cifar_export.onnx_float import onnx_float16, onnx_float32
from cifar_export.onnx_int8 import onnx_dynamic, onnx_int8
from cifar_export.recipe import Quantize
from cifar_export.tflite import (
    tflite_dynamic,
    tflite_float16,
    tflite_float32,
    tflite_int8,
    tflite_int16x8,
)
from cifar_runtime.contract import ModelFormat


def convert(job: Job, model_format: ModelFormat, quantize: Quantize) -> Converted:
    """The converted model.

    Raises:
        ArtefactError: an operator cannot be converted.
        InputError: calibration images are missing or do not decode.
    """
    return (_tflite if model_format == "tflite" else _onnx)(job, quantize)


def _tflite(job: Job, quantize: Quantize) -> Converted:
    model, verbose = job.folded(quantize).model, job.recipe.verbose
    if quantize == "none":
        return tflite_float32(model, verbose=verbose)
    if quantize == "fp16":
        return tflite_float16(model, verbose=verbose)
    if quantize == "dynamic":
        return tflite_dynamic(model, verbose=verbose)
    feed = job.feed(quantize)
    if quantize == "int16x8":
        return tflite_int16x8(model, feed, verbose=verbose)
    return tflite_int8(model, feed, float_io=quantize == "int8-float-io", verbose=verbose)


def _onnx(job: Job, quantize: Quantize) -> Converted:
    name, verbose = job.checkpoint.name, job.recipe.verbose
    floats = onnx_float32(job.folded(quantize).model, verbose=verbose)
    if quantize == "none":
        return floats
    if quantize == "fp16":
        return onnx_float16(floats, model_name=name, verbose=verbose)
    if quantize == "dynamic":
        return onnx_dynamic(floats, model_name=name, verbose=verbose)
    return onnx_int8(
        floats,
        job.feed(quantize),
        model_name=name,
        float_io=quantize == "int8-float-io",
        method=job.recipe.calibration_method,
        verbose=verbose,
    )
