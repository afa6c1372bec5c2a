"""Lists, hands out, gathers and writes; it never prints."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cifar_batch.cluster import check_ray, joined
from cifar_batch.place import place
from cifar_batch.recipe import BatchRecipe
from cifar_batch.results import ResultFolder
from cifar_batch.sources import Source, source_at
from cifar_runtime.artefact import Artefact
from cifar_runtime.classifier import Classifier
from cifar_runtime.errors import InputError
from cifar_runtime.plain_text import reason_of
from cifar_runtime.progress import Progress, counter_of

if TYPE_CHECKING:
    import pyarrow as pa

# A kill loses what was classified since the last file: this many results or seconds, and each worker's part.
PART_ROWS = 50_000
PART_SECONDS = 20.0
_PARTS_A_WORKER = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """What one run has done.

    Attributes:
        classified: pictures with a label.
        unsure: those of them that the model abstained on.
        failed: pictures with an error instead.
        done_before: pictures whose results were there already.
        seconds: from handing out to the last result, Ray's start not included.
        workers: processes that classified.
    """

    classified: int
    unsure: int
    failed: int
    done_before: int
    seconds: float
    workers: int


def classify_all(recipe: BatchRecipe, *, progress: Progress | None = None) -> BatchOutcome:
    """Classifies every picture of the source that has no result yet, and writes the results, in any order.

    A picture that cannot be decoded, or that a worker process dies of, gets its error as result.

    Args:
        recipe: what, with what and where.
        progress: takes a few words whenever something long begins, and counts where it can.

    Raises:
        ArtefactError: the model cannot be used.
        InputError: the source cannot be listed, the model fails at work, or Ray does not run.
        MissingDependencyError: Ray Data or the model's interpreter is not installed.
        UsageError: the results there are another model's.

    Example:
        ``classify_all(BatchRecipe(source="photos", output="results.parquet"))`` is what
        ``cifar-batch photos -o results.parquet`` does.
    """
    check_ray()
    progress = progress or (lambda _: None)
    artefact = Classifier(recipe.model, contract=recipe.contract).artefact
    results = ResultFolder(place(recipe.output), artefact)
    done = results.done()
    source = source_at(recipe.source)
    listed = source.listed()
    waiting = [left for table in listed if (left := _without(table, done)).num_rows]
    before = sum(table.num_rows for table in listed) - sum(table.num_rows for table in waiting)
    if not waiting:
        return _outcome(_Tally(), before, 0.0, 0)
    progress("starting Ray" if recipe.address is None else f"joining Ray at {recipe.address}")
    with joined(recipe.address, recipe.workers) as workers:
        run = _Run(artefact, source, results, workers)
        start = time.monotonic()
        run.all_of(waiting, progress)
        return _outcome(run.tally, before, time.monotonic() - start, workers)


def _without(table: "pa.Table", paths: set[str]) -> "pa.Table":
    import pyarrow as pa

    return table.filter(pa.array([path not in paths for path in table["path"].to_pylist()]))


@dataclass(slots=True)
class _Tally:
    classified: int = 0
    unsure: int = 0
    failed: int = 0

    def add(self, table: "pa.Table") -> None:
        import pyarrow.compute as pc

        failed = table["label"].null_count
        self.failed += failed
        self.classified += table.num_rows - failed
        self.unsure += pc.sum(table["abstained"]).as_py() or 0


def _outcome(tally: _Tally, before: int, seconds: float, workers: int) -> BatchOutcome:
    return BatchOutcome(
        classified=tally.classified,
        unsure=tally.unsure,
        failed=tally.failed,
        done_before=before,
        seconds=seconds,
        workers=workers,
    )


class _Run:
    """One run on a Ray that is there."""

    def __init__(
        self, artefact: Artefact, source: Source, results: ResultFolder, workers: int
    ) -> None:
        import ray

        self.tally = _Tally()
        self._artefact = ray.put(artefact)
        self._source = source
        self._results = results
        self._workers = workers

    def all_of(self, waiting: "list[pa.Table]", progress: Progress) -> None:
        """Classifies what waits, and writes what has come when it ends in any way, each result at most once."""
        total = sum(table.num_rows for table in waiting)
        progress(f"classifying {total:,} pictures on {self._workers} cores")
        count = counter_of(progress)
        done, unwritten, since = 0, list["pa.Table"](), time.monotonic()
        try:
            for table in self._tables(list(_parts(waiting, self._size(total)))):
                unwritten.append(table)
                done += table.num_rows
                count(done, total)
                rows = sum(one.num_rows for one in unwritten)
                if rows >= PART_ROWS or time.monotonic() - since >= PART_SECONDS:
                    # Taken out first: what an interrupt stops in its writing is never written a second time.
                    written, unwritten, since = unwritten, [], time.monotonic()
                    self._keep(written)
        finally:
            if unwritten:
                self._keep(unwritten)

    def _size(self, total: int) -> int:
        return min(self._source.most_rows, -(-total // (_PARTS_A_WORKER * self._workers)))

    def _keep(self, tables: "list[pa.Table]") -> None:
        self._results.write(tables)
        for table in tables:
            self.tally.add(table)

    def _tables(self, parts: "list[pa.Table]") -> "Iterator[pa.Table]":
        """The results as they come.

        Raises:
            InputError: Ray cannot go on, or the model fails.
        """
        from ray.exceptions import RayError

        try:
            yield from _mapped(parts, self._artefact, self._source, self._workers)
        except RayError as cause:
            raise InputError(
                f"Ray cannot go on: {reason_of(cause)}.",
                hint="What is written is safe; the same command goes on.",
            ) from cause


def _mapped(
    parts: "list[pa.Table]", artefact: Any, source: Source, workers: int
) -> "Iterator[pa.Table]":
    import ray
    from ray.data import ActorPoolStrategy

    from cifar_batch.worker import Worker

    pictures = ray.data.from_arrow(parts).map_batches(
        Worker,
        fn_constructor_args=(artefact, source),
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=min(workers, len(parts))),
        num_cpus=1,
    )
    yield from pictures.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)


def _parts(tables: "list[pa.Table]", size: int) -> "Iterator[pa.Table]":
    for table in tables:
        for start in range(0, table.num_rows, size):
            yield table.slice(start, size)
