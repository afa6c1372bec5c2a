"""Models under corruptions side by side, as data, as versioned JSON and as a table for a terminal. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cifar_eval.formatting import NOT_APPLICABLE, aligned, counted, percent, training_notes
from cifar_eval.models.protocols import ModelFile
from cifar_eval.robustness.corruptions import CORRUPTIONS, NUM_SEVERITIES
from cifar_eval.robustness.counts import CorruptionCounts, Robustness
from cifar_runtime.documents import INLINED, to_document
from cifar_runtime.environment import Environment
from cifar_runtime.plain_text import printable_lines

ROBUSTNESS_SCHEMA = "cifar-edge/robustness/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRobustness:
    """One model.

    Attributes:
        name: what tables call it, different for every model.
        model_file: the file.
        runtime: what executed it.
        robustness: its counts.
    """

    name: str
    model_file: ModelFile = field(metadata=INLINED)
    runtime: str
    robustness: Robustness


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessReport:
    """One measurement.

    Attributes:
        environment: where the models were run.
        split: the name of the images.
        images_sha256: digest of their pixels and labels, before any damage.
        seed: of the damage.
        models: the reference first.
    """

    environment: Environment
    split: str
    images_sha256: str
    seed: int
    models: tuple[ModelRobustness, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready data, schema ``cifar-edge/robustness/1``."""
        return {
            "schema": ROBUSTNESS_SCHEMA,
            "environment": to_document(self.environment),
            "split": {
                "name": self.split,
                "num_images": self.models[0].robustness.seen,
                "sha256": self.images_sha256,
            },
            "seed": self.seed,
            "corruptions": to_document(CORRUPTIONS),
            "reference": self.models[0].name,
            "models": to_document(self.models),
        }

    def to_text(self) -> str:
        """The document as indented JSON text."""
        document = self.to_json()
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def plain_robustness(report: RobustnessReport) -> str:
    """The report for a terminal, with a last newline."""
    severities = [f"sev {severity}" for severity in range(1, NUM_SEVERITIES + 1)]
    rows = [["corruption", "model", *severities, "mean", "agree"], *_clean_rows(report.models)]
    for index, corruption in enumerate(CORRUPTIONS):
        rows += [
            _row(
                corruption.name.replace("_", " ") if is_first else "",
                model.name,
                model.robustness.corruptions[index],
                model.robustness.seen,
            )
            for is_first, model in _numbered(report.models)
        ]
    rows += [
        [
            "all corruptions" if is_first else "",
            model.name,
            *[""] * NUM_SEVERITIES,
            percent(model.robustness.corrupted_accuracy),
            _mean_agreement(model.robustness),
        ]
        for is_first, model in _numbered(report.models)
    ]
    seen = report.models[0].robustness.seen
    lines = [
        f"Accuracy in percent on {counted(seen, 'image')} of {report.split}, damaged with seed "
        f"{report.seed};",
        f"agree: decided like {report.models[0].name} on the same damaged image, mean of severities.",
        *training_notes(report.split),
        "",
        *aligned(_left_aligned(rows)),
    ]
    return printable_lines(line.rstrip() for line in lines)


def _clean_rows(models: Sequence[ModelRobustness]) -> list[list[str]]:
    return [
        [
            "none" if is_first else "",
            model.name,
            *[""] * NUM_SEVERITIES,
            percent(model.robustness.clean_accuracy),
            NOT_APPLICABLE,
        ]
        for is_first, model in _numbered(models)
    ]


def _row(title: str, name: str, counts: CorruptionCounts, seen: int) -> list[str]:
    mean = sum(counts.correct) / (seen * NUM_SEVERITIES)
    return [
        title,
        name,
        *(percent(correct / seen) for correct in counts.correct),
        percent(mean),
        _agreement(counts.agreeing, seen),
    ]


def _agreement(agreeing: tuple[int, ...] | None, seen: int) -> str:
    return NOT_APPLICABLE if agreeing is None else percent(sum(agreeing) / (seen * len(agreeing)))


def _mean_agreement(robustness: Robustness) -> str:
    each = [one.agreeing for one in robustness.corruptions]
    if any(agreeing is None for agreeing in each):
        return NOT_APPLICABLE
    total = sum(sum(agreeing) for agreeing in each if agreeing is not None)
    return percent(total / (robustness.seen * NUM_SEVERITIES * len(each)))


def _numbered(models: Sequence[ModelRobustness]) -> list[tuple[bool, ModelRobustness]]:
    return [(index == 0, model) for index, model in enumerate(models)]


def _left_aligned(rows: list[list[str]]) -> list[list[str]]:
    """The rows with the models' names to the left too."""
    width = max(len(row[1]) for row in rows)
    return [[row[0], row[1].ljust(width), *row[2:]] for row in rows]
