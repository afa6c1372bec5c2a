"""What one export is asked to do: frozen data, a part a stage, importable without numpy."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from cifar_eval.parity.limits import Limits
from cifar_runtime.contract import JpegDecoding, Resize, ResizeFilter, ScoreKind
from cifar_runtime.errors import UsageError, not_one_of
from cifar_runtime.formats.known_formats import ModelFormat

Quantize = Literal["none", "fp16", "dynamic", "int8", "int8-float-io", "int8-uint8-io", "int16x8"]
Delivery = Literal["c", "tflm", "vela", "web"]
Accelerator = Literal[
    "ethos-u55-32",
    "ethos-u55-64",
    "ethos-u55-128",
    "ethos-u55-256",
    "ethos-u65-256",
    "ethos-u65-512",
    "ethos-u85-128",
    "ethos-u85-256",
    "ethos-u85-512",
    "ethos-u85-1024",
    "ethos-u85-2048",
]
EvalSplit = Literal["auto", "test", "test-sample"]
CalibrationMethod = Literal["minmax", "percentile", "entropy"]
Activations = Literal["uint8", "int8"]
OnnxActivations = Literal["auto", "uint8", "int8"]
InputRange = Literal["0..255", "0..1", "-1..1", "torch", "caffe"]
QatBackend = Literal["keras", "tfmot"]

# Other tools' words: weights of 8 bits, activations of 8, 16 or 32.
ALIASES: Mapping[str, Quantize] = {
    "8": "int8",
    "w8a8": "int8",
    "w8a16": "int16x8",
    "w8a32": "dynamic",
}
RUNNABLE: Mapping[ModelFormat, tuple[Quantize, ...]] = {
    "tflite": get_args(Quantize),
    "onnx": ("none", "fp16", "dynamic", "int8", "int8-float-io", "int8-uint8-io"),
}
TRAINABLE: tuple[Quantize, ...] = ("int8", "int8-float-io", "int8-uint8-io")
CALIBRATED: tuple[Quantize, ...] = (*TRAINABLE, "int16x8")
# What the input and the output are where they are no floats.
INTEGER_IO: Mapping[Quantize, Literal["int8", "uint8"]] = {"int8": "int8", "int8-uint8-io": "uint8"}
# Which artefact each delivery is made of.
DELIVERED_FROM: Mapping[Delivery, tuple[ModelFormat, Quantize]] = {
    "c": ("tflite", "int8"),
    "tflm": ("tflite", "int8"),
    "vela": ("tflite", "int8"),
    "web": ("onnx", "int8"),
}
# int8 files by what they take and give, as --io names it.
IO_PRECISIONS: Mapping[str, Quantize] = {
    "int8": "int8",
    "uint8": "int8-uint8-io",
    "float": "int8-float-io",
}
MAX_GOLDEN = 256  # vectors in one artefact
MIN_QAT_IMAGES = 40  # of the user's own: fewer leave none to choose the best step on

# What may change without a stated limit. float32 only reorders sums: single images of ten thousand. Half precision
# turned 2 of 1,000 and 4 of 10,000.
MIN_AGREEMENT: Mapping[Quantize, float] = {
    **dict.fromkeys(get_args(Quantize), 0.97),
    "none": 0.999,
    "fp16": 0.998,
}
MAX_LEARNING_RATE = (
    1.0  # of QAT, where it is a share of the weights: more than all of a weight is no step
)


def _check_choices(name: str, values: tuple[str, ...], choices: tuple[str, ...]) -> None:
    for value in values:
        if value not in choices:
            raise UsageError(
                f"{name}: {not_one_of(value, choices)}.", hint="See cifar-export --help."
            )
    if not values or len(set(values)) != len(values):
        raise UsageError(
            f"{name}: {', '.join(values) or 'nothing'} names no or equal artefacts.",
            hint="Name each once.",
        )


def _as_paths(part: Any, *names: str) -> None:
    """Makes paths of the texts among these fields of a frozen part."""
    for name in names:
        value = getattr(part, name)
        if isinstance(value, str):
            object.__setattr__(part, name, Path(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceRecipe:
    """How probabilities are calibrated, and when the artefact abstains.

    Attributes:
        coverage: smallest share of the fitting images that keep an answer, above 0, up to 1.
        data: a folder of class folders to fit on; None for the validation split, CIFAR-10's or the run's own.
    """

    coverage: float = 0.95
    data: Path | None = None

    def __post_init__(self) -> None:
        if not 0 < self.coverage <= 1:
            raise UsageError(
                f"coverage is {self.coverage}, expected a share above 0, up to 1.",
                hint="95% leaves 19 of 20 images their answer.",
            )

    def to_json(self) -> dict[str, Any]:
        """What shaped the artefact, as JSON-ready data: no folders of this machine."""
        return {"coverage": self.coverage}


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessRecipe:
    """Which images are corrupted.

    Attributes:
        images: how many, evenly over the classes, of the validation split, or of the folder that the gate
            measures on; None for the packaged sample.
    """

    images: int | None

    def __post_init__(self) -> None:
        if self.images is not None and self.images < 1:
            raise UsageError(
                f"robustness on {self.images} images, expected 1 or more.", hint="Give more."
            )

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON-ready data."""
        return {"images": self.images}


