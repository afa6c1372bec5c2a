"""Decodes picture files, once each, into rows of a memory-mapped file; with several processes where there are many.

The pixels are those of ``cifar_runtime``'s own code, which a device runs too.
"""

import hashlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from cifar_runtime.contract import InputContract
from cifar_runtime.errors import CifarEdgeError, InputError
from cifar_runtime.imaging.fitted_image import read_fitted
from cifar_runtime.imaging.image import jpeg_divisor, read_image
from cifar_runtime.imaging.preprocess import fit_picture
from cifar_runtime.system.interruption import sparing_children

# Below this, starting processes takes longer than decoding.
FEW = 256
_CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What decoding found of one picture.

    Attributes:
        sha256: of width and height, as little-endian uint32, and the upright RGB pixels of the whole picture, so that
            it depends neither on the file's format and metadata nor on the model's size; None where it failed.
        fitted_sha256: of the pixels in the model's size; None where it failed.
        size: width and height in pixels; None where it failed.
        problem: why it could not be decoded; None where it could.
    """

    sha256: str | None = None
    fitted_sha256: str | None = None
    size: tuple[int, int] | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Pictures to decode into consecutive or scattered rows of one file.

    Attributes:
        rows: the file of raw uint8 pixels, shape (n, height, width, 3).
        num_rows: n.
        contract: the size, and how pictures are brought to it.
        files: (row, path) of each picture.
    """

    rows: Path
    num_rows: int
    contract: InputContract
    files: tuple[tuple[int, Path], ...]


def decode_all(
    job: Job, *, processes: int, on_done: Callable[[int, int], None]
) -> dict[int, Decoded]:
    """What decoding found, by row; the rows hold the pixels, zeros where a picture failed.

    Args:
        job: the pictures.
        processes: how many decode at once; one decodes in this process, as do few pictures.
        on_done: takes how many of how many are done.

    Raises:
        CifarEdgeError: a process was killed.
    """
    found: dict[int, Decoded] = {}
    if processes == 1 or len(job.files) < FEW:
        for part in _parts(job):
            found.update(decode_part(part))
            on_done(len(found), len(job.files))
        return found
    try:
        for done in _in_processes(job, processes):
            found.update(done)
            on_done(len(found), len(job.files))
    except BrokenProcessPool as cause:
        raise CifarEdgeError(
            f"a process that decodes pictures of {job.files[0][1].parent} was killed.",
            hint="Free some memory, and run the command again.",
        ) from cause
    return found


def _in_processes(job: Job, processes: int) -> Iterator[dict[int, Decoded]]:
    """The results of parts as they come; no more parts wait than processes can take soon."""
    # A fork would copy the locks of TensorFlow's threads.
    context = multiprocessing.get_context("spawn")
    parts = _parts(job)
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        with sparing_children():
            waiting = {pool.submit(decode_part, part) for part in islice(parts, 2 * processes)}
        while waiting:
            done = next(as_completed(waiting))
            waiting.remove(done)
            with sparing_children():
                waiting |= {pool.submit(decode_part, part) for part in islice(parts, 1)}
            yield done.result()


def _parts(job: Job) -> Iterator[Job]:
    for start in range(0, len(job.files), _CHUNK):
        yield Job(
            rows=job.rows,
            num_rows=job.num_rows,
            contract=job.contract,
            files=job.files[start : start + _CHUNK],
        )


def decode_part(job: Job) -> dict[int, Decoded]:
    """Decodes the pictures of one part, in this process."""
    shape = (job.num_rows, *job.contract.shape)
    rows = np.memmap(job.rows, dtype=np.uint8, mode="r+", shape=shape)
    found = {}
    for row, path in job.files:
        try:
            picture = read_image(path)
        except InputError as error:
            found[row] = Decoded(problem=str(error).removeprefix(f"{path}: "))
            continue
        fitted = (
            fit_picture(picture, job.contract)
            if jpeg_divisor(picture.size, job.contract.least_jpeg_side) == 1
            else read_fitted(path, job.contract)
        )
        digest = hashlib.sha256(np.array(picture.size, "<u4").tobytes())
        digest.update(picture.tobytes())
        rows[row] = fitted
        found[row] = Decoded(
            sha256=digest.hexdigest(),
            fitted_sha256=hashlib.sha256(fitted.tobytes()).hexdigest(),
            size=picture.size,
        )
    rows.flush()
    return found
