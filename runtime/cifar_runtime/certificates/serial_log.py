"""Reads what a firmware's self-test printed, over a serial line or into a file, as a certificate. It runs nothing."""

import re
from pathlib import Path
from typing import cast

import numpy as np

from cifar_runtime.artefact import Artefact
from cifar_runtime.certificates.certificate import (
    Certificate,
    CertifiedModel,
    OperatorOutput,
    OperatorOutputs,
    Verdict,
    certified_vectors,
)
from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.golden import golden_from_card, replay_from_scores
from cifar_runtime.scores import dequantize
from cifar_runtime.system.files import read_once

_MAX_BYTES = 16 * 1024 * 1024
_MODEL = re.compile(r"^model (\S+) sha256 ([0-9a-f]{64})$", re.MULTILINE)
_FACT = r"^{} (.+)$"
_VECTOR = re.compile(r"^vector (\d+) (same|differs) (.*?) scores((?: -?\d+)+)$", re.MULTILINE)
_OPERATOR = re.compile(
    r"^operator \d+ (\S+) (?:same|differs) tensor (\d+) crc32 ([0-9a-f]{8})$", re.MULTILINE
)
_END = re.compile(r"^self-test (?:passed|failed: .*)$", re.MULTILINE)


def read_serial_log(path: Path, artefact: Artefact) -> Certificate:
    """The certificate of a board, from what its self-test printed; lines of others around it are passed over.

    Args:
        path: the log; its last complete self-test counts.
        artefact: the int8 .tflite file that the firmware was made of.

    Raises:
        InputError: the log cannot be read, or holds no complete self-test.
        ArtefactError: the log is of another model, or the model is not int8 or has no golden vectors.
    """
    begin, text = _last_self_test(_text(path), path)
    name, sha256 = begin.groups()
    if sha256 != artefact.sha256:
        raise ArtefactError(
            f"{path}: the board ran {name} of sha256 {sha256}, expected {artefact.name} of {artefact.sha256}.",
            hint="Give the model that the firmware was made of, or write the firmware again.",
        )
    golden = golden_from_card(artefact.card)
    rows = list(_VECTOR.finditer(text))
    scores = [[int(score) for score in row[4].split()] for row in rows]
    numbers = [int(row[1]) for row in rows]
    if numbers != list(range(1, len(golden.scores) + 1)) or any(
        len(row) != golden.scores.shape[1] for row in scores
    ):
        raise _incomplete(
            path, f"vectors {numbers}", f"{len(golden.scores)}, of {golden.scores.shape[1]} scores"
        )
    if any(not -128 <= score <= 127 for row in scores for score in row):
        raise _incomplete(path, "a score beyond -128..127", "int8 scores")
    found = dequantize(np.array(scores, np.int8), artefact.contract.output)
    verdicts = [cast("Verdict", row[2]) for row in rows]
    kernels = _fact("kernels", text)
    operators = tuple(
        OperatorOutput(operator=one[1], tensor=int(one[2]), crc32=one[3])
        for one in _OPERATOR.finditer(text)
    )
    return Certificate(
        model=CertifiedModel(name=artefact.name, sha256=artefact.sha256),
        device=_fact("device", text),
        kernels=kernels,
        self_test=replay_from_scores(golden, found),
        vectors=certified_vectors(found, verdicts, artefact.contract.labels),
        operators=OperatorOutputs(kernels=kernels, outputs=operators) if operators else None,
    )


def _text(path: Path) -> str:
    """The log's text; what a bad line garbled is replaced, and a terminal's line ends are plain ones."""
    data = read_once(path, max_bytes=_MAX_BYTES, error=InputError)
    return data.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def _last_self_test(text: str, path: Path) -> tuple["re.Match[str]", str]:
    """Its first line, and all of it."""
    ends = list(_END.finditer(text))
    starts = [found for found in _MODEL.finditer(text) if ends and found.end() < ends[-1].start()]
    if not starts:
        raise _incomplete(path, "no line 'model ... sha256 ...' with an end", "both")
    return starts[-1], text[starts[-1].start() : ends[-1].end()]


def _fact(name: str, text: str) -> str:
    found = re.search(_FACT.format(name), text, re.MULTILINE)
    return found[1] if found else "unknown"


def _incomplete(path: Path, found: str, expected: str) -> InputError:
    return InputError(
        f"{path}: is no complete self-test: it has {found}, expected {expected}.",
        hint="Record everything that the board prints, from 'model' to 'self-test passed'.",
    )
