"""Measures a checkpoint, its textbook int8 conversion and ours: ``python -m cifar_maintain.textbook``.

All three decide the same images. The textbook way is what tutorials show: ``tf.lite.TFLiteConverter`` with a
representative data set, integer builtins, int8 ends; both conversions see the same calibration images. The figures go
to ``benchmarks/reports/textbook.json``, from which ``cifar_maintain.readme`` draws a table of README; nothing here
is published.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cifar_eval.formatting import counted, markdown_rows, percent
from cifar_eval.intervals import wilson_interval
from cifar_runtime.commands.parser import Parser, choice, run_command, sentences_to_stderr
from cifar_runtime.commands.result_file import check_result_file, write_result_file
from cifar_runtime.errors import InputError, json_error_reason

if TYPE_CHECKING:
    from cifar_data.split import Split

TEXTBOOK_SCHEMA = "cifar-edge/textbook/1"
EvalSplit = Literal["test", "test-sample"]
_PROGRAM = "python -m cifar_maintain.textbook"
_EXAMPLES = """\
  python -m cifar_maintain.textbook                        # models/notebook.keras, on all 10,000 test images
  python -m cifar_maintain.textbook models/seed-cnn.keras --split test-sample --json -
"""
_FLOAT, _TEXTBOOK, _OURS = "keras", "textbook", "cifar-export"
_WAYS = {
    _FLOAT: "the Keras model, float32",
    _TEXTBOOK: "`tf.lite.TFLiteConverter`, int8",
    _OURS: "`cifar-export`, int8",
}
_HEADER = ("the same checkpoint", "top-1 % (95 % interval)", "decides as Keras %", "bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One model that was made of the checkpoint, or the checkpoint itself.

    Attributes:
        name: keras, textbook or cifar-export.
        data: the file's bytes.
        decisions: the class of every image, int64, shape (n,).
    """

    name: str
    data: bytes
    decisions: NDArray[np.int64]


def textbook_int8(checkpoint: Path, images: NDArray[np.uint8]) -> bytes:
    """A .tflite file of a checkpoint, made as tutorials make it: nothing is prepared before the converter.

    Args:
        checkpoint: a .keras file that takes pixels 0..255.
        images: calibration images, uint8, shape (n, height, width, 3), RGB.

    Source: ai.google.dev/edge/litert/models/post_training_integer_quant, "Convert using integer-only quantization".
    """
    import keras
    import tensorflow as tf

    from cifar_export.streams import quiet_conversion

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        for image in images:
            yield [image[np.newaxis].astype(np.float32)]

    converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model(checkpoint))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    with quiet_conversion():
        return bytes(converter.convert())


