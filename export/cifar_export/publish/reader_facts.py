"""What a card says, in the words that other tools' readers look for: TFLite Metadata, ONNX ``metadata_props``.

Pure data in, pure data out. A fact that a reader has no word for is left out, never bent: a mean and deviation that
are not the model's give wrong labels without a word.

Source: mediapipe/tasks/metadata/metadata_schema.fbs; onnx/docs/MetadataProps.md (Image.*);
docs.ultralytics.com/reference/engine/exporter (names, imgsz, task, stride, batch, channels).
"""

from collections.abc import Mapping
from typing import Any

from cifar_export.publish.tflite_metadata import TfliteMetadata
from cifar_runtime.contract import (
    ColourOrder,
    Contract,
    InputContract,
    OutputContract,
    contract_from_json,
)

# What WinML calls the real values that pixels 0 and 255 become.
_NOMINAL_RANGES: Mapping[tuple[float, float], str] = {
    (0.0, 255.0): "NominalRange_0_255",
    (0.0, 1.0): "Normalized_0_1",
    (-1.0, 1.0): "Normalized_1_1",
}
_PIXEL_FORMATS: Mapping[ColourOrder, str | None] = {"RGB": "Rgb8", "grey": "Gray8", "RGBA": None}
_DIGEST_DIGITS = 12


def tflite_metadata_of(document: Mapping[str, Any]) -> TfliteMetadata:
    """The metadata of the .tflite that carries a document.

    Raises:
        ArtefactError: the document's contract is damaged.
    """
    contract = contract_from_json(document["contract"])
    height, width, _ = contract.input.shape
    mean, std = normalization_of(contract.input)
    return TfliteMetadata(
        name=document["name"],
        description=f"Says which of {len(contract.labels)} labels hold of pictures."
        if contract.output.is_independent
        else f"Tells pictures of {len(contract.labels)} classes apart.",
        version=version_of(document),
        author=None,
        licence=document["licence"],
        size=(height, width),
        colour_order=contract.input.colour_order,
        input_description=_input_in_words(contract.input),
        mean=mean,
        std=std,
        output_description=_output_in_words(contract.output),
        output_range=None if contract.output.kind == "logits" else (0.0, 1.0),
        score_threshold=score_threshold_of(contract.output),
    )


def normalization_of(contract: InputContract) -> tuple[float, float]:
    """Mean and deviation such that (pixel - mean) / std is the real input, pixels 0..255."""
    return 0.0 - contract.offset / contract.multiplier, 1 / contract.multiplier


def score_threshold_of(contract: OutputContract) -> float | None:
    """The smallest score of a sure answer; None where the runtime's rule is no threshold on one score.

    Readers compare a score as the file gives it. Only a probability is compared with the contract's threshold so:
    logits, a temperature or the generalized entropy need all the scores.
    """
    if contract.is_independent:
        return contract.label_threshold
    is_one_score = (contract.kind, contract.abstention_score) == ("probabilities", "probability")
    if not is_one_score or contract.temperature not in (None, 1):
        return None
    return contract.abstention_threshold


def version_of(document: Mapping[str, Any]) -> str | None:
    """The version of a model: the first digits of its checkpoint's digest; None where the card names none."""
    checkpoint = (document.get("provenance") or {}).get("checkpoint")
    return None if checkpoint is None else f"checkpoint {checkpoint['sha256'][:_DIGEST_DIGITS]}"


def onnx_properties_of(document: Mapping[str, Any]) -> dict[str, str]:
    """The ``metadata_props`` of the .onnx that carries a document, beside ours.

    Raises:
        ArtefactError: the document's contract is damaged.
    """
    contract = contract_from_json(document["contract"])
    stated = {
        **_ultralytics_properties(contract),
        **_image_properties(contract.input),
        "description": f"{document['name']}: {_input_in_words(contract.input)} "
        f"{_output_in_words(contract.output)}",
        "version": version_of(document),
        "license": document["licence"],
    }
    return {key: value for key, value in stated.items() if value is not None}


def _ultralytics_properties(contract: Contract) -> dict[str, str]:
    height, width, channels = contract.input.shape
    return {
        "task": "classify",
        "names": repr(dict(enumerate(contract.labels))),
        "imgsz": repr([height, width]),
        "channels": str(channels),
        "stride": "1",
        "batch": "1",
    }


def _image_properties(contract: InputContract) -> dict[str, str | None]:
    lowest, highest = contract.offset, contract.offset + 255 * contract.multiplier
    if contract.dtype != "float32":
        # An integer input is read as it is: the pixel itself in uint8, nothing with a name in int8.
        lowest, highest = (0.0, 255.0) if contract.dtype == "uint8" else (-128.0, 127.0)
    ends = round(lowest, 6), round(highest, 6)
    return {
        "Image.BitmapPixelFormat": _PIXEL_FORMATS[contract.colour_order],
        "Image.ColorSpaceGamma": "SRGB",
        "Image.NominalPixelRange": _NOMINAL_RANGES.get(ends),
    }


def _input_in_words(contract: InputContract) -> str:
    height, width, _ = contract.shape
    rule = {
        "centre-crop": ": its centre, of the input's aspect ratio, resized to",
        "stretch": ": all of it, stretched to",
        "letterbox": ": all of it, scaled to fit between black bars in",
    }[contract.resize]
    name, _, without = contract.resize_filter.partition("-no-")
    aliasing = "not antialiased" if without else "antialiased"
    decoding = contract.jpeg_decoding_in_words
    return (
        f"{contract.colour_order} picture{rule} {width}x{height} ({name}, {aliasing})."
        f"{'' if decoding is None else f' {decoding}.'}"
    )


def _output_in_words(contract: OutputContract) -> str:
    if contract.kind == "logits":
        return "Logits: probabilities are their softmax."
    if contract.is_independent:
        return f"Independent probabilities: a label holds from {contract.label_threshold:g} on."
    return "Probabilities."
