"""What one comparison measures, as data. It imports nothing slow: the command line makes it before numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from cifar_data.split_names import BenchSplit
from cifar_runtime.errors import UsageError
from cifar_runtime.system.files import is_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityRecipe:
    """The models to compare, and the labelled images to compare them on.

    Attributes:
        reference: the model that decides as it should: a .keras, .tflite or .onnx file.
        candidates: the models compared with it, one or more, of any of these formats.
        split: the images, when ``eval_data`` is None.
        eval_data: a folder of images instead, one folder a class; None for the split.
        limit: compare on at most this many images, evenly over the classes; None for all.
        threads: threads one inference may use.
        contract: of the models without a card: a built-in contract's name, or a JSON file.
    """

    reference: Path
    candidates: tuple[Path, ...]
    split: BenchSplit = "test-sample"
    eval_data: Path | None = None
    limit: int | None = None
    threads: int = 1
    contract: str | None = None

    def __post_init__(self) -> None:
        if not self.candidates:
            raise UsageError("no candidate to compare.", hint="Give REFERENCE and CANDIDATE.")
        if self.split not in get_args(BenchSplit):
            raise UsageError(
                f"split is {self.split!r}, expected one of {', '.join(get_args(BenchSplit))}.",
                hint="Give one of these.",
            )
        for name in ("limit", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}, expected 1 or more.", hint=f"Raise {name}.")

    @property
    def models(self) -> tuple[Path, ...]:
        """All models, the reference first."""
        return (self.reference, *self.candidates)


def images_by_name(images: str | Path) -> tuple[BenchSplit, Path | None]:
    """The split and the folder of a recipe, of which the folder, where there is one, holds the images.

    Args:
        images: the name of a split, or a folder; a :class:`~pathlib.Path` is always a folder.

    Raises:
        UsageError: it is neither.
    """
    for split in get_args(BenchSplit):
        if images == split:
            return split, None
    if isinstance(images, str) and not is_folder(images):
        raise UsageError(
            f"images is {images!r}, expected one of {', '.join(get_args(BenchSplit))}, or a folder.",
            hint="Check the name.",
        )
    return "test-sample", Path(images)
