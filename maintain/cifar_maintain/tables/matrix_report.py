"""Every export of one checkpoint with its verdict, as versioned JSON, and drawn as the table that the docs show.

Pure: data in, text out; ``cifar_maintain.matrix`` makes the exports. Reading takes counts and limits only; gates and
everything else derived are computed again, so an edited figure cannot survive.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cifar_eval.formatting import counted, percent
from cifar_eval.models.protocols import ModelFile
from cifar_eval.parity.counts import Parity
from cifar_eval.parity.gate import Gate, judge
from cifar_eval.parity.limits import Limits
from cifar_runtime.documents import INLINED, from_document, to_document
from cifar_runtime.environment import Environment
from cifar_runtime.errors import InputError, json_error_reason
from cifar_runtime.formats.known_formats import ModelFormat

MATRIX_SCHEMA = "cifar-edge/matrix/1"
_HEADER = (
    "format",
    "precision",
    "bytes",
    "top-1 %",
    "drop in points (95 % interval)",
    "agreement %",
    "lost",
    "gained",
    "SQNR dB",
    "verdict",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixEntry:
    """One export, published or not.

    Attributes:
        model_file: the file that passed, or would have been published.
        precision: as asked for; with ``--qat`` where it was trained for int8.
        parity: against the checkpoint.
        limits: what it had to hold.
        training: how it was trained for int8, JSON-ready; None where it was not.
        tools: versions of what shaped the file.
    """

    model_file: ModelFile = field(metadata=INLINED)
    precision: str
    parity: Parity
    limits: Limits
    training: Mapping[str, Any] | None
    tools: Mapping[str, str]

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The limits, applied."""
        return judge(self.parity, self.limits)

    @property
    def passed(self) -> bool:
        """Whether every gate did, so that it was published."""
        return all(gate.passed for gate in self.gates)

    def to_json(self) -> dict[str, Any]:
        """The export as JSON-ready data."""
        head = {
            **to_document(self.model_file),
            "precision": self.precision,
            "accuracy": self.parity.candidate_accuracy,
        }
        return head | to_document(self, "gates", "passed", before="training")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedPair:
    """A pair of format and precision that is not made.

    Attributes:
        format: of the file.
        precision: as it would be asked for.
        reason: one sentence.
    """

    format: ModelFormat
    precision: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixReport:
    """All exports of one checkpoint.

    Attributes:
        environment: where they were made and measured.
        checkpoint: the reference.
        split: the name of the images.
        entries: in the order of formats, then precisions.
        refused: the pairs that are not made.
    """

    environment: Environment
    checkpoint: ModelFile
    split: str
    entries: tuple[MatrixEntry, ...]
    refused: tuple[RefusedPair, ...]

    def __post_init__(self) -> None:
        files = [entry.model_file.file for entry in self.entries]
        if not files or len(set(files)) != len(files):
            raise ValueError(f"exports named {files}, expected one or more different names")
        counts = {(entry.parity.seen, entry.parity.reference_correct) for entry in self.entries}
        if len(counts) != 1:
            raise ValueError(f"images and decisions of the reference are {sorted(counts)}")

    @property
    def seen(self) -> int:
        """Images of the split."""
        return self.entries[0].parity.seen

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready data, schema ``cifar-edge/matrix/1``."""
        correct = self.entries[0].parity.reference_correct
        return {
            "schema": MATRIX_SCHEMA,
            "environment": to_document(self.environment),
            "checkpoint": {
                **to_document(self.checkpoint),
                "correct": correct,
                "accuracy": correct / self.seen,
            },
            "split": {"name": self.split, "num_images": self.seen},
            "artefacts": [entry.to_json() for entry in self.entries],
            "refused": to_document(self.refused),
        }

    def to_text(self) -> str:
        """The report as indented JSON text."""
        return json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def matrix_from_text(text: str, *, origin: str) -> MatrixReport:
    """The report that ``to_text`` wrote.

    Args:
        text: JSON.
        origin: where it came from, for error messages.

    Raises:
        InputError: not JSON, of another schema, incomplete, or contradicting itself.
    """
    try:
        document = json.loads(text)
        if document["schema"] != MATRIX_SCHEMA:
            raise ValueError(f"its schema is {document['schema']!r}, expected {MATRIX_SCHEMA!r}")
        return MatrixReport(
            environment=from_document(Environment, document["environment"]),
            checkpoint=from_document(ModelFile, document["checkpoint"]),
            split=document["split"]["name"],
            entries=tuple(
                from_document(MatrixEntry, artefact) for artefact in document["artefacts"]
            ),
            refused=tuple(from_document(RefusedPair, pair) for pair in document["refused"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{origin}: is not a matrix report: {json_error_reason(error)}.",
            hint="Make it again with python -m cifar_maintain.matrix.",
        ) from error


def markdown_matrix(report: MatrixReport) -> str:
    """The report as a Markdown table and lines on how it was measured, with a last newline."""
    alignment = ["---", "---", *["---:"] * (len(_HEADER) - 3), "---"]
    refused = [
        [pair.format, pair.precision, *["-"] * (len(_HEADER) - 3), "refused"]
        for pair in report.refused
    ]
    rows = [list(_HEADER), alignment, *map(_row, report.entries), *refused]
    table = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*table, "", " ".join(_how(report))]) + "\n"


def _row(entry: MatrixEntry) -> list[str]:
    parity = entry.parity
    low, high = parity.accuracy_drop_interval
    failed = ", ".join(gate.name.replace("_", " ") for gate in entry.gates if not gate.passed)
    return [
        entry.model_file.format,
        entry.precision,
        f"{entry.model_file.size_bytes:,}",
        percent(parity.candidate_accuracy),
        f"{percent(parity.accuracy_drop)} ({percent(low)} to {percent(high)})",
        percent(parity.agreement),
        f"{parity.flips_to_wrong:,}",
        f"{parity.flips_to_right:,}",
        "exact" if parity.sqnr_db is None else f"{parity.sqnr_db:.1f}",
        f"FAIL: {failed}" if failed else "pass",
    ]


def _how(report: MatrixReport) -> list[str]:
    first = report.entries[0]
    drop = first.gates[0]
    judged = (
        "judged at the upper end of its paired 95 % interval"
        if drop.basis == "interval_end"
        else "judged as measured, since so few images cannot resolve it"
    )
    versions = {name: version for entry in report.entries for name, version in entry.tools.items()}
    return [
        f"Against {report.checkpoint.file}, {percent(first.parity.reference_correct / report.seen)} % of "
        f"{counted(report.seen, 'image')} of {report.split}; lost and gained: turned wrong, turned right.",
        f"Limits: drop {percent(drop.limit)} points, {judged}; agreement {_agreement_limits(report)}.",
        *_untrained(report),
        *(f"{pair.format} {pair.precision}: {pair.reason}" for pair in report.refused),
        f"Versions: {', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}.",
    ]


def _untrained(report: MatrixReport) -> list[str]:
    """What to know of the exports whose training kept its start; reports of old do not say."""
    return [
        f"{entry.model_file.format} {entry.precision} kept the prepared start: no trained state was nearer."
        for entry in report.entries
        if entry.training is not None and entry.training.get("kept_step") == 0
    ]


def _agreement_limits(report: MatrixReport) -> str:
    """Each limit in percent with the precisions that it holds for, the commonest without."""
    precisions: dict[float, list[str]] = {}
    for entry in report.entries:
        named = precisions.setdefault(entry.limits.min_agreement, [])
        if entry.precision not in named:
            named.append(entry.precision)
    ranked = sorted(precisions.items(), key=lambda item: -len(item[1]))
    common, *others = ranked
    words = [f"{percent(common[0])} %"]
    words += [f"{percent(limit)} % for {' and '.join(named)}" for limit, named in others]
    return ", ".join(words)
