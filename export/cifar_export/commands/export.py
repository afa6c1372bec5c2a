"""The command ``cifar-export``: parses, calls :func:`cifar_export.pipeline.export`, prints."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from cifar_export.recipe import (
    ALIASES,
    DELIVERED_FROM,
    IO_PRECISIONS,
    MAX_LEARNING_RATE,
    RUNNABLE,
    Accelerator,
    CalibrationMethod,
    CalibrationRecipe,
    ConfidenceRecipe,
    Delivery,
    EvalSplit,
    EvaluationImages,
    ExportRecipe,
    GateRecipe,
    InputRange,
    OnnxActivations,
    PublishOptions,
    QatBackend,
    QatRecipe,
    Quantize,
    RepairRecipe,
    RobustnessRecipe,
    SourceRecipe,
)
from cifar_export.result import ExportFailure, ExportResult, PartialExportError
from cifar_runtime.commands.config_file import (
    add_config_option,
    choices_as_toml,
    parse_with_config,
)
from cifar_runtime.commands.options import (
    add_document_option,
    add_eval_data_option,
    add_quiet_option,
    add_seed_option,
    add_verbose_option,
    picture_size,
)
from cifar_runtime.commands.parser import (
    Parser,
    SomeOf,
    choice,
    positive_int,
    run_command,
    sentences_to_stderr,
    share,
)
from cifar_runtime.commands.progress import progress_line
from cifar_runtime.commands.result_file import STDOUT, check_result_file, write_document
from cifar_runtime.contract import JpegDecoding, Resize, ResizeFilter, ScoreKind
from cifar_runtime.errors import CifarEdgeError, UsageError
from cifar_runtime.formats.known_formats import ModelFormat
from cifar_runtime.plain_text import printable_lines

if TYPE_CHECKING:
    from cifar_export.planning import PlannedArtefact

PROGRAM = "cifar-export"
SCHEMA = "cifar-edge/export/1"
PLAN_SCHEMA = "cifar-edge/export-plan/1"
EXAMPLES = """\
  cifar-export                                             # the shipped checkpoint as int8 TFLite, in exported/
  cifar-export run/model.keras -o models
  cifar-export run/model.keras --format tflite,onnx --quantize none,int8 --dry-run
  cifar-export run/model.keras --qat
  cifar-export mine.keras --eval-data pictures             # class folders; or train/ and test/ with these
  cifar-export --config export.toml                        # --dry-run prints such a file
  cifar-export mine.keras --labels labels.txt --input-range -1..1 --calibration-data train --eval-data test
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace; see :func:`recipe_from` for what the library takes."""
    options = parse_with_config(_parser(), _with_range_attached(argv))
    check_result_file(
        "--json", options.json, suffix=".json", program=PROGRAM, operands="CHECKPOINT"
    )
    return options


def _parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        description="Convert a Keras checkpoint to TFLite or ONNX, compare it with Keras on real images, and "
        "publish it with its contract if it decides alike.",
        examples=EXAMPLES,
    )
    _add_model_arguments(parser)
    _add_calibration_arguments(parser)
    _add_qat_arguments(parser)
    _add_repair_arguments(parser)
    _add_gate_arguments(parser)
    _add_evidence_arguments(parser)
    _add_output_arguments(parser)
    return parser


def _with_range_attached(argv: Sequence[str]) -> list[str]:
    """The arguments with ``--input-range -1..1`` as one of them: alone, -1..1 is read as a flag."""
    attached: list[str] = []
    for argument in argv:
        if argument.startswith("-1") and attached[-1:] == ["--input-range"]:
            attached[-1] += f"={argument}"
        else:
            attached.append(argument)
    return attached


def recipe_from(options: argparse.Namespace, *, checkpoint: Path) -> ExportRecipe:
    """The recipe that the options describe."""
    return ExportRecipe(
        source=SourceRecipe(
            checkpoint=checkpoint,
            contract=options.contract,
            labels=options.labels,
            input_range=options.input_range,
            output_kind=options.output_kind,
            resize_filter=options.resize_filter,
            resize=options.resize,
            jpeg_decoding=options.jpeg_decoding,
            input_size=options.input_size,
            output_name=options.output_name,
            custom_objects=options.custom_objects,
            label_threshold=options.label_threshold,
        ),
        publish=PublishOptions(
            output=options.output,
            force=options.force,
            deliveries=_deliveries(options.format),
            golden=options.golden,
            accelerator=_accelerator_from(options),
        ),
        formats=_model_formats(options.format),
        quantize=_with_io(options.quantize, options.io),
        calibration=CalibrationRecipe(
            samples=options.calibration_samples,
            data=options.calibration_data,
            method=options.calibration_method,
            seed=options.seed,
        ),
        qat=_qat_from(options),
        gate=GateRecipe(
            max_accuracy_drop=options.max_accuracy_drop,
            min_agreement=options.min_agreement,
            min_accuracy=options.min_accuracy,
        ),
        evaluation=EvaluationImages(split=options.eval_split, data=options.eval_data),
        confidence=_confidence_from(options),
        robustness=options.robustness,
        onnx_activations=options.onnx_activations,
        repair=_repair_from(options),
        verbose=options.verbose,
    )


def _repair_from(options: argparse.Namespace) -> RepairRecipe | None:
    if options.repair:
        return (
            RepairRecipe()
            if options.repair_budget is None
            else RepairRecipe(budget=options.repair_budget)
        )
    if options.repair_budget is not None:
        raise UsageError(
            f"{PROGRAM}: --repair-budget without --repair repairs nothing.", hint="Add --repair."
        )
    return None


def _deliveries(formats: tuple[str, ...]) -> tuple[Delivery, ...]:
    return tuple(name for name in get_args(Delivery) if name in formats)


def _accelerator_from(options: argparse.Namespace) -> Accelerator:
    """What Vela compiles for.

    Raises:
        UsageError: an accelerator without --format vela.
    """
    if options.accelerator is None:
        return PublishOptions(output=options.output).accelerator
    if "vela" not in options.format:
        raise UsageError(
            f"{PROGRAM}: --accelerator {options.accelerator} without --format vela compiles nothing.",
            hint="Add vela to --format.",
        )
    accelerator: Accelerator = options.accelerator
    return accelerator


def _model_formats(formats: tuple[str, ...]) -> tuple[ModelFormat, ...]:
    """The formats of models among those given, and those that deliveries are made of."""
    needed = {DELIVERED_FROM[delivery][0] for delivery in _deliveries(formats)}
    given = [name for name in RUNNABLE if name in formats]
    order = sorted(given, key=formats.index)
    return (*order, *(name for name in RUNNABLE if name in needed and name not in given))


def _with_io(precisions: tuple[Quantize, ...], io: str | None) -> tuple[Quantize, ...]:
    """The precisions, int8 replaced by the one with the wanted ends.

    Raises:
        UsageError: there is no int8 among them.
    """
    if io is None:
        return precisions
    if "int8" not in precisions:
        raise UsageError(
            f"{PROGRAM}: --io {io} with --quantize {','.join(precisions)}: it says what int8 files take and give.",
            hint="Give --quantize int8, or leave --io out.",
        )
    return tuple(IO_PRECISIONS[io] if one == "int8" else one for one in precisions)


def _qat_from(options: argparse.Namespace) -> QatRecipe | None:
    stated = {
        field: getattr(options, f"qat_{field}")
        for field in QatRecipe.__dataclass_fields__
        if getattr(options, f"qat_{field}") is not None
    }
    if not options.qat:
        if stated:
            flag = f"--qat-{next(iter(stated)).replace('_', '-')}"
            raise UsageError(f"{PROGRAM}: {flag} without --qat trains nothing.", hint="Add --qat.")
        return None
    return QatRecipe(**stated)


def _confidence_from(options: argparse.Namespace) -> ConfidenceRecipe | None:
    stated = {"coverage": options.coverage, "data": options.confidence_data}
    chosen = {name: value for name, value in stated.items() if value is not None}
    if options.confidence:
        return ConfidenceRecipe(**chosen)
    if chosen:
        flag = "--coverage" if "coverage" in chosen else "--confidence-data"
        raise UsageError(
            f"{PROGRAM}: {flag} without --confidence fits nothing.", hint="Add --confidence."
        )
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(PROGRAM, _run, argv)


def _run(argv: Sequence[str]) -> int:
    options = parse(argv)
    from cifar_data import packaged

    recipe = recipe_from(options, checkpoint=options.checkpoint or packaged.checkpoint())
    if options.sign is not None:
        from cifar_runtime.inspection.signature import check_key

        check_key(options.sign)
    progress = progress_line(PROGRAM, quiet=options.quiet)
    if options.dry_run:
        from cifar_export.planning import plan

        _report_plan(plan(recipe, progress=progress), argv, options.json)
        return 0
    from cifar_export.pipeline import export

    try:
        results = export(recipe, progress=progress)
    except PartialExportError as error:
        if options.json is None:
            sys.stdout.write(printable_lines(_lines(error.results)))
            raise
        _report(error.results, options.json, failures=error.failures, error=error)
        if options.json != STDOUT:
            sentences_to_stderr(PROGRAM)(str(error))
        return error.exit_code
    if options.check_reproducible:
        from cifar_export.reproduce import check_reproducible

        check_reproducible(recipe, results, progress=progress)
        results = tuple(replace(result, reproducible=True) for result in results)
    if options.card_dir is not None:
        from cifar_export.publish.hugging_face import write_repository

        write_repository([result.path for result in results], options.card_dir)
    if options.sign is not None:
        from cifar_export.publish.sign import sign_artefact

        for result in results:
            sign_artefact(result.path, options.sign)
    _report(results, options.json)
    return 0


def _report_plan(
    planned: "tuple[PlannedArtefact, ...]", argv: Sequence[str], json_target: str | None
) -> None:
    document = {"schema": PLAN_SCHEMA, "artefacts": [artefact.to_json() for artefact in planned]}
    if not _put_json(document, json_target):
        for artefact in planned:
            sys.stdout.write(printable_lines(_plan_lines(artefact)))
        if chosen := choices_as_toml(_parser(), _with_range_attached(argv)):
            sys.stdout.write(f"\nthe same as a file for --config:\n{chosen}")


def _plan_lines(artefact: "PlannedArtefact") -> list[str]:
    floor = artefact.min_accuracy
    facts = {
        "takes": artefact.takes,
        "gives": artefact.gives,
        "training": artefact.training,
        "calibration": artefact.calibration,
        "confidence": artefact.confidence,
        "robustness": artefact.robustness,
        "gate": f"drop <= {100 * artefact.max_accuracy_drop:g} points, "
        f"agreement >= {artefact.min_agreement:.1%}"
        f"{'' if floor is None else f', top-1 >= {floor:.1%}'}",
    }
    lines = [f"  {name:<12} {fact}" for name, fact in facts.items() if fact is not None]
    return [f"{artefact.path}{' (exists)' if artefact.exists else ''}", *lines]


def _report(
    results: tuple[ExportResult, ...],
    json_target: str | None,
    *,
    failures: tuple[ExportFailure, ...] = (),
    error: CifarEdgeError | None = None,
) -> None:
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "artefacts": [result.to_json() for result in results],
    }
    if error is not None:
        document["failures"] = [failure.to_json() for failure in failures]
        document["error"] = error.to_json()
    if not _put_json(document, json_target):
        sys.stdout.write(printable_lines(_lines(results)))


def _put_json(document: dict[str, Any], target: str | None) -> bool:
    """Writes the document where it was asked for, and says whether stdout now holds it."""
    if target is not None:
        write_document(target, json.dumps(document, indent=1) + "\n")
    return target == STDOUT


def _lines(results: tuple[ExportResult, ...]) -> Iterator[str]:
    for result in results:
        yield (
            f"{result.path}  {result.size_bytes:,} bytes  {result.measure} {result.accuracy:.2%} "
            f"(drop {100 * result.accuracy_drop:.2f} points)  agreement {result.agreement:.2%}  "
            f"on {result.num_images:,} images of {result.split}  passed"
            f"{'  reproducible' if result.reproducible else ''}"
        )
        for remark in result.remarks:
            yield f"  note: {remark}"
    if results:
        yield f"next: cifar-classify IMAGE -m {results[-1].path}"


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
        type=SomeOf((*RUNNABLE, *get_args(Delivery))),
        default=("tflite",),
        metavar="tflite,onnx",
        help="one or more of tflite, onnx, and made of the int8 file, in a folder beside it: c (C99 without an "
        "interpreter), tflm (files for TensorFlow Lite Micro), vela (compiled for an Ethos-U), web (a page for a "
        "browser) (default: tflite)",
    )
    parser.add_argument(
        "--accelerator",
        type=choice(get_args(Accelerator)),
        metavar="ethos-u55-128",
        help="what vela compiles for: ethos-u55-32, -64, -128, -256, ethos-u65-256, -512, ethos-u85-128 to -2048 "
        "(default: ethos-u55-128)",
    )
    parser.add_argument(
        "--quantize",
        type=SomeOf(get_args(Quantize), aliases=ALIASES),
        default=("int8",),
        metavar="none,int8",
        help="one or more of none, fp16, dynamic, int8, int8-float-io, int8-uint8-io, int16x8 (tflite only); 8 "
        "and w8a8 are int8, w8a16 is int16x8, w8a32 is dynamic (default: int8; none is float32)",
    )
    parser.add_argument(
        "--io",
        type=choice(tuple(IO_PRECISIONS)),
        metavar="TYPE",
        help=f"what an int8 file takes and gives: {', '.join(IO_PRECISIONS)} (default: int8)",
    )
    parser.add_argument(
        "--contract",
        metavar="NAME|FILE",
        help="what states the checkpoint's input mapping, resize filter and labels at once: cifar10-raw255, "
        "cifar10-unit, or a .json file (instead of --labels, --input-range and --resize-filter)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="class names, one a line, in the order of the scores (default: those of --eval-data, sorted as Keras "
        "does, else CIFAR-10's)",
    )
    parser.add_argument(
        "--input-range",
        type=choice(get_args(InputRange)),
        metavar="0..255|0..1|-1..1|torch|caffe",
        help="what the checkpoint takes for pixels 0 to 255; torch and caffe are what keras.applications call so: "
        "ImageNet's mean and deviation of 0..1, and its mean of 0..255 in BGR (default: 0..255)",
    )
    parser.add_argument(
        "--output-kind",
        type=choice(get_args(ScoreKind)),
        metavar="probabilities|logits",
        help="add a final softmax, or strip it; independent-probabilities adds a sigmoid, for labels of which any "
        "number may hold (default: what the checkpoint returns)",
    )
    parser.add_argument(
        "--label-threshold",
        type=share,
        metavar="SHARE",
        help="smallest independent probability of a label that holds (default: 0.5)",
    )
    parser.add_argument(
        "--input-size",
        type=picture_size,
        metavar="N|HxW",
        help="pixels of a picture, height first, for a checkpoint that takes any size (default: what it takes)",
    )
    parser.add_argument(
        "--output-name",
        metavar="NAME",
        help="which output the scores are, where the checkpoint has several (default: the only one)",
    )
    parser.add_argument(
        "--custom-objects",
        metavar="MODULE:NAME",
        help="a layer or function that the checkpoint needs and Keras lacks, several with commas between them; this "
        "runs the module's code",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("exported"),
        metavar="DIR",
        help="the folder to publish into (default: exported)",
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
        help="a folder of such images, flat or one folder a class (default: CIFAR-10's train split; for other images, "
        "train beside or in --eval-data, else one half of that, by content)",
    )
    parser.add_argument(
        "--calibration-method",
        type=choice(get_args(CalibrationMethod)),
        default="minmax",
        metavar="minmax|percentile|entropy",
        help="how observed values become ranges; tflite has minmax only (default: minmax)",
    )
    parser.add_argument(
        "--onnx-activations",
        type=choice(get_args(OnnxActivations)),
        default="auto",
        metavar="auto|uint8|int8",
        help="what int8 ONNX models compute with between their layers; auto: uint8, which onnxruntime runs about twice "
        "as fast on x86, and int8 where the gate is missed with it (default: auto)",
    )
    add_seed_option(parser, "the choice where there are more images than asked for, and of --qat")


def _add_qat_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--qat",
        action="store_true",
        help="train int8 models on CIFAR-10's train split (with --eval-data: on the calibration images) to decide like "
        "the checkpoint, then convert",
    )
    parser.add_argument(
        "--qat-backend",
        type=choice(get_args(QatBackend)),
        metavar="keras|tfmot",
        help="what simulates int8 while training (default: keras)",
    )
    parser.add_argument(
        "--qat-steps",
        type=positive_int,
        metavar="N",
        help=f"batches to train on (default: {QatRecipe().steps})",
    )
    parser.add_argument(
        "--qat-learning-rate",
        type=_learning_rate,
        metavar="RATE",
        help="largest step, as a share of a channel's weights, at most 1 "
        f"(default: {QatRecipe().learning_rate:g})",
    )
    parser.add_argument(
        "--qat-batch-size",
        type=positive_int,
        metavar="N",
        help=f"images a step (default: {QatRecipe().batch_size})",
    )


def _add_repair_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--repair",
        action="store_true",
        help="where an int8 file misses its gate, move the operators that cost most decisions to float32",
    )
    parser.add_argument(
        "--repair-budget",
        type=share,
        metavar="10%",
        help="largest share of the multiply-accumulates that may be (default: 10%%)",
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
        metavar="0.97",
        help="smallest share of decisions equal to Keras' (default: 0.97; none 0.999, fp16 0.998)",
    )
    parser.add_argument(
        "--min-accuracy",
        type=share,
        metavar="65%",
        help="smallest top-1 accuracy of an artefact (default: none)",
    )
    parser.add_argument(
        "--eval-split",
        type=choice(get_args(EvalSplit)),
        default="auto",
        metavar="auto|test|test-sample",
        help="images to compare on (default: the test split when fetched, else the shipped 1,000)",
    )
    add_eval_data_option(parser, or_table=True)
    parser.add_argument(
        "--resize-filter",
        type=choice(get_args(ResizeFilter)),
        metavar="|".join(get_args(ResizeFilter)),
        help="how the runtime will scale pictures to the input's size; the last as Keras does (default: bicubic)",
    )
    parser.add_argument(
        "--resize",
        type=choice(get_args(Resize)),
        metavar="|".join(get_args(Resize)),
        help="how pictures get the input's aspect ratio: cut, stretched or between black bars, as in training; what "
        "fits the pictures of --eval-data clearly better is named (default: centre-crop)",
    )
    parser.add_argument(
        "--jpeg-decoding",
        type=choice(get_args(JpegDecoding)),
        metavar="|".join(get_args(JpegDecoding)),
        help="how the runtime will decode JPEGs: in full, or at the smallest scale that leaves both sides at least "
        "four times the input's, several times as fast (default: as in training, which is full where it is not known)",
    )


def _add_evidence_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--confidence",
        action="store_true",
        help="fit a temperature and a threshold for 'unsure' on the artefact's own scores of the validation split, "
        "and measure both (needs cifar-data fetch; a run of cifar-train --data does so by itself)",
    )
    parser.add_argument(
        "--coverage",
        type=share,
        metavar="0.95",
        help="share of those images that keep an answer (default: 95%%)",
    )
    parser.add_argument(
        "--confidence-data",
        type=Path,
        metavar="DIR",
        help="fit on this folder instead: one folder a class, no image of --eval-data",
    )
    parser.add_argument(
        "--robustness",
        type=_robustness,
        metavar="N|sample",
        help="measure under noise, blur, contrast, brightness, JPEG and shift, for the card: on N images of the "
        "validation split (or of --eval-data), or on the packaged sample",
    )


def _add_output_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be made, and write nothing"
    )
    parser.add_argument(
        "--check-reproducible",
        action="store_true",
        help="export again in another process with another hash seed, and compare the bytes",
    )
    parser.add_argument("--force", action="store_true", help="replace a different artefact")
    parser.add_argument(
        "--golden",
        type=positive_int,
        metavar="N",
        help="golden vectors for the self-test, of whole pictures (default: 8, coarse where the file would become "
        "larger than its weights, a tenth of them and 32 KiB)",
    )
    parser.add_argument(
        "--card-dir",
        type=Path,
        metavar="DIR",
        help="write a repository for Hugging Face too: model card, labels, models; nothing is uploaded",
    )
    parser.add_argument(
        "--sign",
        type=Path,
        metavar="KEY.pem",
        help="sign each artefact, its card and the gate's verdict with a private key of an elliptic curve, offline",
    )
    add_document_option(parser, "--json", "the result as JSON")
    add_config_option(parser)
    add_quiet_option(parser)
    add_verbose_option(parser, "the converters' messages, int8's worst layers")


def _learning_rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MAX_LEARNING_RATE:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a number above zero and of at most {MAX_LEARNING_RATE:g}"
        )
    return value


def _robustness(text: str) -> RobustnessRecipe:
    if text == "sample":
        return RobustnessRecipe(images=None)
    try:
        return RobustnessRecipe(images=positive_int(text))
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor 'sample'") from error