@dataclass(frozen=True, slots=True, kw_only=True)
class QatRecipe:
    """Quantization-aware training before an int8 conversion, by distilling the float model's own decisions.

    Attributes:
        backend: what simulates int8 while training.
        steps: batches to train on.
        learning_rate: about the share of its channel's root mean square that a step moves a weight by; warmed up,
            then decaying to zero along a cosine.
        batch_size: images a step.
    """

    backend: QatBackend = "keras"
    steps: int = 150
    learning_rate: float = 5e-5
    batch_size: int = 64

    def __post_init__(self) -> None:
        _check_choices("QAT backend", (self.backend,), get_args(QatBackend))
        rate_is_usable = 0 < self.learning_rate <= MAX_LEARNING_RATE
        if self.steps < 1 or self.batch_size < 1 or not rate_is_usable:
            raise UsageError(
                f"QAT for {self.steps} steps of batches of {self.batch_size} at learning rate "
                f"{self.learning_rate} trains nothing, expected numbers above zero and a rate of at most "
                f"{MAX_LEARNING_RATE:g}.",
                hint="See cifar-export --help.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRecipe:
    """How an int8 model that misses its gate is repaired: operators go back to float32.

    Attributes:
        budget: the largest share of the model's multiply-accumulates that may, 0..1.
    """

    budget: float = 0.10

    def __post_init__(self) -> None:
        if not 0 < self.budget <= 1:
            raise UsageError(
                f"repair budget is {self.budget}, expected a share above 0, up to 1.",
                hint="10% is a tenth of the multiply-accumulates.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecipe:
    """The checkpoint to export, and what its user declares of it.

    Attributes:
        checkpoint: the .keras file.
        contract: what declares the checkpoint's input mapping, resize filter, labels and calibrated confidence: a
            built-in contract's name, or a JSON file; None for the three fields that declare them one by one.
        labels: a file of class names, one a line, in the order of the scores; None for CIFAR-10's.
        input_range: what the checkpoint takes for pixels 0..255, by the names of
            :data:`cifar_eval.models.input_mapping.INPUT_MAPPINGS`; None for 0..255.
        output_kind: what the artefact returns; None for what the checkpoint does.
        resize_filter: how the runtime scales pictures to the input's size; None for antialiased bicubic: bilinear
            blurs the little that 32 pixels show, and lanczos rings around edges.
        resize: how pictures get the input's aspect ratio; None for a centre crop.
        jpeg_decoding: how the runtime decodes JPEGs; None for in full.
        input_size: (height, width) of pictures, for a checkpoint that takes any; None for its own.
        output_name: which of several outputs the scores are; None for the only one.
        label_threshold: smallest independent probability of a label that holds; None for 0.5, and for other scores.
        custom_objects: classes and functions that the checkpoint needs and Keras lacks, as ``MODULE:NAME`` with
            commas between them; importing them runs their code. None for none.
    """

    checkpoint: Path
    contract: str | None = None
    labels: Path | None = None
    input_range: InputRange | None = None
    output_kind: ScoreKind | None = None
    resize_filter: ResizeFilter | None = None
    resize: Resize | None = None
    jpeg_decoding: JpegDecoding | None = None
    input_size: tuple[int, int] | None = None
    output_name: str | None = None
    custom_objects: str | None = None
    label_threshold: float | None = None

    def __post_init__(self) -> None:
        _as_paths(self, "checkpoint", "labels")
        if self.input_range is not None:
            _check_choices("input range", (self.input_range,), get_args(InputRange))
        if self.output_kind is not None:
            _check_choices("output kind", (self.output_kind,), get_args(ScoreKind))
        if self.label_threshold is not None and not 0 < self.label_threshold <= 1:
            raise UsageError(
                f"label threshold is {self.label_threshold}, expected above 0, up to 1.",
                hint="Half is 0.5, which it is without it.",
            )
        if (self.resize_filter, self.jpeg_decoding) == ("bilinear-no-antialias", "reduced"):
            raise UsageError(
                "--jpeg-decoding reduced: averages pixels that bilinear-no-antialias leaves out.",
                hint="Leave it out: such a model takes JPEGs in full.",
            )
        geometry = ("resize_filter", "resize", "jpeg_decoding")
        for name in ("labels", "input_range", *geometry, "label_threshold"):
            if self.contract is not None and getattr(self, name) is not None:
                flag = f"--{name.replace('_', '-')}"
                raise UsageError(
                    f"--contract {self.contract} and {flag} both state what the checkpoint takes and says.",
                    hint=f"Leave {flag} out, and state it in the contract.",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRecipe:
    """The images that set the ranges of an int8 model.

    Attributes:
        samples: how many.
        data: a folder of them; None for CIFAR-10's train split.
        method: how ranges follow from what calibration observed.
        seed: of their choice, where there are more than asked for, and of QAT.
    """

    samples: int = 512
    data: Path | None = None
    method: CalibrationMethod = "minmax"
    seed: int = 0

    def __post_init__(self) -> None:
        _as_paths(self, "data")
        _check_choices("calibration method", (self.method,), get_args(CalibrationMethod))
        if self.samples < 1 or self.seed < 0:
            raise UsageError(
                f"calibration samples {self.samples} and seed {self.seed} choose no images.",
                hint="Samples start at 1, the seed at 0.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecipe:
    """What an artefact must hold to be published; shares, 0..1.

    Attributes:
        max_accuracy_drop: largest share of accuracy that it may lose, 0.005 being half a point.
        min_agreement: smallest share of images on which it decides like Keras; None for 0.97, and for 0.999 for
            none, 0.998 for fp16.
        min_accuracy: smallest top-1 accuracy; None for no floor.
    """

    max_accuracy_drop: float = 0.005
    min_agreement: float | None = None
    min_accuracy: float | None = None

    def __post_init__(self) -> None:
        for name, share in asdict(self).items():
            if share is not None and not 0 <= share <= 1:
                words = name.replace("_", " ")
                raise UsageError(f"{words} is {share}, expected 0..1.", hint="0.5pp is 0.005.")

    def limits(self, precision: Quantize) -> Limits:
        """The limits of an artefact of this precision."""
        agreement = self.min_agreement
        return Limits(
            max_accuracy_drop=self.max_accuracy_drop,
            min_agreement=MIN_AGREEMENT[precision] if agreement is None else agreement,
            min_accuracy=self.min_accuracy,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationImages:
    """The labelled images that artefacts are compared with Keras on.

    Attributes:
        split: of CIFAR-10; ``auto`` is the full test split when it was fetched.
        data: a folder of class folders instead; None for CIFAR-10.
    """

    split: EvalSplit = "auto"
    data: Path | None = None

    def __post_init__(self) -> None:
        _as_paths(self, "data")
        _check_choices("eval split", (self.split,), get_args(EvalSplit))


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """Where artefacts go.

    Attributes:
        output: the folder; made when missing.
        name: what artefacts are called, before their precision; None for the checkpoint's name.
        force: replace a different artefact of the same name.
        deliveries: what is made of a published int8 artefact, in a folder beside it: ``c``, C99 without an
            interpreter; ``tflm``, files for TensorFlow Lite Micro; ``vela``, a model compiled for an Ethos-U;
            ``web``, a page that classifies in a browser.
        accelerator: what ``vela`` compiles for.
        golden: how many golden vectors an artefact carries, of whole pictures; None for eight, as fine as they can be
            in a file of its weights, a tenth of them and 32 KiB.
    """

    output: Path
    name: str | None = None
    force: bool = False
    deliveries: tuple[Delivery, ...] = ()
    golden: int | None = None
    accelerator: Accelerator = "ethos-u55-128"

    def __post_init__(self) -> None:
        _as_paths(self, "output")
        if self.deliveries:
            _check_choices("delivery", self.deliveries, get_args(Delivery))
        if self.golden is not None and not 1 <= self.golden <= MAX_GOLDEN:
            raise UsageError(
                f"--golden {self.golden}: is no number of golden vectors, expected 1 to {MAX_GOLDEN}.",
                hint="Eight are written without it.",
            )
        _check_choices("accelerator", (self.accelerator,), get_args(Accelerator))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecipe:
    """One export, described completely, a part a stage; every pair of format and precision makes one artefact.

    Attributes:
        source: the checkpoint.
        publish: where artefacts go.
        formats: file formats.
        quantize: precisions.
        calibration: the images that set the ranges of int8 models.
        qat: how to train int8 models before converting them; None for post-training quantization.
        gate: what an artefact must hold.
        evaluation: the images that this is measured on.
        confidence: how probabilities are calibrated, and when the artefact abstains; None for neither, or for a
            run on the user's own pictures :class:`ConfidenceRecipe`'s defaults.
        robustness: which images are corrupted to see how accuracy holds; None for none.
        onnx_activations: what lies between the layers of int8 ONNX models; ``auto`` is uint8, for which onnxruntime's
            x86 kernels are made, and int8 where the gate is missed with it.
        repair: how int8 models that miss their gate are repaired; None for not at all.
        verbose: pass the converters' messages on to stderr.
    """

    source: SourceRecipe
    publish: PublishOptions
    formats: tuple[ModelFormat, ...] = ("tflite",)
    quantize: tuple[Quantize, ...] = ("int8",)
    calibration: CalibrationRecipe = CalibrationRecipe()
    qat: QatRecipe | None = None
    gate: GateRecipe = GateRecipe()
    evaluation: EvaluationImages = EvaluationImages()
    confidence: ConfidenceRecipe | None = None
    robustness: RobustnessRecipe | None = None
    repair: RepairRecipe | None = None
    onnx_activations: OnnxActivations = "auto"
    verbose: bool = False

    def __post_init__(self) -> None:
        _check_choices("format", self.formats, tuple(RUNNABLE))
        _check_choices("quantize", self.quantize, get_args(Quantize))
        _check_choices("onnx activations", (self.onnx_activations,), get_args(OnnxActivations))
        self._check_pairs()
        self._check_deliveries()
        self._check_qat()
        self._check_folders()
        self._check_repair()
        check_evidence(self.confidence, self.robustness, eval_data=self.evaluation.data)

    @property
    def pairs(self) -> tuple[tuple[ModelFormat, Quantize], ...]:
        """Every artefact to make, in the order of formats, then precisions."""
        return tuple((fmt, precision) for fmt in self.formats for precision in self.quantize)

    def _check_pairs(self) -> None:
        for model_format, precision in self.pairs:
            if precision not in RUNNABLE[model_format]:
                known = "; ".join(f"{name}: {', '.join(all_)}" for name, all_ in RUNNABLE.items())
                raise UsageError(
                    f"{model_format} {precision}: onnxruntime has no CPU kernels for 16-bit activations "
                    f"with 8-bit weights, expected one of {known}.",
                    hint=f"Give --format tflite for {precision}.",
                )
            if self.calibration.method == "minmax" or precision not in CALIBRATED:
                continue
            if model_format == "tflite":
                raise UsageError(
                    f"tflite {precision} with calibration method {self.calibration.method}: TensorFlow "
                    "Lite's converter takes minimum and maximum only, expected minmax.",
                    hint="Give --format onnx for the others, or leave --calibration-method out.",
                )

    def _check_deliveries(self) -> None:
        for delivery in self.publish.deliveries:
            model_format, quantize = source = DELIVERED_FROM[delivery]
            if source not in self.pairs:
                raise UsageError(
                    f"--format {delivery} is made of {model_format} {quantize}, which is not asked for.",
                    hint=f"Give --quantize {quantize} too.",
                )

    def _check_qat(self) -> None:
        if self.qat is None:
            return
        if not set(self.quantize) & set(TRAINABLE):
            raise UsageError(
                f"QAT with --quantize {','.join(self.quantize)}: it trains for int8, expected one of "
                f"{', '.join(TRAINABLE)} among them.",
                hint="Give --quantize int8, or leave --qat out.",
            )

    def _check_repair(self) -> None:
        if self.repair is not None and not any(map(self.repairs, self.quantize)):
            raise UsageError(
                "--repair moves operators of int8 files to float32, and none is asked for.",
                hint="Give --quantize int8, or leave --repair out.",
            )

    def repairs(self, quantize: Quantize) -> bool:
        """Whether artefacts of this precision are repaired where they miss their gate."""
        return self.repair is not None and quantize in TRAINABLE

    def _check_folders(self) -> None:
        """Calibration searches its folder with all below it, so that neither may hold the other."""
        evaluating, calibrating = self.evaluation.data, self.calibration.data
        if evaluating is None or calibrating is None:
            return
        places = evaluating.resolve(), calibrating.resolve()
        if places[0] == places[1]:
            raise UsageError(
                f"{evaluating}: is given for calibration and for evaluation, expected different images.",
                hint="Calibrate on training images.",
            )
        if places[0] in places[1].parents or places[1] in places[0].parents:
            raise UsageError(
                f"--calibration-data {calibrating} and --eval-data {evaluating}: one holds the other, "
                "expected different images.",
                hint="Calibrate on training images, in a folder of their own.",
            )

    def trains(self, precision: Quantize) -> bool:
        """Whether artefacts of this precision are trained first."""
        return self.qat is not None and precision in TRAINABLE

    def name_of(self, checkpoint_name: str, precision: Quantize) -> str:
        """The artefact's name, which is its file's without the suffix."""
        word = "float32" if precision == "none" else precision
        name = self.publish.name or checkpoint_name
        return f"{name}-{word}{'-qat' if self.trains(precision) else ''}"

    def to_json(self) -> dict[str, Any]:
        """What shaped the artefact, as JSON-ready data: no folders of this machine."""
        objects, decoding = self.source.custom_objects, self.source.jpeg_decoding
        return {
            "contract": None if self.source.contract is None else Path(self.source.contract).name,
            "input_range": self.source.input_range,
            "output_kind": self.source.output_kind,
            "calibration_method": self.calibration.method,
            "calibration_samples": self.calibration.samples,
            "seed": self.calibration.seed,
            "qat": None if self.qat is None else asdict(self.qat),
            "max_accuracy_drop": self.gate.max_accuracy_drop,
            "min_agreement": self.gate.min_agreement,
            # Only where stated: the bytes of an artefact without a floor stay what they were.
            **({} if self.gate.min_accuracy is None else {"min_accuracy": self.gate.min_accuracy}),
            **({} if self.publish.golden is None else {"golden": self.publish.golden}),
            "eval_split": self.evaluation.split,
            "confidence": None if self.confidence is None else self.confidence.to_json(),
            "robustness": None if self.robustness is None else self.robustness.to_json(),
            "resize_filter": self.source.resize_filter,
            **({} if self.source.resize is None else {"resize": self.source.resize}),
            **({} if decoding is None else {"jpeg_decoding": decoding}),
            **({} if self.repair is None else {"repair": asdict(self.repair)}),
            **({} if self.source.input_size is None else {"input_size": self.source.input_size}),
            **({} if self.source.output_name is None else {"output_name": self.source.output_name}),
            **({} if objects is None else {"custom_objects": objects}),
            **(
                {}
                if self.source.label_threshold is None
                else {"label_threshold": self.source.label_threshold}
            ),
        }


def check_evidence(
    confidence: ConfidenceRecipe | None,
    robustness: RobustnessRecipe | None,
    *,
    eval_data: Path | None,
) -> None:
    """Checks that what is measured fits the images that the gate measures.

    Raises:
        UsageError: it does not.
    """
    if confidence is not None and eval_data is not None and confidence.data in (None, eval_data):
        raise UsageError(
            f"{eval_data}: its images are what the gate measures, so confidence cannot be fitted on them.",
            hint="Give --confidence-data DIR with other labelled images.",
        )
    if robustness is not None and robustness.images is None and eval_data is not None:
        raise UsageError(
            f"robustness on the packaged sample, which is CIFAR-10's, but the gate measures on {eval_data}.",
            hint="Give --robustness N: so many of that folder's images.",
        )
