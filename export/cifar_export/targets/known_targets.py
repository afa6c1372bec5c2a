"""The one table of export targets: which converter makes which pair of format and precision, and with what packages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cifar_export.converted import Converted, IoType
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.recipe import Activations, CalibrationMethod, Quantize
from cifar_export.targets.onnx_float import onnx_float16, onnx_float32
from cifar_export.targets.onnx_int8 import StaticQuantization, onnx_dynamic, onnx_int8
from cifar_export.targets.tflite import (
    tflite_dynamic,
    tflite_float16,
    tflite_float32,
    tflite_int8,
    tflite_int16x8,
)
from cifar_runtime.formats.known_formats import KNOWN_FORMATS, ModelFormat

Key = tuple[ModelFormat, Quantize]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What a converter is given.

    Attributes:
        model: the functional Keras model to convert, float32, of any batch size.
        feed: calibration images as the model takes them; None for precisions that need none.
        model_name: for messages.
        method: how ranges follow from what calibration observed.
        activations: of int8 ONNX models, between their layers.
        verbose: pass the converter's messages on to stderr.
        kept: float files made of the model before, by format, which need not be made again; added to.
    """

    model: Any
    feed: RepresentativeDataset | None
    model_name: str
    method: CalibrationMethod = "minmax"
    activations: Activations = "uint8"
    verbose: bool = False
    kept: dict[str, Converted] = field(default_factory=dict)

    @property
    def calibration_feed(self) -> RepresentativeDataset:
        """The calibration images of a precision that needs them."""
        if self.feed is None:
            raise TypeError("this precision is calibrated, and there are no calibration images")
        return self.feed


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One kind of file that an export can make.

    Attributes:
        convert: makes it; raises ArtefactError where a layer cannot be converted.
        packages: what must be installed to make and to verify it.
        remark: what a user should know before using it, one sentence; None for nothing.
    """

    convert: Callable[[Conversion], Converted]
    packages: tuple[str, ...]
    remark: str | None = None


def float_file(given: Conversion, model_format: ModelFormat) -> Converted:
    """The float32 file of a format, made once of each model.

    Raises:
        ArtefactError: the model has an operator that the format lacks.
    """
    make = tflite_float32 if model_format == "tflite" else onnx_float32
    if model_format not in given.kept:
        given.kept[model_format] = make(given.model, verbose=given.verbose)
    return given.kept[model_format]


def _tflite_float32(given: Conversion) -> Converted:
    return float_file(given, "tflite")


def _tflite_float16(given: Conversion) -> Converted:
    return tflite_float16(given.model, verbose=given.verbose)


def _tflite_dynamic(given: Conversion) -> Converted:
    return tflite_dynamic(given.model, verbose=given.verbose)


def _tflite_int8(given: Conversion, *, io: IoType = "int8") -> Converted:
    return tflite_int8(given.model, given.calibration_feed, io=io, verbose=given.verbose)


def _tflite_int16x8(given: Conversion) -> Converted:
    return tflite_int16x8(given.model, given.calibration_feed, verbose=given.verbose)


def _onnx_float32(given: Conversion) -> Converted:
    return float_file(given, "onnx")


def _onnx_float16(given: Conversion) -> Converted:
    return onnx_float16(_onnx_float32(given), model_name=given.model_name, verbose=given.verbose)


def _onnx_dynamic(given: Conversion) -> Converted:
    return onnx_dynamic(_onnx_float32(given), model_name=given.model_name, verbose=given.verbose)


def _onnx_int8(given: Conversion, *, io: IoType = "int8") -> Converted:
    return onnx_int8(
        _onnx_float32(given),
        given.calibration_feed,
        StaticQuantization(io=io, method=given.method, activations=given.activations),
        model_name=given.model_name,
        verbose=given.verbose,
    )


_TFLITE = (KNOWN_FORMATS["tflite"].package,)
_ONNX = ("tf2onnx", "onnx", KNOWN_FORMATS["onnx"].package)

TARGETS: Mapping[Key, Target] = {
    ("tflite", "none"): Target(convert=_tflite_float32, packages=_TFLITE),
    ("tflite", "fp16"): Target(convert=_tflite_float16, packages=_TFLITE),
    ("tflite", "dynamic"): Target(convert=_tflite_dynamic, packages=_TFLITE),
    ("tflite", "int8"): Target(convert=_tflite_int8, packages=_TFLITE),
    ("tflite", "int8-float-io"): Target(
        convert=partial(_tflite_int8, io="float32"), packages=_TFLITE
    ),
    ("tflite", "int8-uint8-io"): Target(
        convert=partial(_tflite_int8, io="uint8"), packages=_TFLITE
    ),
    ("tflite", "int16x8"): Target(
        convert=_tflite_int16x8,
        packages=_TFLITE,
        remark="no XNNPACK kernels for int16x8: many times slower than int8 on x86",
    ),
    ("onnx", "none"): Target(convert=_onnx_float32, packages=_ONNX),
    ("onnx", "fp16"): Target(
        convert=_onnx_float16,
        packages=_ONNX,
        remark="onnxruntime computes it in float32 on most CPUs: a smaller file, not a faster one",
    ),
    ("onnx", "dynamic"): Target(convert=_onnx_dynamic, packages=_ONNX),
    ("onnx", "int8"): Target(convert=_onnx_int8, packages=_ONNX),
    ("onnx", "int8-float-io"): Target(convert=partial(_onnx_int8, io="float32"), packages=_ONNX),
    ("onnx", "int8-uint8-io"): Target(convert=partial(_onnx_int8, io="uint8"), packages=_ONNX),
}
"""In the order of formats, then precisions, of ``recipe.RUNNABLE``."""
