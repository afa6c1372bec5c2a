"""The runtime's front door: images in, predictions out. It never prints."""

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.artefact import Artefact, open_artefact
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import ArtefactError, InputError, MissingDependencyError, UsageError
from cifar_runtime.formats.known_formats import KNOWN_FORMATS, MAX_THREADS, RuntimeChoice
from cifar_runtime.imaging.fitted_image import read_picture
from cifar_runtime.imaging.image import picture_from_array, upright_rgb
from cifar_runtime.imaging.preprocess import fit_picture, input_table
from cifar_runtime.scores import (
    certainties_from_probabilities,
    probabilities_from_scores,
    score_table,
)
from cifar_runtime.sessions.base import Session
from cifar_runtime.sessions.open import check_runtime, open_session
from cifar_runtime.system.files import MAX_MODEL_BYTES, read_once

if TYPE_CHECKING:
    from PIL.Image import Image

_MODELS = Path(__file__).parent / "models"
_DEFAULT_NAME = "edge-s-int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the model says of one image.

    Attributes:
        label: the most probable label; of equal ones, the one with the lowest index.
        index: its index in the model's labels.
        probability: 0..1, at the temperature of the contract.
        ranked: every (label, probability), most probable first.
        abstained: whether the answer is less certain than what the contract calls a sure one: then the label is
            only the best guess. Never, where the contract has no threshold.
        holding: where any number of labels may hold, every (label, probability) that reaches the contract's
            ``label_threshold``, most probable first, perhaps none; None where one label holds.

    Example:
        >>> from cifar_runtime import Classifier
        >>> prediction = Classifier().classify("cat.png")
        >>> f"{prediction.label} {prediction.probability:.0%}"
        'cat 100%'
        >>> [label for label, _ in prediction.ranked[:2]]
        ['cat', 'dog']
    """

    label: str
    index: int
    probability: float
    ranked: tuple[tuple[str, float], ...]
    abstained: bool = False
    holding: tuple[tuple[str, float], ...] | None = None


class Classifier:
    """An open model that classifies images; threads may share it.

    Attributes:
        name: the model's name, from its card.
        labels: what it can say, in the order of its scores.
        artefact: the model and its contract.
        session: the interpreter that runs it.

    Example:
        >>> from cifar_runtime import Classifier
        >>> classifier = Classifier("edge-s-int8.onnx", threads=2)
        >>> classifier.classify("cat.png").label
        'cat'
    """

    def __init__(
        self,
        model: str | Path | Artefact | None = None,
        *,
        contract: str | Path | None = None,
        runtime: RuntimeChoice = "auto",
        threads: int = 1,
    ) -> None:
        """Opens a model.

        Args:
            model: a ``.tflite`` or ``.onnx`` with its card beside it, or such an artefact opened before; None: the
                packaged one.
            contract: for a model without a card: a built-in contract's name, or a JSON file.
            runtime: ``auto``, or the format that must be used.
            threads: worker threads inside the interpreter.

        Raises:
            ArtefactError: the model cannot be used.
            MissingDependencyError: its interpreter is not installed.
            UsageError: ``runtime`` cannot run this model, ``threads`` is not positive, or a
                contract was given for a model that has a card, or that is open.
        """
        if not isinstance(model, Artefact):
            path = default_model(runtime) if model is None else Path(model)
            model = open_artefact(path, contract=contract)
        elif contract is not None:
            raise UsageError(
                f"{model.path}: is open with its contract; '{contract}' was given as well.",
                hint="Leave the contract out, or give it to open_artefact.",
            )
        self.artefact: Artefact = model
        self.session: Session = open_session(self.artefact, runtime=runtime, threads=threads)
        self.name: str = self.artefact.name
        self.labels: tuple[str, ...] = self.artefact.contract.labels
        self._table = input_table(self.artefact.contract.input)
        self._scores = score_table(self.artefact.contract.output)
        self._settings = (runtime, threads)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as path, digest and settings; another process reads the file again.

        A contract that the user gave goes along: it lies in no card, and may have come as a relative path.
        """
        path, given = self.artefact.path.absolute(), None
        if self.artefact.foreign:
            given = replace(self.artefact, path=path, data=b"")
        return _reopened, (type(self), path, self.artefact.sha256, given, *self._settings)

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The model's scores in real units: float32, shape (n, num_classes), of the contract's kind.

        Args:
            images: uint8, shape (n, height, width, channels) of the contract, 0..255.

        Raises:
            InputError: the images have another shape or dtype.
            ArtefactError: the model fails, or its scores are not numbers.
        """
        expected = self.artefact.contract.input.shape
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise InputError(
                f"the images are {images.dtype} of shape {images.shape}, "
                f"expected uint8 of shape (n, {', '.join(map(str, expected))}).",
                hint="Use classify or classify_batch for pictures of any size.",
            )
        raw = self.session.run(np.take(self._table, images, mode="clip"))
        if self._scores is not None:  # finite: a contract's scale has limits
            return np.take(self._scores, raw.view(np.uint8), mode="clip")
        if not np.isfinite(raw).all():
            raise ArtefactError(
                f"{self.artefact.path}: gave scores that are not finite numbers.",
                hint="Run cifar-export again.",
            )
        return raw.astype(np.float32)

    def classify(self, image: "str | Path | Image | NDArray[np.uint8]") -> Prediction:
        """The prediction for one image.

        Args:
            image: a path; a Pillow image of any mode; or RGB pixels, uint8, shape
                (height, width, 3), 0..255; with as many channels as the model takes, too.

        Raises:
            InputError: the image cannot be read or is not a picture.
            ArtefactError: the model fails.
        """
        return self.classify_batch([image])[0]

    def classify_batch(
        self, images: "Sequence[str | Path | Image | NDArray[np.uint8]]"
    ) -> list[Prediction]:
        """The predictions for several images, as :meth:`classify` makes them, in the same order."""
        contract = self.artefact.contract
        pixels = np.empty((len(images), *contract.input.shape), dtype=np.uint8)
        for row, image in enumerate(images):
            pixels[row] = _fitted(image, contract.input)
        probabilities = probabilities_from_scores(self.scores(pixels), contract.output)
        abstained = [False] * len(images)
        if contract.output.abstention_threshold is not None:
            certainties = certainties_from_probabilities(probabilities, contract.output)
            abstained = (certainties < contract.output.abstention_threshold).tolist()
        return [
            prediction_from_probabilities(
                row,
                self.labels,
                abstained=unsure,
                label_threshold=contract.output.label_threshold,
            )
            for row, unsure in zip(probabilities, abstained, strict=True)
        ]

    def classify_paths(
        self, paths: Iterable[str | Path], *, jobs: int = 1
    ) -> Iterator[Prediction | InputError]:
        """The predictions for any number of files, in the same order, each as soon as it is known.

        A file that cannot be classified gives its error in its place, and the others their predictions.

        Args:
            paths: of pictures; a list goes to the processes in parts, anything else one by one as it arrives.
            jobs: processes, 1 to 256; each opens the model for itself. A script that wants more than one must be
                importable: its own work stands below ``if __name__ == "__main__":``.

        Raises:
            ArtefactError: the model fails, or a process was killed.
            UsageError: ``jobs`` is out of range.

        Example:
            >>> from cifar_runtime import Classifier
            >>> [one.label for one in Classifier().classify_paths(["cat.png", "dog.png"])]
            ['cat', 'dog']
        """
        from cifar_runtime.system.parallel import answers  # a single picture needs no processes

        if not 1 <= jobs <= MAX_THREADS:
            raise UsageError(f"jobs is {jobs}, expected 1 to {MAX_THREADS}.", hint="Give jobs=1.")
        return answers(self.classify, paths, jobs=jobs)


def _reopened(
    kind: type[Classifier], path: Path, sha256: str, given: Artefact | None, *settings: Any
) -> Classifier:
    """A pickled classifier, opened again.

    Args:
        kind: its class.
        path: of the model.
        sha256: of the model's data.
        given: the artefact without its data, where the user gave its contract; None where it has a card.
        settings: the classifier's.

    Raises:
        ArtefactError: the model is gone, or is not the pickled one any more.
    """
    if given is None:
        artefact = open_artefact(path)
    else:
        data = read_once(path, max_bytes=MAX_MODEL_BYTES, error=ArtefactError)
        artefact = replace(given, data=data)
    found = hashlib.sha256(artefact.data).hexdigest()
    if found != sha256:
        raise ArtefactError(
            f"{path}: sha256 is {found}, the pickled classifier's was {sha256}: "
            "the file changed meanwhile.",
            hint="Make the classifier again.",
        )
    runtime, threads = settings
    return kind(artefact, runtime=runtime, threads=threads)


def default_model(runtime: RuntimeChoice = "auto") -> Path:
    """The packaged model for a runtime; for ``auto``, the one that an installed interpreter runs.

    Raises:
        MissingDependencyError: neither interpreter is installed.
        UsageError: the runtime is unknown.
    """
    if runtime != "auto":
        check_runtime(runtime, runtime, name="the default model")
        return _MODELS / f"{_DEFAULT_NAME}.{runtime}"
    for known in KNOWN_FORMATS.values():
        if importlib.util.find_spec(known.package) is not None:
            return _MODELS / f"{_DEFAULT_NAME}{known.suffix}"
    first, *others = KNOWN_FORMATS.values()
    raise MissingDependencyError(
        f"no interpreter is installed, expected {' or '.join(known.title for known in (first, *others))}.",
        hint=f"Run: {first.pip} (or, where it has no wheel, {' or '.join(other.pip for other in others)})",
    )


def prediction_from_probabilities(
    probabilities: NDArray[np.float64],
    labels: tuple[str, ...],
    *,
    abstained: bool = False,
    label_threshold: float | None = None,
) -> Prediction:
    """The prediction in one row of probabilities, shape (num_classes,); ties: the lowest index.

    Args:
        probabilities: float64, 0..1.
        labels: a name for each.
        abstained: whether the answer is not a sure one.
        label_threshold: smallest probability of a label that holds, where any number may; None where one does.
    """
    values = probabilities.tolist()
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)  # stable all the same
    ranked = tuple([(labels[i], values[i]) for i in order])
    return Prediction(
        label=ranked[0][0],
        index=order[0],
        probability=ranked[0][1],
        ranked=ranked,
        abstained=abstained,
        holding=None
        if label_threshold is None
        else tuple(one for one in ranked if one[1] >= label_threshold),
    )


def _fitted(
    image: "str | Path | Image | NDArray[np.uint8]", contract: InputContract
) -> NDArray[np.uint8]:
    """The pixels of an image in the model's size; those that have it already are taken as they are."""
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape == contract.shape:
        return image
    return fit_picture(_picture(image, contract), contract)


def _picture(image: "str | Path | Image | NDArray[np.uint8]", contract: InputContract) -> "Image":
    """The picture as RGB, or with its transparency where the model takes that."""
    if isinstance(image, (str, Path)):
        return read_picture(image, contract)
    channels = contract.shape[2]
    if isinstance(image, np.ndarray):
        return picture_from_array(image, name="the array", channels=channels)
    if hasattr(image, "getexif"):  # a Pillow image, without importing Pillow to ask
        return upright_rgb(image, name="the image", keep_alpha=channels == 4)
    raise InputError(
        f"the image is a {type(image).__name__}, expected a path, a Pillow image or a uint8 array.",
        hint="Give one of these.",
    )
