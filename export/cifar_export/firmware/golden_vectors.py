"""The golden vectors as C: the images of the card, and the scores that this firmware must give for them, bit for bit.

The card's own scores are LiteRT's; kernels of another family differ from them by some steps, so decisions are compared.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cifar_export.firmware.c_text import numbers
from cifar_export.firmware.lowering.lower import Network
from cifar_export.firmware.simulate import trace
from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import ArtefactError
from cifar_runtime.golden import GoldenVectors
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.scores import dequantize

_INCLUDES = '#include "golden.h"\n'


def golden_inputs(artefact: Artefact, golden: GoldenVectors) -> NDArray[np.int8]:
    """The images as the model takes them: int8, shape (n, height, width, 3)."""
    table: NDArray[np.int8] = input_table(artefact.contract.input)
    return table[golden.images]


def compare_with_card(
    artefact: Artefact, golden: GoldenVectors, scores: NDArray[np.int8]
) -> tuple[int, float]:
    """How many golden decisions the firmware keeps, and the largest difference of a score, in real units.

    Args:
        artefact: the model.
        golden: its golden vectors.
        scores: int8, shape (n, num_classes).

    Raises:
        ArtefactError: fewer than half are kept. A network that survives its quantization badly loses some to another
            family of kernels; one that loses more is no use on a board.
    """
    found = dequantize(scores, artefact.contract.output)
    kept = int((found.argmax(axis=1) == golden.scores.argmax(axis=1)).sum())
    if 2 * kept < len(found):
        raise ArtefactError(
            f"{artefact.path}: the firmware keeps {kept} of {len(found)} golden decisions of LiteRT, "
            "expected half of them at least.",
            hint="The model is too sensitive to rounding: export it with --qat or with more calibration images.",
        )
    return kept, float(np.abs(found - golden.scores).max())


def golden_files(
    images: NDArray[np.uint8],
    scores: NDArray[np.int8],
    checksums: Sequence[tuple[int, int]] = (),
) -> dict[str, str]:
    """golden.h and golden.c.

    Args:
        images: uint8, shape (n, height, width, 3), 0..255.
        scores: int8, shape (n, num_classes).
        checksums: what :func:`operator_checksums` gives for the first image.
    """
    rows = images.reshape(len(images), -1)
    count, pixels, classes = len(rows), rows.shape[1], scores.shape[1]
    header = (
        "/* Golden vectors: images, 0..255, and the scores that the model must give for them. */\n"
        "#ifndef GOLDEN_H\n#define GOLDEN_H\n\n#include <stdint.h>\n\n"
        f"#define GOLDEN_COUNT {count}\n\n"
        f"extern const uint8_t golden_images[GOLDEN_COUNT][{pixels}];\n"
        f"extern const int8_t golden_scores[GOLDEN_COUNT][{classes}];\n"
        + _checksums(checksums)
        + "\n#endif\n"
    )
    source = (
        f"{_INCLUDES}\nconst uint8_t golden_images[GOLDEN_COUNT][{pixels}] = {{\n"
        + ",\n".join(numbers(row.tolist()) for row in rows)
        + f"}};\n\nconst int8_t golden_scores[GOLDEN_COUNT][{classes}] = {{\n"
        + ",\n".join(numbers(row.tolist()) for row in scores)
        + "};\n"
    )
    return {"golden.h": header, "golden.c": source}


def _checksums(checksums: Sequence[tuple[int, int]]) -> str:
    if not checksums:
        return ""
    tensors = ", ".join(str(tensor) for tensor, _ in checksums)
    values = ", ".join(f"{value}u" for _, value in checksums)
    return (
        "\n/* Of each operator the tensor in the .tflite file that it writes, and the CRC-32 of that for the first\n"
        " * image; only a build with -DMODEL_TRACE has them. */\n"
        "#ifdef MODEL_TRACE\n"
        f"static const int32_t golden_tensors[{len(checksums)}] = {{{tensors}}};\n"
        f"static const uint32_t golden_checksums[{len(checksums)}] = {{{values}}};\n#endif\n"
    )


def operator_checksums(network: Network, image: NDArray[np.int8]) -> tuple[tuple[int, int], ...]:
    """The tensor that each operator writes, and its CRC-32; of one that several write, after the last of them.

    Args:
        network: what to compute.
        image: int8, as the network's input expects it.
    """
    steps = trace(network, image.reshape(1, -1))
    return tuple(
        (operator.output, zlib.crc32(tensors[operator.output].tobytes()))
        for operator, tensors in steps
    )