def int8_decisions(data: bytes, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """What an int8 .tflite file decides, int64, shape (n,), fed by the scale and zero point in the file.

    Args:
        data: the file.
        images: uint8, shape (n, height, width, 3), RGB.
    """
    from cifar_runtime.sessions.interpreters import import_litert

    interpreter = import_litert().Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero_point = taken["quantization"]

    def decide(image: NDArray[np.uint8]) -> int:
        whole = np.round(image.astype(np.float32) / scale) + zero_point
        interpreter.set_tensor(taken["index"], whole.clip(-128, 127).astype(np.int8)[np.newaxis])
        interpreter.invoke()
        return int(interpreter.get_tensor(given["index"])[0].argmax())

    return np.array([decide(image) for image in images], dtype=np.int64)


def measure(
    checkpoint: Path, split: EvalSplit, *, progress: Callable[[str], None]
) -> dict[str, Any]:
    """The three ways on one split, as a document of schema ``cifar-edge/textbook/1``.

    Raises:
        InputError: the checkpoint cannot be read, or CIFAR-10 was not fetched.
        CifarEdgeError: as :func:`cifar_export.export` raises.
    """
    from cifar_data.cifar10.splits import open_split
    from cifar_data.packaged import calibration_sample, test_sample

    images = test_sample() if split == "test-sample" else open_split("test")
    progress(f"Keras' decisions on {counted(len(images.labels), 'image')} of {split}")
    ways = [_keras(checkpoint, images)]
    progress("the textbook conversion")
    data = textbook_int8(checkpoint, np.asarray(calibration_sample().images))
    ways.append(Way(name=_TEXTBOOK, data=data, decisions=int8_decisions(data, images.images)))
    progress("cifar-export --quantize int8")
    ways.append(_exported(checkpoint, images, split))
    return _document(checkpoint, images, ways)


def textbook_table(text: str, *, origin: str) -> str:
    """README's table, with how it was measured under it and a last newline.

    Args:
        text: a document that :func:`measure` gave.
        origin: where it was read, for the message.

    Raises:
        InputError: it is no such document.
    """
    try:
        document = json.loads(text)
        rows = [_row(entry) for entry in document["models"]]
        name, seen = document["checkpoint"]["file"], document["split"]["num_images"]
    except (ValueError, KeyError, TypeError) as cause:
        raise InputError(
            f"{origin}: is no {TEXTBOOK_SCHEMA} document: {json_error_reason(cause)}.",
            hint=f"Measure again with {_PROGRAM}.",
        ) from cause
    caption = f"`models/{name}`, {seen:,} images of CIFAR-10's {document['split']['name']} split."
    return "\n".join([*markdown_rows(_HEADER, rows), "", f"{caption} Again: `{_PROGRAM}`."]) + "\n"


def _keras(checkpoint: Path, images: "Split") -> Way:
    from cifar_eval.models.opening import open_model

    scores = open_model(checkpoint, labels=images.label_names).scores(np.asarray(images.images))
    return Way(name=_FLOAT, data=checkpoint.read_bytes(), decisions=scores.argmax(axis=1))


def _exported(checkpoint: Path, images: "Split", split: EvalSplit) -> Way:
    from cifar_export.pipeline import export
    from cifar_export.recipe import EvaluationImages, ExportRecipe, PublishOptions, SourceRecipe

    with tempfile.TemporaryDirectory() as folder:
        recipe = ExportRecipe(
            source=SourceRecipe(checkpoint=checkpoint),
            publish=PublishOptions(output=Path(folder)),
            quantize=("int8",),
            evaluation=EvaluationImages(split=split),
        )
        (result,) = export(recipe)
        data = result.path.read_bytes()
    return Way(name=_OURS, data=data, decisions=int8_decisions(data, images.images))


def _document(checkpoint: Path, images: "Split", ways: Sequence[Way]) -> dict[str, Any]:
    from cifar_runtime.documents import to_document
    from cifar_runtime.environment import read_environment

    labels, reference = np.asarray(images.labels), ways[0].decisions
    return {
        "schema": TEXTBOOK_SCHEMA,
        "environment": to_document(read_environment()),
        "checkpoint": {"file": checkpoint.name, "sha256": _sha256(ways[0].data)},
        "split": {"name": images.name, "num_images": len(labels)},
        "models": [
            {
                "name": way.name,
                "size_bytes": len(way.data),
                "sha256": _sha256(way.data),
                "correct": int((way.decisions == labels).sum()),
                "agreeing": int((way.decisions == reference).sum()),
                "seen": len(labels),
            }
            for way in ways
        ],
    }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _row(entry: dict[str, Any]) -> list[str]:
    correct, seen = entry["correct"], entry["seen"]
    low, high = wilson_interval(correct, seen)
    return [
        _WAYS[entry["name"]],
        f"{percent(correct / seen)} ({percent(low)} to {percent(high)})",
        "-" if entry["name"] == _FLOAT else percent(entry["agreeing"] / seen),
        f"{entry['size_bytes']:,}",
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace.

    Raises:
        UsageError: it makes no sense.
    """
    parser = Parser(
        prog=_PROGRAM,
        description="Measure a checkpoint, its textbook int8 conversion and cifar-export's on the same images.",
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add("checkpoint", nargs="?", type=Path, default=Path("models/notebook.keras"), metavar="FILE")
    add("--split", type=choice(get_args(EvalSplit)), default="test", metavar="test|test-sample")
    add("--json", default="benchmarks/reports/textbook.json", metavar="FILE", help="the report")
    options = parser.parse_args(argv)
    check_result_file("--json", options.json, suffix=".json", program=_PROGRAM, operands="FILE")
    return options


def _run(argv: Sequence[str]) -> int:
    options = parse(argv)
    document = measure(options.checkpoint, options.split, progress=sentences_to_stderr(_PROGRAM))
    text = json.dumps(document, indent=1) + "\n"
    if options.json == "-":
        sys.stdout.write(text)
        return 0
    write_result_file(options.json, text)
    sys.stdout.write(textbook_table(text, origin=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())
