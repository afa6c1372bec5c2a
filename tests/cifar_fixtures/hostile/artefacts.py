"""Model files that are none, and artefacts of ours whose files do not belong together."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cifar_fixtures.hostile.case import (
    ARTEFACT,
    Case,
    nothing,
    of_bytes,
    sparse,
)


def model_files() -> Iterator[Case]:
    yield _model("model-missing", "cannot be read", nothing)
    yield _model("model-is-a-folder", "is not a regular file", lambda path: path.mkdir())
    yield _model("model-is-a-fifo", "is not a regular file", os.mkfifo)
    yield _model(
        "model-is-an-endless-device",
        "is not a regular file",
        lambda path: path.symlink_to("/dev/zero"),
    )
    yield _model("model-is-a-link-to-itself", "cannot be read", lambda path: path.symlink_to(path))
    yield _model("model-of-513-mib", "is larger than", lambda path: sparse(path, 513 << 20))
    yield _model("model-empty", "content is not tflite", lambda path: path.write_bytes(b""))
    yield _model(
        "model-is-a-pickle",
        "is not a model this runs",
        of_bytes(b"\x80\x04cos\nsystem\n"),
        "model.h5",
    )
    yield _model("model-name-with-a-nul", "cannot be read", nothing, "bad\0name.tflite")
    for name, good in (("tflite", "good.tflite"), ("onnx", "good.onnx")):
        yield _artefact(f"{name}-truncated", "the file changed after export", good, _cut)
        yield _artefact(f"{name}-one-bit-flipped", "the file changed after export", good, _flip)
        yield _artefact(f"{name}-grown-by-a-byte", "the file changed after export", good, _grow)
        yield _artefact(f"{name}-card-lost", "is missing", good, lambda path: _card(path).unlink())
    yield _artefact("onnx-renamed-tflite", "format is 'onnx'", "good.onnx", _rename(".tflite"))
    yield _artefact("tflite-renamed-onnx", "format is 'tflite'", "good.tflite", _rename(".onnx"))


def _model(name: str, says: str, make: Callable[[Path], Any], file: str = "model.tflite") -> Case:
    def write(folder: Path) -> list[str]:
        make(folder / file)
        return ["good.png", "-m", file]

    return Case(name=name, exit_code=ARTEFACT, says=says, write=write)


def _artefact(name: str, says: str, good: str, change: Callable[[Path], Path | None]) -> Case:
    def write(folder: Path) -> list[str]:
        changed = change(folder / good) or folder / good
        return ["good.png", "-m", changed.name]

    return Case(name=name, exit_code=ARTEFACT, says=says, write=write)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _rename(suffix: str) -> Callable[[Path], Path]:
    def rename(path: Path) -> Path:
        renamed = path.with_suffix(suffix)
        for old, new in ((_card(path), _card(renamed)), (path, renamed)):
            old.replace(new)
        return renamed

    return rename


def _card(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def cards() -> Iterator[Case]:
    def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
        def edit(path: Path) -> None:
            card = json.loads(_card(path).read_text())
            change(card)
            _card(path).write_text(json.dumps(card))

        return edit

    def raw(text: bytes) -> Callable[[Path], None]:
        return lambda path: _card(path).write_bytes(text) and None

    def fifo(path: Path) -> None:
        _card(path).unlink()
        os.mkfifo(_card(path))

    for name, says, change in (
        ("card-empty", "is not valid JSON", raw(b"")),
        ("card-nested-100000-deep", "is not valid JSON", raw(b"[" * 100_000)),
        ("card-not-text", "is not valid JSON", raw(b"\xff\xfe{")),
        ("card-number-of-100000-digits", "is not valid JSON", raw(b"9" * 100_000)),
        ("card-is-a-list", "its schema is None", raw(b"[]")),
        ("card-of-17-mib", "is larger than", lambda path: sparse(_card(path), 17 << 20)),
        ("card-is-a-fifo", "is not a regular file", fifo),
        (
            "card-labels-swapped",
            "its contract is not what the model carries",
            edited(lambda card: card["contract"]["labels"].reverse()),
        ),
        (
            "card-scale-nan",
            "its contract is not what the model carries",
            edited(lambda card: card["contract"]["input"].update(scale=float("nan"))),
        ),
        (
            "card-accuracy-polished",
            "its provenance is not what the model carries",
            edited(lambda card: card["provenance"]["parity"].update(candidate_correct=1000)),
        ),
        (
            "card-golden-vectors-removed",
            "its golden_vectors is not what the model carries",
            edited(lambda card: card.pop("golden_vectors")),
        ),
        (
            "card-of-the-future",
            "its schema is 'cifar-edge/artefact/9'",
            edited(lambda card: card.update(schema="cifar-edge/artefact/9")),
        ),
    ):
        yield _artefact(name, says, "good.tflite", change)

    def swap(path: Path) -> None:
        shutil.copy(_card(path.with_name("good.onnx")), _card(path))

    yield _artefact("card-of-another-model", "the file changed after export", "good.tflite", swap)
