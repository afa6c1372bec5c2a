"""What one export is asked to do, and what it did: frozen data, importable without numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from cifar_runtime.command import not_one_of
from cifar_runtime.contract import ModelFormat, ResizeFilter
from cifar_runtime.errors import GateError, UsageError

Quantize = Literal["none", "int8"]
EvalSplit = Literal["auto", "test", "test-sample"]

# A float conversion only reorders float32 sums: what it may change is measured in single images of ten thousand.
FLOAT_MIN_AGREEMENT = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecipe:
    """One export, described completely; every pair of format and quantization makes one artefact.

    Attributes:
        checkpoint: the .keras file.
        output: the folder to publish into; made when missing.
        formats: file formats.
        quantize: precisions.
        calibration_samples: images that set the ranges of an int8 model.
        calibration_data: a folder of such images; None for CIFAR-10's train split.
        seed: of the choice of calibration images, where there are more than asked for.
        max_accuracy_drop: largest share of accuracy that an artefact may lose, 0.005 being half a point.
        min_agreement: smallest share of images on which an int8 artefact decides like Keras.
        eval_split: where both are measured; ``auto`` is the full test split when it was fetched.
        resize_filter: how the runtime scales pictures to the input's size. Antialiased bicubic: bilinear blurs
            the little that 32 pixels show, and lanczos rings around edges.
        force: replace a different artefact of the same name.
        verbose: pass the converters' messages on to stderr.
    """

    checkpoint: Path
    output: Path
    formats: tuple[ModelFormat, ...] = ("tflite",)
    quantize: tuple[Quantize, ...] = ("none",)
    calibration_samples: int = 512
    calibration_data: Path | None = None
    seed: int = 0
    max_accuracy_drop: float = 0.005
    min_agreement: float = 0.96
    eval_split: EvalSplit = "auto"
    resize_filter: ResizeFilter = "bicubic"
    force: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        _check_choices("format", self.formats, get_args(ModelFormat))
        _check_choices("quantize", self.quantize, get_args(Quantize))
        _check_choices("eval split", (self.eval_split,), get_args(EvalSplit))
        if self.calibration_samples < 1 or self.seed < 0:
            raise UsageError(
                f"calibration samples {self.calibration_samples} and seed {self.seed} choose no images.",
                hint="Samples start at 1, the seed at 0.",
            )
        for name, share in (
            ("max accuracy drop", self.max_accuracy_drop),
            ("min agreement", self.min_agreement),
        ):
            if not 0 <= share <= 1:
                raise UsageError(f"{name} is {share}, expected 0..1.", hint="0.5pp is 0.005.")

    def to_json(self) -> dict[str, Any]:
        """What shaped the artefact, as JSON-ready data: no folders of this machine."""
        return {
            "calibration_samples": self.calibration_samples,
            "seed": self.seed,
            "max_accuracy_drop": self.max_accuracy_drop,
            "min_agreement": self.min_agreement,
            "eval_split": self.eval_split,
            "resize_filter": self.resize_filter,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """One artefact that was published.

    Attributes:
        path: the model file; its card lies beside it.
        name: as the card says.
        size_bytes: of the model file.
        sha256: of the model file.
        accuracy: top-1 on ``split``, 0..1.
        accuracy_drop: Keras' accuracy minus this, -1..1.
        agreement: share of images decided as Keras decides them, 0..1.
        split: the split they were measured on.
        num_images: how many.
    """

    path: Path
    name: str
    size_bytes: int
    sha256: str
    accuracy: float
    accuracy_drop: float
    agreement: float
    split: str
    num_images: int

    def to_json(self) -> dict[str, Any]:
        """The result as JSON-ready data."""
        return {field: getattr(self, field) for field in self.__slots__} | {"path": str(self.path)}


class ExportGateError(GateError):
    """One or more artefacts failed their gate and were not published.

    Attributes:
        results: those that passed and were.
    """

    def __init__(self, message: str, *, hint: str, results: tuple[ExportResult, ...]) -> None:
        super().__init__(message, hint=hint)
        self.results = results


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
