"""A certificate: what one machine made of a model's golden vectors. Data and its JSON form; it runs nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.documents import from_document, to_document
from cifar_runtime.errors import InputError
from cifar_runtime.golden import Replay
from cifar_runtime.plain_text import reason_of

SCHEMA = "cifar-edge/certificate/1"
Verdict = Literal["same", "close", "differs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedModel:
    """Which model ran: its card's name, and the sha256 of its file."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One golden vector.

    Attributes:
        decision: the label of the best score.
        verdict: of the machine's own self-test: same, close (within the card's tolerance) or differs.
        scores: in real units, in the order of the labels.
    """

    decision: str
    verdict: Verdict
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorOutput:
    """What an operator made of the first golden image.

    Attributes:
        operator: its name, such as CONV_2D.
        tensor: the index in the model file of the tensor that it writes.
        crc32: of that tensor's bytes, eight hexadecimal digits.
    """

    operator: str
    tensor: int
    crc32: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorOutputs:
    """What every operator made of the first golden image.

    Attributes:
        kernels: what computed them, which may be others than those that gave the scores.
        outputs: in the order in which they ran.
    """

    kernels: str
    outputs: tuple[OperatorOutput, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What one machine made of a model's golden vectors.

    Attributes:
        model: which model.
        device: the machine, in words; never its name.
        kernels: what computed the scores.
        self_test: the scores beside those in the card.
        vectors: every golden vector.
        operators: what each operator made of the first; None where nobody asked.
    """

    model: CertifiedModel
    device: str
    kernels: str
    self_test: Replay
    vectors: tuple[Vector, ...]
    operators: OperatorOutputs | None = None

    @property
    def passed(self) -> bool:
        """Whether the machine's own self-test passed."""
        return all(vector.verdict != "differs" for vector in self.vectors)

    def to_json(self) -> dict[str, Any]:
        """The certificate as JSON-ready data."""
        document: dict[str, Any] = {"schema": SCHEMA, **to_document(self)}
        # A firmware passes by its own golden scores; the card's are another family's.
        document["self_test"]["passed"] = self.passed
        return document


def certificate_from_json(document: Any, *, origin: str) -> Certificate:
    """The certificate in a JSON document.

    Args:
        document: parsed JSON.
        origin: where it was read, for the message.

    Raises:
        InputError: it is no certificate.
    """
    try:
        if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
            raise ValueError("it does not name the schema")
        return from_document(Certificate, document)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{origin}: is no {SCHEMA} document: {reason_of(error)}.",
            hint="Write it with cifar-info MODEL --self-test --json FILE.json.",
        ) from error


def certified_vectors(
    scores: NDArray[np.float32], verdicts: Sequence[Verdict], labels: Sequence[str]
) -> tuple[Vector, ...]:
    """Vectors of scores, float32, shape (n, num_classes), with a verdict each."""
    return tuple(
        Vector(
            decision=labels[int(row.argmax())],
            verdict=verdict,
            # str of a float32 is its shortest exact form.
            scores=tuple(float(str(score)) for score in row),
        )
        for row, verdict in zip(scores, verdicts, strict=True)
    )
