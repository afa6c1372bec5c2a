"""Training recipes: frozen, documented experiments that the command line makes and the card stores."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cifar_runtime.errors import UsageError

Architecture = Literal["notebook", "seed-cnn"]
Backend = Literal["tensorflow", "jax"]
Device = Literal["auto", "cpu", "gpu"]
Precision = Literal["float32", "mixed_bfloat16", "auto"]
ValidationRule = Literal["validation split", "last fifth of official-train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How training images vary.

    Attributes:
        flip: mirror left to right, half of the time.
        translate: shift by up to this many pixels along each axis; what enters is reflected.
    """

    flip: bool
    translate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRecipe:
    """One training run, described completely.

    Attributes:
        name: the recipe it started from.
        architecture: the network.
        epochs: passes over the training images, at most.
        batch_size: images a step.
        optimizer: Adam, or Adam with decoupled weight decay.
        learning_rate: the constant or the peak rate.
        schedule: ``constant``, or ``cosine`` to zero after a linear warm-up.
        warmup_fraction: part of all steps that warm up.
        weight_decay: decoupled, times the learning rate a step; never on BatchNorm or biases.
        augmentation: how training images vary; None for as they are.
        validation: which images validate, and so which are left to train on.
        keep: whether the last epoch's weights are the result, or the best on validation accuracy.
        patience: stop after this many epochs without a lower training loss; None for never.
        seed: of the initial weights, the order, the augmentation and the dropout.
        backend: the Keras backend.
        device: where it runs.
        precision: the compute dtype policy; ``auto`` is mixed_bfloat16 on a GPU and float32 on a CPU.
    """

    name: str
    architecture: Architecture
    epochs: int
    batch_size: int
    optimizer: Literal["adam", "adamw"]
    learning_rate: float
    schedule: Literal["constant", "cosine"]
    warmup_fraction: float
    weight_decay: float
    augmentation: Augmentation | None
    validation: ValidationRule
    keep: Literal["last", "best"]
    patience: int | None
    seed: int = 0
    backend: Backend = "tensorflow"
    device: Device = "auto"
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1 or self.seed < 0:
            raise UsageError(
                f"epochs {self.epochs}, batch size {self.batch_size} and seed {self.seed} make no run.",
                hint="Epochs and batch size start at 1, the seed at 0.",
            )

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON-ready data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Where a run goes and how it starts.

    Attributes:
        folder: the run folder.
        final: read the test split once, at the end, for the figure that is published.
        resume: continue from the last finished epoch.
        force: start over in a folder that holds a run.
        licence: what the trained weights may be used under, an SPDX identifier; exports carry it on.
    """

    folder: Path
    final: bool = False
    resume: bool = False
    force: bool = False
    licence: str | None = None


def recipe_from_json(document: dict[str, Any]) -> TrainRecipe:
    """The recipe that ``to_json`` wrote."""
    augmentation = document["augmentation"]
    return TrainRecipe(
        **{**document, "augmentation": augmentation and Augmentation(**augmentation)}
    )


# The notebook, exactly: raw pixels, no augmentation, Keras' defaults for Adam, 20 % of the 50,000 official training
# images (the last ones, as validation_split takes them) to validate, and early stopping on the training loss.
NOTEBOOK = TrainRecipe(
    name="notebook",
    architecture="notebook",
    epochs=25,
    batch_size=32,
    optimizer="adam",
    learning_rate=0.001,
    schedule="constant",
    warmup_fraction=0.0,
    weight_decay=0.0,
    augmentation=None,
    validation="last fifth of official-train",
    keep="last",
    patience=3,
)

# The notebook's layers with what a careful engineer would mend: centred pixels, flip and translate, a cosine
# schedule, weight decay, and the best epoch on validation.
SEED_CNN = TrainRecipe(
    name="seed-cnn",
    architecture="seed-cnn",
    epochs=64,
    batch_size=32,
    optimizer="adamw",
    learning_rate=0.001,
    schedule="cosine",
    warmup_fraction=0.05,
    weight_decay=0.02,
    augmentation=Augmentation(flip=True, translate=2),
    validation="validation split",
    keep="best",
    patience=None,
)

RECIPES = {recipe.name: recipe for recipe in (NOTEBOOK, SEED_CNN)}
