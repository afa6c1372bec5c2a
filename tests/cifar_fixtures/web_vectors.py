"""What the page's JavaScript must compute, from the Python runtime, NumPy and Pillow."""

import base64
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cifar_runtime.classifier import prediction_from_probabilities
from cifar_runtime.contract import (
    InputContract,
    OutputContract,
    Resize,
    ResizeFilter,
    pixel_contract,
)
from cifar_runtime.golden_images import on_grid, pack_images
from cifar_runtime.imaging.preprocess import centre_box, fit_picture, input_table
from cifar_runtime.scores import (
    certainties_from_probabilities,
    dequantize,
    probabilities_from_scores,
)

FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
FITTED: tuple[ResizeFilter, ...] = ("bilinear-no-antialias", "bicubic")
_SIZES = (
    *(((1, 1), (32, 32)), ((7, 5), (32, 32)), ((33, 31), (32, 32)), ((32, 100), (32, 32))),
    *(
        ((100, 32), (32, 32)),
        ((640, 480), (32, 32)),
        ((641, 479), (224, 160)),
        ((32, 32), (32, 32)),
    ),
    # Pillow takes the rows first where a picture loses more than twice as many of them as columns.
    *(((3, 999), (17, 5)), ((64, 96), (32, 32)), ((64, 97), (32, 32)), ((20, 65), (32, 64))),
)
_MEAN = {"multiplier": 1 / 64, "offset": -2.0}
_INPUTS = (
    {"dtype": "float32", "multiplier": 1 / 255, "offset": 0.0, "scale": None, "zero_point": None},
    {"dtype": "int8", **_MEAN, "scale": 1 / 64, "zero_point": 0},
    {
        "dtype": "int8",
        "multiplier": 1 / 127.5,
        "offset": -1.0,
        "scale": 0.0078431,
        "zero_point": -1,
    },
    {"dtype": "uint8", "multiplier": 1.0, "offset": 0.0, "scale": 2.0, "zero_point": 3},  # halves
)
_LOGITS = {"kind": "logits", "dtype": "int8", "scale": 0.14, "zero_point": -68}
_PROBABILITIES = {"kind": "probabilities", "dtype": "uint8", "scale": 1 / 256, "zero_point": 0}
_FLOATS = {"kind": "logits", "dtype": "float32", "scale": None, "zero_point": None}
_ENTROPY: dict[str, Any] = {
    "abstention_threshold": 0.31,
    "abstention_score": "generalized-entropy",
}
_OUTPUTS: tuple[dict[str, Any], ...] = (
    {**_LOGITS, "temperature": 1.284, **_ENTROPY},
    {**_LOGITS, "temperature": None, **_ENTROPY},
    {**_LOGITS, "temperature": 0.5, "abstention_threshold": 0.6},
    {**_PROBABILITIES, "temperature": 1.7, **_ENTROPY},
    {**_PROBABILITIES, "temperature": None, **_ENTROPY},
    {**_PROBABILITIES, "temperature": None},
    {**_FLOATS, "temperature": 1.284, "abstention_threshold": 0.5},
)


def vectors() -> dict[str, Any]:
    """Everything that the unit tests compare with, JSON-ready."""
    return {
        "resize": [_resized(filter_name, *pair) for filter_name in FILTERS for pair in _SIZES],
        "boxes": _boxes(),
        "tables": [_table(changes) for changes in _INPUTS],
        "predictions": [_prediction(changes, seed) for changes in _OUTPUTS for seed in range(6)],
        "fitted": [
            _fitted(rule, name, *pair)
            for rule, names in (("stretch", FITTED[:1]), ("letterbox", FITTED))
            for name in names
            for pair in _SIZES
        ],
        "over_white": _over_white(),
        "golden": [_golden((32, 32), (32, 32)), _golden((7, 9), (3, 4))],
    }


def _resized(filter_name: str, size: tuple[int, int], target: tuple[int, int]) -> dict[str, Any]:
    random = np.random.default_rng(sum(size) + sum(target))
    pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    # Black beside white makes the filters overshoot.
    pixels[: size[1] // 2] = np.where(pixels[: size[1] // 2] > 127, 255, 0)
    resampling = Image.Resampling[filter_name.upper()]
    resized = np.asarray(Image.fromarray(pixels).resize(target, resampling))
    return {
        "filter": filter_name,
        "from": size,
        "to": target,
        "pixels": _text(pixels),
        "resized": _text(resized),
    }


def _fitted(
    rule: Resize, name: ResizeFilter, size: tuple[int, int], target: tuple[int, int]
) -> dict[str, Any]:
    contract = pixel_contract((target[1], target[0], 3), name, rule)
    random = np.random.default_rng(sum(size))
    pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    fitted = fit_picture(Image.fromarray(pixels), contract)
    return {
        "contract": asdict(contract),
        "from": size,
        "pixels": _text(pixels),
        "fitted": _text(fitted),
    }


def _boxes() -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    cases = [tuple(int(side) for side in row) for row in random.integers(1, 400, (200, 4))]
    return [
        {"size": case[:2], "aspect": case[2:], "box": centre_box(case[:2], case[2:])}
        for case in cases
    ]


def _table(changes: dict[str, Any]) -> dict[str, Any]:
    contract = InputContract(shape=(32, 32, 3), resize_filter="bicubic", **changes)
    return {"contract": asdict(contract), "table": input_table(contract).astype(float).tolist()}


def _prediction(changes: dict[str, Any], seed: int) -> dict[str, Any]:
    contract = OutputContract(**changes)
    raw = _raw_scores(contract, np.random.default_rng(seed))
    scores = dequantize(raw[np.newaxis], contract)
    probabilities = probabilities_from_scores(scores, contract)
    (certainty,) = certainties_from_probabilities(probabilities, contract)
    labels = tuple(f"label {index}" for index in range(len(raw)))
    threshold = contract.abstention_threshold
    prediction = prediction_from_probabilities(
        probabilities[0], labels, abstained=threshold is not None and bool(certainty < threshold)
    )
    return {
        "contract": asdict(contract),
        "raw": raw.astype(float).tolist(),
        "labels": labels,
        "scores": scores[0].astype(float).tolist(),
        "certainty": float(certainty),
        "prediction": asdict(prediction),
    }


def _raw_scores(contract: OutputContract, random: np.random.Generator) -> NDArray[Any]:
    if contract.dtype == "float32":
        return random.normal(0, 3, 10).astype(np.float32)
    limits = np.iinfo(contract.dtype)
    raw = random.integers(limits.min, limits.max + 1, 10).astype(contract.dtype)
    raw[4] = raw[2] = raw.max()  # of equal ones the first wins
    raw[7] = 0
    return raw


def _over_white() -> dict[str, str]:
    """Every level under every alpha."""
    level, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    rgba = np.stack([level, 255 - level, level // 2, alpha], axis=2)
    white = Image.new("RGBA", (256, 256), (255, 255, 255, 255))
    laid = Image.alpha_composite(white, Image.fromarray(rgba)).convert("RGB")
    return {"rgba": _text(rgba), "rgb": _text(np.asarray(laid))}


def _golden(size: tuple[int, int], grid: tuple[int, int]) -> dict[str, Any]:
    cells = np.random.default_rng(3).integers(0, 256, (2, *grid, 3), dtype=np.uint8)
    images = on_grid(cells, size)
    golden = {"shape": [*size, 3], "images": pack_images(images, grid)}
    return {"golden": golden, "images": [_text(image) for image in images]}


def _text(pixels: NDArray[np.uint8]) -> str:
    return base64.b64encode(pixels.tobytes()).decode()
