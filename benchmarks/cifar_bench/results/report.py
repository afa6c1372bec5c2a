"""A benchmark's result as versioned JSON: raw counts and samples, and the environment they were taken in.

Reading takes the raw numbers only; everything derived is computed again, so an edited figure cannot
survive.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cifar_bench.results.conditions import Conditions
from cifar_bench.results.int8_speedup import why_int8
from cifar_bench.results.model import ModelReport
from cifar_bench.results.roofline import (
    Roofline,
    bound_of,
    bound_sentence,
    exceeded_sentence,
    memory_share,
    roofline_share,
)
from cifar_runtime.documents import from_document, to_document
from cifar_runtime.environment import Environment
from cifar_runtime.errors import InputError, json_error_reason

SCHEMA = "cifar-edge/bench/1"

_INTEGER_LIST = re.compile(r"\[\s+(-?\d+(?:,\s+-?\d+)*)\s+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One benchmark run.

    Attributes:
        command: the command line that made it, without folders.
        date: when it was begun, UTC, ISO 8601.
        environment: where it was measured.
        conditions: how times were taken.
        reference: name of the model that parity is against where an entry does not name its own
            checkpoint's; None without one.
        roofline: what the machine can do at most; None where it was not measured.
        models: one entry per model and runtime variant, the reference first.
        target: the board that measured, as the user named it; None for this machine.

    Example:
        >>> from cifar_bench import read_report
        >>> report = read_report("report.json")
        >>> smallest = min(report.models, key=lambda model: model.cost.weight_bytes)
        >>> smallest.cost.precision
        'int8'
    """

    command: tuple[str, ...]
    date: str
    environment: Environment
    conditions: Conditions
    reference: str | None
    roofline: Roofline | None
    models: tuple[ModelReport, ...]
    target: str | None = None

    def __post_init__(self) -> None:
        names = [model.name for model in self.models]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"models named {names}, expected one or more different names")
        if self.reference is not None and self.reference not in names:
            raise ValueError(f"reference {self.reference!r} is not among {names}")
        if len({(model.accuracy.images_sha256, model.accuracy.seen) for model in self.models}) != 1:
            raise ValueError("the models were not scored on the same images")

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the models that others are compared with, each once."""
        return tuple(
            dict.fromkeys(model.reference for model in self.models if model.reference is not None)
        )

    @property
    def why_int8(self) -> str | None:
        """Why int8 is faster here than float32, or is not; None without such a pair of models."""
        return why_int8(self.models, isa_flags=self.environment.isa_flags, roofline=self.roofline)

    def roofline_share(self, model: ModelReport) -> float | None:
        """The model's multiply-accumulates per second as a share of its runtime's ceiling."""
        return roofline_share(self.roofline, model)

    def memory_share(self, model: ModelReport) -> float | None:
        """What the model's tensors would move, uncached, as a share of the memory rate, 0..1."""
        return memory_share(self.roofline, model)

    @property
    def bound_sentence(self) -> str | None:
        """Which models computing bounds and which memory; None where that is not known of any."""
        return bound_sentence(self.roofline, self.models)

    @property
    def exceeded_sentence(self) -> str | None:
        """Which models do more than was measured as their ceiling; None where none does."""
        return exceeded_sentence(self.roofline, self.models)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready data, schema ``cifar-edge/bench/1``."""
        return {
            "schema": SCHEMA,
            "command": list(self.command),
            "date": self.date,
            "target": self.target,
            "environment": to_document(self.environment),
            "conditions": to_document(self.conditions),
            "reference": self.reference,
            "roofline": None if self.roofline is None else self.roofline.to_json(),
            "why_int8": self.why_int8,
            "models": [
                {
                    **model.to_json(),
                    "roofline_share": self.roofline_share(model),
                    "memory_share": self.memory_share(model),
                    "bound": bound_of(self.roofline, model),
                }
                for model in self.models
            ],
        }

    def to_text(self) -> str:
        """The report as indented JSON text, every list of integers on one line."""
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        return _INTEGER_LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def report_from_text(text: str, *, origin: str) -> Report:
    """The report that ``to_text`` wrote.

    Args:
        text: JSON.
        origin: where it came from, for error messages.

    Raises:
        InputError: not JSON, of another schema, incomplete, or contradicting itself.
    """
    hint = "Measure again with cifar-bench --json FILE."
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            raise InputError(
                f"{origin}: schema is {document['schema']!r}, expected {SCHEMA!r}.", hint=hint
            )
        return _report_from_json(document)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{origin}: is not a benchmark report: {json_error_reason(error)}.", hint=hint
        ) from error


def _report_from_json(document: Mapping[str, Any]) -> Report:
    models = [
        {"reference": _first_reference(document, model), **model} for model in document["models"]
    ]
    return from_document(Report, {**document, "models": models})


def _first_reference(document: Mapping[str, Any], model: Mapping[str, Any]) -> str | None:
    """What reports without a reference of every entry compared this one with."""
    return None if model["parity"] is None else document["reference"]
