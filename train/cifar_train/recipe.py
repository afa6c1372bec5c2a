"""What a training run is: frozen recipes and options that the command line makes and the card stores."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cifar_data.split_names import ValidationRule
from cifar_runtime.documents import from_document
from cifar_runtime.errors import UsageError
from cifar_train.networks import Architecture

if TYPE_CHECKING:  # the command's --help waits for no numpy
    import numpy as np
    from numpy.typing import NDArray

Backend = Literal["tensorflow", "jax"]
Device = Literal["auto", "cpu", "gpu"]
Precision = Literal["float32", "mixed_bfloat16", "auto"]
Flip = Literal["none", "random", "alternating"]
Distribute = Literal["none", "devices", "workers"]
Monitor = Literal["training loss", "validation accuracy"]
Network = Literal[
    "edge-xs",
    "edge-s",
    "edge-m",
    "mobilenet-v2",
    "mobilenet-v3-small",
    "efficientnet-v2-b0",
    "efficientnet-lite0",
]
AugmentationPreset = Literal["photographs", "no-flip", "none"]
Sampling = Literal["every image once", "class-balanced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How training images vary.

    Attributes:
        flip: mirror left to right: half of the time, or every image in every other epoch (as airbench does).
        translate: shift by up to this many pixels along each axis; what enters is reflected.
        cutout: grey out a square of this side at a random place; 0 for none.
        mixup: mix pairs of images and their labels by a Beta(mixup, mixup) share; 0 for none.
        zoom: enlarge so that up to this share of each side is cut off, by the nearest pixel; 0 for none.
    """

    flip: Flip
    translate: int
    cutout: int = 0
    mixup: float = 0.0
    zoom: float = 0.0

    def __post_init__(self) -> None:
        if min(self.translate, self.cutout, self.mixup) < 0:
            raise UsageError(
                f"translate {self.translate}, cutout {self.cutout} and mixup {self.mixup} augment nothing.",
                hint="None of them may be negative; 0 leaves it out.",
            )
        if not 0 <= self.zoom < 1:
            raise UsageError(
                f"zoom {self.zoom} leaves nothing to see, expected 0 or more and below 1.",
                hint="0.2 cuts off up to a fifth of each side.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledViewsRecipe:
    """Which views of every image a teacher labels.

    Attributes:
        number: how many of each.
        augmentation: how they vary.
    """

    number: int
    augmentation: Augmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """How a teacher's scores join the labels.

    Attributes:
        temperature: what both logits are divided by before the softmax.
        weight: of the teacher's part of the loss; the labels' cross-entropy has the rest.
        source_sha256: of the teacher's checkpoint or soft labels; None until the run has read it.

    Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015.
    """

    temperature: float = 4.0
    weight: float = 0.9
    source_sha256: str | None = None

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and 0 < self.weight <= 1):
            raise UsageError(
                f"temperature {self.temperature} and weight {self.weight} distil nothing.",
                hint="Give a temperature above 0 and a weight above 0 and up to 1.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One of several equal parts of the training images, which a cross-fitted teacher does not see.

    Attributes:
        number: the part that is left out, from 1.
        of: how many parts there are; an image is in the part (id modulo ``of``) + 1.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not (1 <= self.number <= self.of and self.of >= 2):
            raise UsageError(
                f"there is no part {self.number} of {self.of}.",
                hint="Give NUMBER/OF, such as 1/2, with at least two parts.",
            )

    def holds(self, ids: "NDArray[np.int64]") -> "NDArray[np.bool_]":
        """Which of the images are in this part, bool, shape (n,)."""
        held: NDArray[np.bool_] = ids % self.of == self.number - 1
        return held


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRecipe:
    """One training run, described completely.

    Attributes:
        name: the recipe it started from.
        architecture: the network.
        epochs: passes over the training images, at most.
        batch_size: images a step.
        optimizer: Adam, Adam with decoupled weight decay, SGD with Nesterov momentum 0.9 and the same decay, or Muon
            for convolution kernels and that SGD for the rest.
        learning_rate: the constant or the peak rate; with Muon that of the rest, and a step turns a kernel by a tenth
            of it.
        schedule: ``constant``, or ``cosine`` to zero after a linear warm-up.
        warmup_fraction: part of all steps that warm up.
        weight_decay: decoupled, times the learning rate a step; never on BatchNorm or biases.
        augmentation: how training images vary; None for as they are.
        validation: which images validate, and so which are left to train on.
        keep: whether the last epoch's weights are the result, or the best on validation accuracy.
        patience: stop after this many epochs without a better ``monitor``; None for never.
        monitor: what patience waits for: a lower training loss, or a higher validation accuracy.
        sampling: what an epoch shows: every image once, or as many in all but of each class equally many.
        label_smoothing: share of each label that is spread over all classes.
        ema: weight of the past in a moving average of the weights, which is then what is validated and kept, with
            BatchNorm statistics estimated anew; None for the weights themselves.
        distillation: how a teacher's scores join the labels; None for labels alone.
        fold: training images to leave out; None for none.
        initial_sha256: of the weights in the run folder that training begins with, BatchNorm then staying in inference
            mode; None for fresh weights.
        seed: of the initial weights, the order, the augmentation and the dropout.
        backend: the Keras backend.
        device: where it runs.
        precision: the compute dtype policy; ``auto`` is mixed_bfloat16 where that trains faster, on a GPU and, in
            TensorFlow and for networks that are no backbones, on a processor with instructions for it, and float32
            elsewhere.
        compile: compile each step with XLA, where the backend leaves the choice.
        deterministic: the same bits every time on one machine, at some cost of speed.
        distribute: over all devices of this process (JAX), or over the workers that TF_CONFIG names (TensorFlow).
    """

    name: str
    architecture: Architecture
    epochs: int
    batch_size: int
    optimizer: Literal["adam", "adamw", "sgd", "muon"]
    learning_rate: float
    schedule: Literal["constant", "cosine"]
    warmup_fraction: float
    weight_decay: float
    augmentation: Augmentation | None
    validation: ValidationRule
    keep: Literal["last", "best"]
    patience: int | None
    monitor: Monitor = "training loss"
    sampling: Sampling = "every image once"
    label_smoothing: float = 0.0
    ema: float | None = None
    distillation: Distillation | None = None
    fold: Fold | None = None
    initial_sha256: str | None = None
    seed: int = 0
    backend: Backend = "tensorflow"
    device: Device = "auto"
    precision: Precision = "auto"
    compile: bool = False
    deterministic: bool = False
    distribute: Distribute = "none"

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1 or self.seed < 0:
            raise UsageError(
                f"epochs {self.epochs}, batch size {self.batch_size} and seed {self.seed} make no run.",
                hint="Epochs and batch size start at 1, the seed at 0.",
            )
        if not (0 <= self.label_smoothing < 1 and 0 < (self.ema or 0.5) < 1):
            raise UsageError(
                f"label smoothing {self.label_smoothing} and ema {self.ema} make no run.",
                hint="Smoothing is at least 0, ema above 0, and both are below 1.",
            )
        needed = {"none": self.backend, "devices": "jax", "workers": "tensorflow"}[self.distribute]
        if self.backend != needed:
            raise UsageError(
                f"--distribute {self.distribute} does not run on the {self.backend} backend.",
                hint=f"Use --backend {needed}.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Where a run goes and how it starts.

    Attributes:
        folder: the run folder.
        final: read the test split once, at the end, for the figure that is published.
        resume: continue from the last finished epoch.
        force: start over in a folder that holds a run.
        licence: what the trained weights may be used under, an SPDX identifier; exports carry it on.
        teacher: a Keras checkpoint, or soft labels, to distil from; None for the shipped soft labels where the recipe
            distils.
        tensorboard: write an event file into the run folder.
    """

    folder: str | Path
    final: bool = False
    resume: bool = False
    force: bool = False
    licence: str | None = None
    teacher: str | Path | None = None
    tensorboard: bool = False


def recipe_from_json(document: Mapping[str, Any]) -> TrainRecipe:
    """The recipe in a card or a run's state; what an older version did not know has its default.

    Raises:
        KeyError, TypeError, ValueError: it is no recipe; the message begins with the field.
    """
    augmentation = document.get("augmentation")
    if augmentation is None or not isinstance(augmentation.get("flip"), bool):
        return from_document(TrainRecipe, document)
    # Until 0.1.0 had alternating flips, a flip was true or false.
    flip = "random" if augmentation["flip"] else "none"
    return from_document(TrainRecipe, {**document, "augmentation": {**augmentation, "flip": flip}})
