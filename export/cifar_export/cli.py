"""The command ``cifar-export``: parses, calls :func:`cifar_export.export.export`, prints."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from cifar_export.recipe import EvalSplit, ExportGateError, ExportRecipe, ExportResult, Quantize
from cifar_runtime.command import Parser, choice, execute, not_one_of, positive_int
from cifar_runtime.contract import ModelFormat
from cifar_runtime.errors import UsageError

PROGRAM = "cifar-export"
SCHEMA = "cifar-edge/export/1"
EXAMPLES = """\
  cifar-export -o models                                   # the shipped checkpoint as float32 TFLite
  cifar-export run/model.keras --quantize int8 -o models
  cifar-export run/model.keras --format tflite,onnx --quantize none,int8 -o models
"""
_STDOUT = "-"


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace; see :func:`recipe_from` for what the library takes."""
    parser = Parser(
        prog=PROGRAM,
        description="Convert a Keras checkpoint to TFLite or ONNX, compare it with Keras on real images, and "
        "publish it with its contract if it decides alike.",
        examples=EXAMPLES,
    )
    _add_model_arguments(parser)
    _add_calibration_arguments(parser)
    _add_gate_arguments(parser)
    _add_output_arguments(parser)
    return parser.parse_args(argv)


def recipe_from(options: argparse.Namespace, *, checkpoint: Path) -> ExportRecipe:
    """The recipe that the options describe."""
    return ExportRecipe(
        checkpoint=checkpoint,
        output=options.output,
        formats=options.format,
        quantize=options.quantize,
        calibration_samples=options.calibration_samples,
        calibration_data=options.calibration_data,
        seed=options.seed,
        max_accuracy_drop=options.max_accuracy_drop,
        min_agreement=options.min_agreement,
        eval_split=options.eval_split,
        force=options.force,
        verbose=options.verbose,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    return execute(PROGRAM, partial(_run, arguments), argv=arguments)


def _run(argv: Sequence[str]) -> int:
    options = parse(argv)
    from cifar_export.export import export
    from cifar_train import shipped

    recipe = recipe_from(options, checkpoint=options.checkpoint or shipped.checkpoint())
    try:
        results = export(recipe, progress=None if options.quiet else _say)
    except ExportGateError as error:
        if options.json is None:
            _print_lines(error.results)
        raise
    _report(results, options.json)
    return 0


def _report(results: tuple[ExportResult, ...], json_target: str | None) -> None:
    document = {"schema": SCHEMA, "artefacts": [result.to_json() for result in results]}
    text = json.dumps(document, indent=1) + "\n"
    if json_target == _STDOUT:
        sys.stdout.write(text)
        return
    if json_target is not None:
        _write(Path(json_target), text)
    _print_lines(results)


def _write(path: Path, text: str) -> None:
    from cifar_runtime.files import write_atomically

    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}.",
            hint="Give a file in a writable folder.",
        ) from error


def _print_lines(results: tuple[ExportResult, ...]) -> None:
    for result in results:
        sys.stdout.write(
            f"{result.path}  {result.size_bytes:,} bytes  top-1 {result.accuracy:.2%} "
            f"(drop {100 * result.accuracy_drop:.2f} points)  agreement {result.agreement:.2%}  "
            f"on {result.num_images:,} images of {result.split}  passed\n"
        )
    if results:
        sys.stdout.write(f"next: cifar-classify IMAGE -m {results[-1].path}\n")


def _say(what: str) -> None:
    sys.stderr.write(f"{PROGRAM}: {what}\n")


def _add_model_arguments(parser: Parser) -> None:
    parser.add_argument(
        "checkpoint",
        nargs="?",
        type=Path,
        metavar="CHECKPOINT",
        help="a .keras file (default: the shipped one)",
    )
    parser.add_argument(
        "-f",
        "--format",
        type=_several(get_args(ModelFormat)),
        default=("tflite",),
        metavar="tflite,onnx",
        help="one or more formats (default: tflite)",
    )
    parser.add_argument(
        "--quantize",
        type=_several(get_args(Quantize)),
        default=("none",),
        metavar="none,int8",
        help="one or more precisions (default: none, which is float32)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="the folder to publish into"
    )


def _add_calibration_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--calibration-samples",
        type=positive_int,
        default=512,
        metavar="N",
        help="images that set int8 ranges (default: 512, which come with the package)",
    )
    parser.add_argument(
        "--calibration-data",
        type=Path,
        metavar="DIR",
        help="a folder of such images, flat or one folder a class (default: CIFAR-10's train split)",
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="of the choice where there are more images than asked for (default: 0)",
    )


def _add_gate_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--max-accuracy-drop",
        type=share,
        default=0.005,
        metavar="0.5pp",
        help="largest loss against Keras, in points (default: 0.5pp)",
    )
    parser.add_argument(
        "--min-agreement",
        type=share,
        default=0.96,
        metavar="0.96",
        help="smallest share of int8 decisions equal to Keras' (default: 0.96; float32 always 0.999)",
    )
    parser.add_argument(
        "--eval-split",
        type=choice(get_args(EvalSplit)),
        default="auto",
        metavar="auto|test|test-sample",
        help="images to compare on (default: the test split when fetched, else the shipped 1,000)",
    )


def _add_output_arguments(parser: Parser) -> None:
    parser.add_argument("--force", action="store_true", help="replace a different artefact")
    parser.add_argument(
        "--json",
        nargs="?",
        const=_STDOUT,
        metavar="FILE",
        help="the result as JSON, to stdout without FILE",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show the converters' messages"
    )


def share(text: str) -> float:
    """A share from ``0.005``, ``0.5%`` or ``0.5pp`` (percentage points)."""
    number, divisor = text, 1.0
    for unit in ("pp", "%"):
        if text.endswith(unit):
            number, divisor = text.removesuffix(unit), 100.0
    try:
        value = float(number) / divisor
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a share such as 0.005, 0.5% or 0.5pp")
    return value


def _several(choices: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def parse_list(text: str) -> tuple[str, ...]:
        values = tuple(dict.fromkeys(text.split(",")))
        for value in values:
            if value not in choices:
                raise argparse.ArgumentTypeError(not_one_of(value, choices))
        return values

    return parse_list


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 up")
    return int(text)
