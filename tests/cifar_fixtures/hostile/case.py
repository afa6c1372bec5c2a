"""What a hostile command line is, and the files and contract that many of them share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INPUT, ARTEFACT, USAGE = 3, 4, 2  # exit codes
HEIGHT, WIDTH = 4, 4
CONTRACT = {
    "input": {
        "shape": [HEIGHT, WIDTH, 3],
        "multiplier": 1.0,
        "offset": 0.0,
        "resize_filter": "bilinear",
    },
    "labels": ["a", "b", "c"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One hostile command line.

    Attributes:
        name: of the case.
        exit_code: how cifar-classify must end.
        says: what its message must hold.
        write: makes the files in a folder that holds ``good.tflite`` and ``good.onnx`` (artefacts),
            ``good.png`` and ``contract.json``; returns the arguments of cifar-classify.
    """

    name: str
    exit_code: int
    says: str
    write: Callable[[Path], list[str]]


def foreign(name: str, says: str, file: str, data: Callable[[], bytes]) -> Case:
    def write(folder: Path) -> list[str]:
        (folder / file).write_bytes(data())
        return ["good.png", "-m", file, "--contract", "contract.json"]

    return Case(name=name, exit_code=ARTEFACT, says=says, write=write)


def nothing(path: Path) -> None:
    del path


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as stream:
        stream.truncate(size)


def of_bytes(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)
