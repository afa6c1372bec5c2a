"""Two machines' certificates of one model, compared: scores, decisions, and the first operator that differs. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifar_runtime.certificates.certificate import Certificate, OperatorOutput, OperatorOutputs
from cifar_runtime.documents import to_document
from cifar_runtime.errors import ArtefactError, InputError

SCHEMA = "cifar-edge/certificate-comparison/1"
# Their output is their input: a firmware does not run them.
_ALIASES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One of the two: its device and kernels in words, and whether its own self-test passed."""

    device: str
    kernels: str
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorComparison:
    """What operators made of the first golden image on both machines.

    Attributes:
        compared: how many are in both certificates, by the tensor that they write.
        same_before: how many are the same before the first that differs; all, where none does.
        first_difference: the first whose output differs, on the first machine; None where none does.
    """

    compared: int
    same_before: int
    first_difference: OperatorOutput | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateComparison:
    """Two machines' answers to one model's golden vectors.

    Attributes:
        name: the model's.
        sha256: of its file.
        machines: both.
        num_vectors: golden vectors.
        identical: of them, those with the same scores, bit for bit.
        same_decisions: of them, those with the same best class.
        max_difference: largest difference of a score, in real units.
        tolerance: the largest that the model's card allows between machines.
        operators: None where a certificate has none.
    """

    name: str
    sha256: str
    machines: tuple[Machine, Machine]
    num_vectors: int
    identical: int
    same_decisions: int
    max_difference: float
    tolerance: float
    operators: OperatorComparison | None

    @property
    def same_family(self) -> bool:
        """Whether both have LiteRT's kernels, onnxruntime's, or those of our C: others round otherwise."""
        first, second = (one.kernels.partition(" ")[0] for one in self.machines)
        return first == second

    @property
    def passed(self) -> bool:
        """Whether both self-tests passed and the machines answer alike.

        Kernels of one family must give scores within the tolerance of one another, others the same decisions.
        """
        alike = (
            self.max_difference <= self.tolerance
            if self.same_family
            else self.same_decisions == self.num_vectors
        )
        return alike and all(one.passed for one in self.machines)

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON-ready data."""
        return {"schema": SCHEMA, **to_document(self, "passed")}


def compare_certificates(
    first: Certificate, second: Certificate, *, layers: bool = False
) -> CertificateComparison:
    """How two machines answer the same golden vectors.

    Args:
        first: one machine's certificate.
        second: the other's.
        layers: operators must be compared; otherwise they are where both certificates have them.

    Raises:
        ArtefactError: the certificates are of different models.
        InputError: ``layers``, and one of them has no operators.
    """
    if first.model.sha256 != second.model.sha256:
        raise ArtefactError(
            f"the certificates are of {first.model.name} (sha256 {first.model.sha256}) and "
            f"{second.model.name} ({second.model.sha256}), expected one model.",
            hint="Certify both machines with the same file.",
        )
    scores = [np.array([one.scores for one in each.vectors]) for each in (first, second)]
    if scores[0].shape != scores[1].shape:
        raise InputError(
            f"the certificates hold scores of shape {scores[0].shape} and {scores[1].shape}, expected equal ones.",
            hint="Certify both machines again.",
        )
    differences = np.abs(scores[0] - scores[1])
    return CertificateComparison(
        name=first.model.name,
        sha256=first.model.sha256,
        machines=(_machine(first), _machine(second)),
        num_vectors=len(differences),
        identical=int((differences.max(axis=1) == 0).sum()),
        same_decisions=int((scores[0].argmax(axis=1) == scores[1].argmax(axis=1)).sum()),
        max_difference=float(differences.max()),
        tolerance=first.self_test.tolerance,
        operators=_operators(first, second, needed=layers),
    )


def comparison_lines(comparison: CertificateComparison) -> Iterator[str]:
    """The comparison for people."""
    total = comparison.num_vectors
    yield f"{comparison.name} (sha256 {comparison.sha256})"
    for letter, machine in zip("AB", comparison.machines, strict=True):
        verdict = "passed" if machine.passed else "FAILED"
        yield f"{letter}  {machine.device}; {machine.kernels}: self-test {verdict}"
    limit = (
        f"allowed are {comparison.tolerance:.3g}"
        if comparison.same_family
        else "as other kernels round"
    )
    apart = (
        ""
        if comparison.identical == total
        else f", the others up to {comparison.max_difference:.3g} apart, {limit}"
    )
    yield f"scores      {comparison.identical} of {total} golden vectors identical, bit for bit{apart}"
    yield f"decisions   {comparison.same_decisions} of {total} the same"
    if comparison.operators is not None:
        yield f"operators   {_operators_sentence(comparison.operators)}"
    yield f"verdict     {'passed' if comparison.passed else 'FAILED'}"


def _machine(certificate: Certificate) -> Machine:
    return Machine(
        device=certificate.device, kernels=certificate.kernels, passed=certificate.passed
    )


def _operators(
    first: Certificate, second: Certificate, *, needed: bool
) -> OperatorComparison | None:
    if first.operators is not None and second.operators is not None:
        return _compared(first.operators, second.operators)
    if needed:
        without = first if first.operators is None else second
        raise InputError(
            f"the certificate of {without.device} has no operators, expected a checksum of each.",
            hint="Certify with cifar-info --self-test --layers --json, a board with a build of -DMODEL_TRACE.",
        )
    return None


def _compared(first: OperatorOutputs, second: OperatorOutputs) -> OperatorComparison:
    other: Mapping[int, str] = {one.tensor: one.crc32 for one in second.outputs}
    both = [one for one in first.outputs if one.tensor in other and one.operator not in _ALIASES]
    for number, one in enumerate(both):
        if one.crc32 != other[one.tensor]:
            return OperatorComparison(compared=len(both), same_before=number, first_difference=one)
    return OperatorComparison(compared=len(both), same_before=len(both), first_difference=None)


def _operators_sentence(operators: OperatorComparison) -> str:
    if operators.first_difference is None:
        return f"all {operators.compared} give the same output, bit for bit"
    first = operators.first_difference
    return (
        f"the first that differs is number {operators.same_before + 1} of {operators.compared}, "
        f"{first.operator} (tensor {first.tensor}); those before it are the same"
    )
