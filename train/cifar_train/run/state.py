"""What a training run has done so far, on disk: a kill at any moment leaves the last finished epoch.

A run folder holds ``state.json`` (recipe, finished epochs, which checkpoints count) and the checkpoints it names.
"""

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.documents import from_document, to_document
from cifar_runtime.errors import InputError
from cifar_runtime.plain_text import reason_of
from cifar_runtime.system.files import archive_boundary, write_atomically
from cifar_train.recipe import TrainRecipe, recipe_from_json

SCHEMA = "cifar-edge/train-state/1"
Variables = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one epoch measured; losses are mean cross-entropies, accuracies 0..1.

    ``loss`` is the distillation loss where there is a teacher.
    ``accuracy`` is over the augmented training images as the weights moved, so it may lie below validation.
    """

    number: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    images_per_second: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """A run after its last finished epoch."""

    recipe: TrainRecipe
    epochs: tuple[Epoch, ...] = ()

    @property
    def best(self) -> Epoch:
        """The epoch with the highest validation accuracy; the earliest of equals.

        Where accuracy is what stops the run, few pictures decide it and many epochs are equal: then the one of the
        lowest validation loss among them.
        """
        by_loss = self.recipe.monitor == "validation accuracy"
        return max(
            self.epochs,
            key=lambda epoch: (
                epoch.validation_accuracy,
                -epoch.validation_loss if by_loss else -epoch.number,
            ),
        )

    @property
    def kept(self) -> Epoch:
        """The epoch whose weights are the run's result."""
        return self.best if self.recipe.keep == "best" else self.epochs[-1]

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done, or what the recipe monitors has stalled for ``patience`` epochs."""
        if len(self.epochs) >= self.recipe.epochs:
            return True
        patience = self.recipe.patience
        if patience is None or len(self.epochs) <= patience:
            return False
        if self.recipe.monitor == "training loss":
            marks = [-epoch.loss for epoch in self.epochs]
        else:
            marks = [epoch.validation_accuracy for epoch in self.epochs]
        return max(marks[-patience:]) <= max(marks[:-patience])

    def with_epoch(self, epoch: Epoch) -> "RunState":
        """The state after one more epoch."""
        return replace(self, epochs=(*self.epochs, epoch))


def save_state(folder: Path, state: RunState, variables: Variables) -> None:
    """Stores the variables of the last epoch, then the state that names them, then sweeps what no longer counts."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **variables)
    write_atomically(checkpoint_path(folder, state.epochs[-1].number), buffer.getvalue())
    document = {"schema": SCHEMA, **to_document(state)}
    write_atomically(folder / "state.json", json.dumps(document, indent=1).encode())
    counting = {checkpoint_path(folder, epoch.number) for epoch in (state.epochs[-1], state.kept)}
    for path in folder.glob("checkpoint-*.npz"):
        if path not in counting:
            path.unlink()


def forget_run(folder: Path) -> None:
    """Takes away the run in ``folder``, its state first, so that a kill leaves no state without checkpoints."""
    (folder / "state.json").unlink(missing_ok=True)
    for path in folder.glob("checkpoint-*.npz"):
        path.unlink()


def load_state(folder: Path) -> RunState:
    """The state that :func:`save_state` stored.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    path = folder / "state.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        epochs = tuple(from_document(Epoch, epoch) for epoch in document["epochs"])
        return RunState(recipe=recipe_from_json(document["recipe"]), epochs=epochs)
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise InputError(
            f"{path}: no run can be resumed from it: {reason_of(cause)}.",
            hint="Give the folder of a started run, or train anew.",
        ) from cause


def load_variables(folder: Path, epoch: Epoch) -> Variables:
    """The variables after ``epoch``.

    Raises:
        InputError: the checkpoint is missing or damaged.
    """
    path = checkpoint_path(folder, epoch.number)
    what = f"{path}: cannot be read"
    # From bytes: given a path, NumPy leaves a damaged file open.
    with (
        archive_boundary(what, error=InputError, hint="Train anew with --force."),
        np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive,
    ):
        return dict(archive)


def checkpoint_path(folder: Path, number: int) -> Path:
    """Where the variables after epoch ``number`` are kept."""
    return folder / f"checkpoint-{number:04d}.npz"
