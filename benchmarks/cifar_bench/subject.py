"""Opens what a recipe names: exported models through cifar_runtime, checkpoints through keras."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cifar_bench.keras_scorer import KerasScorer
from cifar_bench.recipe import BenchRecipe
from cifar_bench.scorer import ModelFile, Subject
from cifar_runtime.artefact import card_path
from cifar_runtime.classifier import Classifier
from cifar_runtime.contract import Contract
from cifar_runtime.errors import ArtefactError
from cifar_runtime.preprocess import input_table


class ArtefactSubject:
    """An exported model, opened by the runtime that would run it on a device."""

    def __init__(
        self,
        model: Path | None,
        *,
        contract: str | None = None,
        runtime: Literal["auto", "tflite", "onnx"] = "auto",
        threads: int = 1,
    ) -> None:
        """Opens the model, or the default model of ``runtime`` for None.

        A stated contract is for a model without a card; one with a card has its own.

        Raises:
            ArtefactError: the model or its card cannot be used.
            MissingDependencyError: its interpreter is not installed.
        """
        needs_contract = model is not None and not card_path(model).exists()
        self._classifier = Classifier(
            model, contract=contract if needs_contract else None, runtime=runtime, threads=threads
        )
        self._threads = threads
        artefact = self._classifier.artefact
        self._contract = artefact.contract
        self._model_file = ModelFile(
            file=artefact.path.name,
            format=artefact.format,
            size_bytes=len(artefact.data),
            sha256=artefact.sha256,
        )

    @property
    def name(self) -> str:
        """The name in the model's card."""
        return self._classifier.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names in the model's contract."""
        return self._classifier.labels

    @property
    def contract(self) -> Contract:
        """How the model is fed and read."""
        return self._contract

    @property
    def model_file(self) -> ModelFile:
        """The model's file."""
        return self._model_file

    @property
    def runtime(self) -> str:
        """The interpreter."""
        return self._classifier.session.runtime

    @property
    def threads(self) -> int | None:
        """Threads the interpreter was opened with."""
        return self._threads

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) in the model's contract."""
        return self._contract.input.shape

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores, float32, shape (n, num_classes), of images, uint8, shape (n, height, width, 3)."""
        return self._classifier.scores(images)

    def prepare(self, images: NDArray[np.uint8]) -> list[Any]:
        """One input tensor in the contract's dtype, shape (1, height, width, 3), for every image."""
        table = input_table(self._contract.input)
        return [table[image][np.newaxis] for image in images]

    def infer(self, tensor: Any) -> Any:
        """``session.run`` on one tensor."""
        return self._classifier.session.run(tensor)


def open_subjects(recipe: BenchRecipe, *, labels: tuple[str, ...]) -> tuple[Subject, ...]:
    """Everything the recipe names, checkpoints first.

    Args:
        recipe: names the models; none means the runtime's default ones.
        labels: class names of the images that will be scored.

    Raises:
        ArtefactError: a model cannot be used.
        MissingDependencyError: keras or an interpreter is not installed.
    """
    checkpoints = [
        KerasScorer(path, labels=labels, threads=recipe.threads) for path in recipe.against
    ]
    if recipe.models:
        exported = [
            ArtefactSubject(path, contract=recipe.contract, threads=recipe.threads)
            for path in recipe.models
        ]
    else:
        exported = _default_subjects(threads=recipe.threads)
    return (*checkpoints, *exported)


def distinct_names(subjects: Sequence[Subject]) -> tuple[str, ...]:
    """A name for every subject: its own; where others share it, with its format, then with a number."""
    names = [subject.name for subject in subjects]
    with_formats = [
        name if names.count(name) == 1 else f"{name}.{subject.model_file.format}"
        for name, subject in zip(names, subjects, strict=True)
    ]
    return tuple(
        name
        if with_formats.count(name) == 1
        else f"{name} #{with_formats[: index + 1].count(name)}"
        for index, name in enumerate(with_formats)
    )


def check_fits(subject: Subject, *, labels: tuple[str, ...], images: NDArray[np.uint8]) -> None:
    """Refuses a subject that was made for other classes or for images of another size.

    Raises:
        ArtefactError: its labels or its image shape differ.
    """
    hint = "Measure it on images of its own task."
    if subject.labels != labels:
        raise ArtefactError(
            f"{subject.model_file.file}: its labels are {', '.join(subject.labels)}; the images' are "
            f"{', '.join(labels)}.",
            hint=hint,
        )
    if subject.image_shape != images.shape[1:]:
        raise ArtefactError(
            f"{subject.model_file.file}: takes images of shape {subject.image_shape}; these are "
            f"{images.shape[1:]}.",
            hint=hint,
        )


def _default_subjects(*, threads: int) -> list[ArtefactSubject]:
    subjects = []
    if importlib.util.find_spec("ai_edge_litert"):
        subjects.append(ArtefactSubject(None, runtime="tflite", threads=threads))
    if importlib.util.find_spec("onnxruntime"):
        subjects.append(ArtefactSubject(None, runtime="onnx", threads=threads))
    # With neither, the runtime's own error says what to install.
    return subjects or [ArtefactSubject(None, threads=threads)]
