"""What several models answered on the same labelled images, as data and as one .npz file.

A verdict can be drawn from the file again and again without any model: running and judging are
apart.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.models.protocols import ModelFile
from cifar_runtime.contract import ScoreKind
from cifar_runtime.documents import INLINED, from_document, to_document
from cifar_runtime.environment import Environment
from cifar_runtime.errors import InputError
from cifar_runtime.system.files import MAX_MODEL_BYTES, archive_boundary, read_once

OUTPUTS_SCHEMA = "cifar-edge/outputs/1"

MAX_UNPACKED_BYTES = 4 * 1024**3
_MEMBERS = ("header", "labels", "scores")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredModel:
    """A model that was run.

    Attributes:
        name: what tables call it, different for every model.
        model_file: the file.
        runtime: what executed it.
        score_kind: what its scores are.
    """

    name: str
    model_file: ModelFile = field(metadata=INLINED)
    runtime: str
    score_kind: ScoreKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The scores of a reference and its candidates.

    Attributes:
        split: the name of the images.
        images_sha256: digest of their pixels and labels.
        label_names: the classes, in the order of the scores.
        labels: int64, shape (n,), the right classes.
        models: the models, the reference first.
        scores: float32, shape (models, n, num_classes), in real units.
        environment: where they were run.
    """

    split: str
    images_sha256: str
    label_names: tuple[str, ...]
    labels: NDArray[np.int64]
    models: tuple[ScoredModel, ...]
    scores: NDArray[np.float32]
    environment: Environment

    def __post_init__(self) -> None:
        expected = (len(self.models), len(self.labels), len(self.label_names))
        if self.scores.shape != expected or len(self.models) < 2 or not len(self.labels):
            raise ValueError(f"scores of shape {self.scores.shape}, expected {expected}")
        if self.labels.min() < 0 or self.labels.max() >= len(self.label_names):
            raise ValueError(f"labels {self.labels.min()} to {self.labels.max()} have no name")
        names = [model.name for model in self.models]
        if len(set(names)) != len(names):
            raise ValueError(f"models named {names}, expected different names")

    def to_bytes(self) -> bytes:
        """The outputs as a compressed .npz file: ``header`` (JSON text), ``labels``, ``scores``."""
        header = {
            "schema": OUTPUTS_SCHEMA,
            "split": self.split,
            "images_sha256": self.images_sha256,
            "label_names": list(self.label_names),
            "models": to_document(self.models),
            "environment": to_document(self.environment),
        }
        stream = io.BytesIO()
        np.savez_compressed(
            stream, header=np.array(json.dumps(header)), labels=self.labels, scores=self.scores
        )
        return stream.getvalue()


def read_outputs(path: Path) -> Outputs:
    """The outputs that ``to_bytes`` wrote.

    Raises:
        InputError: the file is missing, not such a file, or contradicts itself.
    """
    data = read_once(path, max_bytes=MAX_MODEL_BYTES, error=InputError)
    with archive_boundary(
        f"{path}: is not a file of saved outputs",
        error=InputError,
        hint="Save them again with cifar-parity --save-outputs FILE.npz.",
    ):
        _check_members(data)
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            labels, scores = archive["labels"], archive["scores"]
        return _from_parts(header, labels, scores)


def _check_members(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
    names = tuple(sorted(member.filename for member in members))
    if names != tuple(f"{name}.npy" for name in _MEMBERS):
        raise ValueError(f"it holds {', '.join(names)[:200]}, expected {', '.join(_MEMBERS)}")
    unpacked_bytes = sum(member.file_size for member in members)
    if unpacked_bytes > MAX_UNPACKED_BYTES:
        raise ValueError(f"it unpacks to {unpacked_bytes} bytes, at most {MAX_UNPACKED_BYTES}")


def _from_parts(header: Mapping[str, Any], labels: NDArray[Any], scores: NDArray[Any]) -> Outputs:
    if header["schema"] != OUTPUTS_SCHEMA:
        raise ValueError(f"its schema is {header['schema']!r}, expected {OUTPUTS_SCHEMA!r}")
    if labels.dtype != np.int64 or labels.ndim != 1 or scores.dtype != np.float32:
        raise ValueError(f"labels are {labels.dtype} and scores {scores.dtype}")
    return Outputs(
        split=str(header["split"]),
        images_sha256=str(header["images_sha256"]),
        label_names=tuple(str(name) for name in header["label_names"]),
        labels=labels,
        models=tuple(from_document(ScoredModel, model) for model in header["models"]),
        scores=scores,
        environment=from_document(Environment, header["environment"]),
    )
