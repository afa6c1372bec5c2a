"""What is to be made of a folder of pictures, as data. It imports nothing slow: the command line makes it first."""

from dataclasses import dataclass, field
from pathlib import Path

from cifar_export.recipe import GateRecipe
from cifar_runtime.contract import ResizeFilter
from cifar_runtime.errors import UsageError
from cifar_runtime.formats.known_formats import ModelFormat
from cifar_train.networks.backbones import BACKBONES
from cifar_train.recipe import AugmentationPreset, Network


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeRecipe:
    """The whole road, described completely.

    Attributes:
        source: a folder with one folder a class, or train, val and test with these, or a CSV file of ``path,label``.
        output: the folder that everything goes into; made when missing.
        size: height and width in pixels that the model sees.
        resize_filter: how pictures are scaled to that.
        network: what is trained.
        weights: what a backbone begins with, ``imagenet`` or the path of a weights file; None for fresh weights.
        augment: how pictures vary while training.
        epochs: exactly as many; None for as many as the recipe for these pictures says, stopped early.
        seed: of everything that is random.
        formats: file formats of the int8 models.
        gate: what a model must hold to be published.
        force: start over in a folder that holds another road.

    Example:
        >>> from cifar_make import MakeRecipe
        >>> MakeRecipe(source="photos", output="out", network="edge-xs").size
        (96, 96)
    """

    source: str | Path
    output: str | Path = "out"
    size: tuple[int, int] = (96, 96)
    resize_filter: ResizeFilter = "bicubic"
    network: Network = "edge-s"
    weights: str | None = None
    augment: AugmentationPreset = "photographs"
    epochs: int | None = None
    seed: int = 0
    formats: tuple[ModelFormat, ...] = ("tflite",)
    gate: GateRecipe = field(default_factory=GateRecipe)
    force: bool = False

    def __post_init__(self) -> None:
        for name in ("source", "output"):
            object.__setattr__(self, name, Path(getattr(self, name)))
        if self.weights is not None and self.network not in BACKBONES:
            raise UsageError(
                f"weights {self.weights} belong to a backbone, but the network is {self.network}.",
                hint=f"Choose {', '.join(BACKBONES)}, or no weights.",
            )

    @property
    def training(self) -> Path:
        """The folder of the training run."""
        return Path(self.output) / "training"
