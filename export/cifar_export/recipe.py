"""What one export is asked to do, and what it did: frozen data, importable without numpy."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from cifar_runtime.contract import ModelFormat, ResizeFilter, ScoreKind
from cifar_runtime.errors import UsageError, not_one_of

Quantize = Literal["none", "fp16", "dynamic", "int8", "int8-float-io", "int8-uint8-io", "int16x8"]
EvalSplit = Literal["auto", "test", "test-sample"]
CalibrationMethod = Literal["minmax", "percentile", "entropy"]
InputRange = Literal["0..255", "0..1", "-1..1"]
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

# What may change without a stated limit. float32 only reorders sums: single images of ten thousand. Half precision
# turned 2 of 1,000 and 4 of 10,000.
MIN_AGREEMENT: Mapping[Quantize, float] = {
    **dict.fromkeys(get_args(Quantize), 0.97),
    "none": 0.999,
    "fp16": 0.998,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceRecipe:
    """How probabilities are calibrated, and when the artefact abstains.

    Attributes:
        coverage: smallest share of the fitting images that keep an answer, above 0, up to 1.
        data: a folder of class folders to fit on; None for CIFAR-10's validation split.
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
        if self.steps < 1 or self.batch_size < 1 or not self.learning_rate > 0:
            raise UsageError(
                f"QAT for {self.steps} steps of batches of {self.batch_size} at learning rate "
                f"{self.learning_rate} trains nothing, expected numbers above zero.",
                hint="See cifar-export --help.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecipe:
    """One export, described completely; every pair of format and quantization makes one artefact.

    Attributes:
        checkpoint: the .keras file.
        output: the folder to publish into; made when missing.
        formats: file formats.
        quantize: precisions.
        contract: what states the checkpoint's input mapping, resize filter, labels and calibrated confidence: a
            built-in contract's name, or a JSON file; None for the three fields that state them one by one.
        labels: a file of class names, one a line, in the order of the scores; None for CIFAR-10's.
        input_range: what the checkpoint takes for pixels 0..255; None for 0..255.
        output_kind: what the artefact returns; None for what the checkpoint does.
        calibration_samples: images that set the ranges of an int8 model.
        calibration_data: a folder of such images; None for CIFAR-10's train split.
        calibration_method: how ranges follow from what calibration observed.
        seed: of the choice of calibration images, where there are more than asked for, and of QAT.
        qat: how to train int8 models before converting them; None for post-training quantization.
        max_accuracy_drop: largest share of accuracy that an artefact may lose, 0.005 being half a point.
        min_agreement: smallest share of images on which an artefact decides like Keras; None for 0.97, and for
            0.999 for none, 0.998 for fp16.
        min_accuracy: smallest top-1 accuracy that an artefact may have; None for no floor.
        eval_split: where both are measured; ``auto`` is the full test split when it was fetched.
        eval_data: a folder of class folders to measure on instead; None for CIFAR-10.
        confidence: how probabilities are calibrated, and when the artefact abstains; None for neither.
        robustness: which images are corrupted to see how accuracy holds; None for none.
        resize_filter: how the runtime scales pictures to the input's size; None for antialiased bicubic: bilinear
            blurs the little that 32 pixels show, and lanczos rings around edges.
        force: replace a different artefact of the same name.
        verbose: pass the converters' messages on to stderr.
    """

    checkpoint: Path
    output: Path
    formats: tuple[ModelFormat, ...] = ("tflite",)
    quantize: tuple[Quantize, ...] = ("none",)
    contract: str | None = None
    labels: Path | None = None
    input_range: InputRange | None = None
    output_kind: ScoreKind | None = None
    calibration_samples: int = 512
    calibration_data: Path | None = None
    calibration_method: CalibrationMethod = "minmax"
    seed: int = 0
    qat: QatRecipe | None = None
    max_accuracy_drop: float = 0.005
    min_agreement: float | None = None
    min_accuracy: float | None = None
    eval_split: EvalSplit = "auto"
    eval_data: Path | None = None
    confidence: ConfidenceRecipe | None = None
    robustness: RobustnessRecipe | None = None
    resize_filter: ResizeFilter | None = None
    force: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        _check_choices("format", self.formats, get_args(ModelFormat))
        _check_choices("quantize", self.quantize, get_args(Quantize))
        _check_choices("eval split", (self.eval_split,), get_args(EvalSplit))
        if self.input_range is not None:
            _check_choices("input range", (self.input_range,), get_args(InputRange))
        _check_choices(
            "calibration method", (self.calibration_method,), get_args(CalibrationMethod)
        )
        if self.output_kind is not None:
            _check_choices("output kind", (self.output_kind,), get_args(ScoreKind))
        self._check_pairs()
        self._check_data()
        check_evidence(self.confidence, self.robustness, eval_data=self.eval_data)
        self._check_contract()
        if self.calibration_samples < 1 or self.seed < 0:
            raise UsageError(
                f"calibration samples {self.calibration_samples} and seed {self.seed} choose no images.",
                hint="Samples start at 1, the seed at 0.",
            )
        for name, share in (
            ("max accuracy drop", self.max_accuracy_drop),
            ("min agreement", self.min_agreement),
            ("min accuracy", self.min_accuracy),
        ):
            if share is not None and not 0 <= share <= 1:
                raise UsageError(f"{name} is {share}, expected 0..1.", hint="0.5pp is 0.005.")

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
            if self.calibration_method == "minmax" or precision not in CALIBRATED:
                continue
            if model_format == "tflite":
                raise UsageError(
                    f"tflite {precision} with calibration method {self.calibration_method}: TensorFlow "
                    "Lite's converter takes minimum and maximum only, expected minmax.",
                    hint="Give --format onnx for the others, or leave --calibration-method out.",
                )

    def _check_data(self) -> None:
        if self.qat is not None and not set(self.quantize) & set(TRAINABLE):
            raise UsageError(
                f"QAT with --quantize {','.join(self.quantize)}: it trains for int8, expected one of "
                f"{', '.join(TRAINABLE)} among them.",
                hint="Give --quantize int8, or leave --qat out.",
            )
        if self.qat is not None and (self.eval_data is not None or self.labels is not None):
            raise UsageError(
                "QAT trains on CIFAR-10's train split, but --labels or --eval-data name other images.",
                hint="Leave --qat out.",
            )
        self._check_folders()

    def _check_folders(self) -> None:
        """Calibration searches its folder with all below it, so that neither may hold the other."""
        if self.eval_data is None or self.calibration_data is None:
            return
        judged, calibrating = self.eval_data.resolve(), self.calibration_data.resolve()
        if judged == calibrating:
            raise UsageError(
                f"{self.eval_data}: is given for calibration and for evaluation, expected different images.",
                hint="Calibrate on training images.",
            )
        if judged in calibrating.parents or calibrating in judged.parents:
            raise UsageError(
                f"--calibration-data {self.calibration_data} and --eval-data {self.eval_data}: one holds the other, "
                "expected different images.",
                hint="Calibrate on training images, in a folder of their own.",
            )

    def _check_contract(self) -> None:
        if self.contract is None:
            return
        for name in ("labels", "input_range", "resize_filter"):
            if getattr(self, name) is not None:
                flag = f"--{name.replace('_', '-')}"
                raise UsageError(
                    f"--contract {self.contract} and {flag} both state what the checkpoint takes and says.",
                    hint=f"Leave {flag} out, and state it in the contract.",
                )

    def trains(self, precision: Quantize) -> bool:
        """Whether artefacts of this precision are trained first."""
        return self.qat is not None and precision in TRAINABLE

    def name_of(self, checkpoint_name: str, precision: Quantize) -> str:
        """The artefact's name, which is its file's without the suffix."""
        word = "float32" if precision == "none" else precision
        return f"{checkpoint_name}-{word}{'-qat' if self.trains(precision) else ''}"

    def to_json(self) -> dict[str, Any]:
        """What shaped the artefact, as JSON-ready data: no folders of this machine."""
        return {
            "contract": None if self.contract is None else Path(self.contract).name,
            "input_range": self.input_range,
            "output_kind": self.output_kind,
            "calibration_method": self.calibration_method,
            "calibration_samples": self.calibration_samples,
            "seed": self.seed,
            "qat": None if self.qat is None else asdict(self.qat),
            "max_accuracy_drop": self.max_accuracy_drop,
            "min_agreement": self.min_agreement,
            # Only where stated: the bytes of an artefact without a floor stay what they were.
            **({} if self.min_accuracy is None else {"min_accuracy": self.min_accuracy}),
            "eval_split": self.eval_split,
            "confidence": None if self.confidence is None else self.confidence.to_json(),
            "robustness": None if self.robustness is None else self.robustness.to_json(),
            "resize_filter": self.resize_filter,
        }


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
