"""An exported model to measure, and the checks and names that all measured models share."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.models.protocols import ModelFacts, ModelFile
from cifar_runtime.artefact import Artefact, card_path, open_artefact, refuse_independent
from cifar_runtime.contract import Contract
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.known_formats import SUFFIXES, format_from_suffix
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.scores import dequantize, probabilities_from_scores
from cifar_runtime.sessions.base import DEFAULT_OPTIONS, SessionOptions
from cifar_runtime.sessions.open import open_session
from cifar_runtime.sessions.process_limits import limit_memory
from cifar_runtime.sessions.system_calls import forbid_system_calls
from cifar_runtime.system.files import exists


class ExportedModel:
    """An exported model, opened by the runtime that would run it on a device."""

    def __init__(
        self,
        model: Path,
        *,
        contract: str | None = None,
        threads: int = 1,
        options: SessionOptions = DEFAULT_OPTIONS,
        own_process: bool = False,
    ) -> None:
        """Opens the model.

        Args:
            model: a .tflite or .onnx file.
            contract: for a model without a card; one with a card has its own.
            threads: threads one inference may use.
            options: how the interpreter is set up.
            own_process: this process is there for the model alone: a foreign one runs in it, and it gets the limits
                of its child process for good, but for writing files and for processor time.

        Raises:
            ArtefactError: the model or its card cannot be used, or any number of its labels may hold.
            MissingDependencyError: its interpreter is not installed.
        """
        artefact = open_measured(model, contract=contract)
        refuse_independent(artefact)
        if own_process and artefact.foreign:
            limit_memory(artefact, beside_what_is_held=True)
            forbid_system_calls(files=False)
            artefact = replace(artefact, foreign=False)
        self._artefact = artefact
        self._session = open_session(self._artefact, threads=threads, options=options)
        self._threads = threads
        self._table = input_table(artefact.contract.input)

    @property
    def artefact(self) -> Artefact:
        """The opened artefact."""
        return self._artefact

    @property
    def name(self) -> str:
        """The name in the model's card."""
        return self._artefact.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names in the model's contract."""
        return self.contract.labels

    @property
    def contract(self) -> Contract:
        """How the model is fed and read."""
        return self._artefact.contract

    @property
    def model_file(self) -> ModelFile:
        """The model's file."""
        return ModelFile(
            file=self._artefact.path.name,
            format=self._artefact.format,
            size_bytes=len(self._artefact.data),
            sha256=self._artefact.sha256,
        )

    @property
    def runtime(self) -> str:
        """The interpreter."""
        return self._session.runtime

    @property
    def threads(self) -> int | None:
        """Threads the interpreter was opened with."""
        return self._threads

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) in the model's contract."""
        return self.contract.input.shape

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores, float32, shape (n, num_classes), of images, uint8, shape (n, height, width, 3)."""
        return dequantize(self._session.run(np.take(self._table, images)), self.contract.output)

    def probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities, float64, in the shape of the scores, as the contract says."""
        return probabilities_from_scores(scores, self.contract.output)

    def prepare(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """The images as one input tensor in the contract's dtype, shape (n, height, width, 3)."""
        return np.ascontiguousarray(np.take(self._table, images))

    def infer(self, tensor: Any) -> Any:
        """``session.run`` on one tensor."""
        return self._session.run(tensor)


def open_measured(model: Path, *, contract: str | None) -> Artefact:
    """The artefact of a model; a given contract is for one without a card and else left aside.

    Raises:
        ArtefactError: the model or its card cannot be used.
    """
    if format_from_suffix(model.suffix) is None:
        raise ArtefactError(
            f"{model}: is not a model this runs, expected a .keras, {' or '.join(SUFFIXES)} file.",
            hint="Check the name, or convert a Keras checkpoint with cifar-export.",
        )
    return open_artefact(model, contract=None if exists(card_path(model)) else contract)


def distinct_names(models: Sequence[ModelFacts]) -> tuple[str, ...]:
    """A name for every model: its own; where others share it, with its format, then with a number."""
    names = [model.name for model in models]
    with_formats = [
        name if names.count(name) == 1 else f"{name}.{model.model_file.format}"
        for name, model in zip(names, models, strict=True)
    ]
    return tuple(
        name
        if with_formats.count(name) == 1
        else f"{name} #{with_formats[: index + 1].count(name)}"
        for index, name in enumerate(with_formats)
    )


def check_fits(model: ModelFacts, *, labels: tuple[str, ...], images: NDArray[np.uint8]) -> None:
    """Refuses a model that was made for other classes or for images of another size.

    Raises:
        ArtefactError: its labels or its image shape differ.
    """
    hint = "Measure it on images of its own task."
    if model.labels != labels:
        raise ArtefactError(
            f"{model.model_file.file}: its labels are {', '.join(model.labels)}; the images' are "
            f"{', '.join(labels)}.",
            hint=hint,
        )
    if model.image_shape != images.shape[1:]:
        raise ArtefactError(
            f"{model.model_file.file}: takes images of shape {model.image_shape}; these are "
            f"{images.shape[1:]}.",
            hint=hint,
        )
