"""contract.h: shapes, labels, scales and preprocessing of a model, for whoever feeds it on a board. Text only."""

from cifar_export.firmware.c_text import comment, numbers, string
from cifar_runtime.artefact import Artefact
from cifar_runtime.contract import InputContract
from cifar_runtime.imaging.preprocess import input_table


def contract_header(artefact: Artefact) -> str:
    """contract.h of an int8 artefact."""
    contract = artefact.contract
    height, width, channels = contract.input.shape
    labels = ",\n".join(f"    {string(label)}" for label in contract.labels)
    table = numbers(input_table(contract.input).tolist())
    lines = [
        comment(_words(artefact)),
        "#ifndef CONTRACT_H\n#define CONTRACT_H\n\n#include <stdint.h>\n",
        f"#define CONTRACT_NAME {string(artefact.name)}",
        f"#define CONTRACT_SHA256 {string(artefact.sha256)}",
        f"#define CONTRACT_HEIGHT {height}",
        f"#define CONTRACT_WIDTH {width}",
        f"#define CONTRACT_CHANNELS {channels}",
        f"#define CONTRACT_NUM_LABELS {len(contract.labels)}\n",
        f"/* A score q stands for (q - ({contract.output.zero_point})) * scale. */",
        f"#define CONTRACT_OUTPUT_SCALE {_float(contract.output.scale)}",
        f"#define CONTRACT_OUTPUT_ZERO_POINT ({contract.output.zero_point})",
        *_confidence(artefact),
        f"\nstatic const char *const contract_labels[CONTRACT_NUM_LABELS] = {{\n{labels}}};\n",
        "/* The model's input for each pixel value 0..255. */",
        f"static const int8_t contract_input_table[256] = {table};\n",
        "#endif\n",
    ]
    return "\n".join(lines)


def _words(artefact: Artefact) -> str:
    given, output = artefact.contract.input, artefact.contract.output
    rule = (
        "the largest score is the answer; of equal ones the first."
        if output.temperature is None
        else "probabilities are softmax(log(p) / temperature) of the scores; the largest is the answer."
        if output.kind == "probabilities"
        else "probabilities are softmax(logits / temperature); the largest is the answer."
    )
    return "\n".join(
        (
            f"What {artefact.name} expects and returns; made from {artefact.path.name},",
            f"sha256 {artefact.sha256}.",
            "",
            *_decoding(given),
            *_resizing(given),
            f"{given.colour_order}, row by row, and look each up in contract_input_table. The table holds",
            f"round((pixel * {given.multiplier!r} + {given.offset!r}) / {given.scale!r}) + {given.zero_point},",
            "halves to even, held in -128..127.",
            f"Scores are {output.kind}: {rule}",
        )
    )


def _decoding(given: InputContract) -> list[str]:
    decoding = given.jpeg_decoding_in_words
    return [] if decoding is None else [f"{decoding} (libjpeg's scale_num, scale_denom)."]


def _resizing(given: InputContract) -> tuple[str, str]:
    height, width, _ = given.shape
    name, _, without = given.resize_filter.partition("-no-")
    how = f"({name}, {'not antialiased' if without else 'antialiased'}), order its bytes"
    if given.resize == "centre-crop":
        return (
            f"Preprocessing: cut out the largest centred part of the picture that is {width} by {height} in aspect,",
            f"resize it to {width} by {height} pixels {how}",
        )
    if given.resize == "stretch":
        return (
            "Preprocessing: take the whole picture, each side scaled by itself,",
            f"resize it to {width} by {height} pixels {how}",
        )
    return (
        f"Preprocessing: scale the whole picture to fit {width} by {height} pixels, centre it between black bars,",
        f"which are pixels 0 {how}",
    )


def _confidence(artefact: Artefact) -> list[str]:
    output = artefact.contract.output
    lines = []
    if output.temperature is not None:
        lines.append(f"#define CONTRACT_TEMPERATURE {_float(output.temperature)}")
    if output.abstention_threshold is not None:
        lines += [
            f"/* Below it an answer is unsure; compared with: {output.abstention_score}. */",
            f"#define CONTRACT_ABSTENTION_THRESHOLD {_float(output.abstention_threshold)}",
        ]
    return lines


def _float(value: float | None) -> str:
    """A C literal of type float, exact."""
    text = repr(float(value or 0.0))
    return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"
