"""What every process of the pool does: opens the model once, then classifies parts of what was listed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_batch.journal import MOST_DEATHS, Journal
from cifar_batch.results import results_table
from cifar_batch.sources import Picture, Source
from cifar_runtime.classifier import Classifier, Prediction
from cifar_runtime.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


class Worker:
    """Classifies each picture alone, as ``Classifier.classify`` does, so that answers are cifar-classify's."""

    def __init__(self, artefact: Any, source: Source) -> None:
        """Opens the model.

        Args:
            artefact: Ray's reference to the opened artefact, so that a machine fetches it once.
            source: opens the pictures.
        """
        import ray

        actor = ray.get_runtime_context().get_actor_id()  # the same after a restart
        self._journal = Journal(Path(tempfile.gettempdir()) / f"cifar-batch-{actor}")
        self._classifier = Classifier(ray.get(artefact))
        self._source = source

    def __call__(self, part: "pa.Table") -> "pa.Table":
        """The results of a part of a listed table, in its order."""
        results = results_table(self._outcomes(part))
        self._journal.forget()
        return results

    def _outcomes(self, part: "pa.Table") -> Iterator[tuple[str, Prediction | InputError]]:
        for picture in self._source.pictures(part):
            yield picture.path, self._outcome(picture)

    def _outcome(self, picture: Picture) -> Prediction | InputError:
        if self._journal.is_deadly(picture.path):
            return InputError(
                f"{picture.path}: {MOST_DEATHS} processes that classified it died, perhaps for memory.",
                hint="Look at it with cifar-classify.",
            )
        self._journal.note(picture.path)
        contract = self._classifier.artefact.contract.input
        try:
            return self._classifier.classify(picture.read(contract))
        except InputError as error:
            return error
