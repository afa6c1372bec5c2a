"""One question about many files, answered in several processes, with the answers in the order of the files.

Processes, since decoding pictures holds a lock that threads would wait for. It never prints. What starts them is
imported where they start: it would cost a lone picture a third of its time.
"""

import itertools
import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.system.interruption import sparing_children

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

Answer = TypeVar("Answer")

# Two parts a process are under way: one in work, one that waits. A list goes in parts, since a small picture takes no
# longer than handing it over; what arrives bit by bit goes one by one, so that an answer waits for few later names.
_PART = 16
_PARTS_A_PROCESS = 2

_ask: Callable[[str | Path], Any]  # of a worker process


def answers(
    ask: Callable[[str | Path], Answer], paths: Iterable[str | Path], *, jobs: int
) -> Iterator[Answer | InputError]:
    """The answer for every path, or why the file has none, in order, as they become known.

    Args:
        ask: answers; pickled for each process.
        paths: of files; taken as they are needed, a bounded number ahead.
        jobs: processes; 1: this one.

    Raises:
        ArtefactError: as ``ask``, or a process was killed.
    """
    if jobs == 1:
        return (_answer(ask, path) for path in paths)
    return _answers_of_processes(ask, paths, jobs)


def _answers_of_processes(
    ask: Callable[[str | Path], Answer], paths: Iterable[str | Path], jobs: int
) -> Iterator[Answer | InputError]:
    from concurrent.futures.process import BrokenProcessPool

    waiting: deque[Future[list[Answer | InputError]]] = deque()
    size = _PART if isinstance(paths, list | tuple) else 1
    with _pool(ask, jobs) as pool:
        try:
            for part in _parts(iter(paths), size):
                with sparing_children():
                    waiting.append(pool.submit(_answers, part))
                if len(waiting) > jobs * _PARTS_A_PROCESS:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            raise ArtefactError(
                f"one of {jobs} processes was killed while it classified, perhaps for memory.",
                hint="Use fewer processes.",
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _parts(paths: Iterator[str | Path], size: int) -> Iterator[tuple[str | Path, ...]]:
    while part := tuple(itertools.islice(paths, size)):
        yield part


def _pool(ask: Callable[[str | Path], Any], jobs: int) -> "ProcessPoolExecutor":
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_remember,
        initargs=(pickle.dumps(ask),),
    )


def _remember(pickled: bytes) -> None:
    global _ask  # noqa: PLW0603 - a worker process has one
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Windows has no masks
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # before NumPy: a thread costs 70 ms to start
    _ask = pickle.loads(pickled)  # noqa: S301 - this process' parent has made it


def _answers(paths: tuple[str | Path, ...]) -> list[Any]:
    return [_answer(_ask, path) for path in paths]


def _answer(ask: Callable[[str | Path], Answer], path: str | Path) -> Answer | InputError:
    try:
        return ask(path)
    except InputError as error:
        return error
