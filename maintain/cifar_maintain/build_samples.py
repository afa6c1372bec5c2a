"""Regenerates the shipped samples from CIFAR-10, byte for byte: ``python -m cifar_maintain.build_samples [FOLDER]``.

Every file is uncompressed, so that its bytes depend on no compressor's version; every choice follows from SHA-256
of the image's id, so that it depends on no random generator's version.
"""

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cifar_data
from cifar_data.cifar10.binary_format import records_from_images
from cifar_data.cifar10.splits import LABELS, load_official
from cifar_data.split import Split
from cifar_runtime.system.files import write_atomically

SAMPLES_FOLDER = Path(cifar_data.__file__).parent / "samples"
NUM_VALIDATION = 5000
NUM_CALIBRATION = 512
NUM_TEST = 1000
CITATION = 'Alex Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report, 2009'


def build_samples(folder: Path) -> None:
    """Writes every shipped sample into ``folder``.

    Raises:
        InputError: CIFAR-10 was not fetched.
    """
    official, test = load_official("train"), load_official("test")
    validation = stratified_ids(official.labels, NUM_VALIDATION, salt="validation")
    train_ids = np.setdiff1d(official.ids, validation)
    positions = stratified_ids(official.labels[train_ids], NUM_CALIBRATION, salt="calibration")
    calibration = official.take(train_ids[positions], name="calibration-sample")
    first_of_class = [
        np.flatnonzero(test.labels == label)[: NUM_TEST // len(LABELS)]
        for label in range(len(LABELS))
    ]
    test_sample = test.take(np.sort(np.concatenate(first_of_class)), name="test-sample")
    buffer = io.BytesIO()
    np.save(buffer, validation.astype(np.uint16), allow_pickle=False)
    others = {"validation_ids.npy": buffer.getvalue()}
    samples = {
        split.name: _write_sample(folder, split, part=part)
        for split, part in ((calibration, "train"), (test_sample, "test"))
    }
    for label, ids in zip(LABELS, first_of_class, strict=True):
        others[f"images/{label}.png"] = _png(test.images[ids[0]])
    for name, data in others.items():
        write_atomically(folder / name, data)
    record = {
        "schema": "cifar-edge/samples/1",
        "source": CITATION,
        "splits": samples,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in others.items()},
    }
    write_atomically(folder / "samples.json", (json.dumps(record, indent=1) + "\n").encode())


def stratified_ids(labels: NDArray[np.integer[Any]], count: int, *, salt: str) -> NDArray[np.int64]:
    """Positions of ``count`` examples, int64, ascending, the same number of each class (the first classes one more).

    Within a class those with the lowest SHA-256 of ``"cifar-edge SALT POSITION"`` are chosen.
    """
    chosen: list[int] = []
    for label in range(len(LABELS)):
        wanted = count // len(LABELS) + (label < count % len(LABELS))
        members = np.flatnonzero(labels == label).tolist()
        chosen += sorted(members, key=lambda position: _rank(salt, position))[:wanted]
    return np.array(sorted(chosen), dtype=np.int64)


def _rank(salt: str, position: int) -> bytes:
    return hashlib.sha256(f"cifar-edge {salt} {position}".encode()).digest()


def _write_sample(folder: Path, split: Split, *, part: str) -> dict[str, object]:
    data = records_from_images(split.images, split.labels)
    write_atomically(folder / f"{split.name}.bin", data)
    return {
        "file": f"{split.name}.bin",
        "official_part": part,
        "ids": split.ids.tolist(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=0)
    return buffer.getvalue()


if __name__ == "__main__":
    build_samples(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES_FOLDER)
