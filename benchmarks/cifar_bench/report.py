"""A benchmark's result as versioned JSON: raw counts and samples, and the environment they were taken in.

Reading takes the raw numbers only; everything derived is computed again, so an edited figure cannot
survive.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cifar_bench.accuracy import Accuracy, accuracy_from_json
from cifar_bench.environment import Environment, environment_from_json
from cifar_bench.latency import Latency, latency_from_json
from cifar_bench.parity import Parity, parity_from_json
from cifar_bench.scorer import ModelFile
from cifar_runtime.errors import InputError

SCHEMA = "cifar-edge/bench/1"

_INTEGER_LIST = re.compile(r"\[\s+(-?\d+(?:,\s+-?\d+)*)\s+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """What was measured of one model.

    Attributes:
        name: what tables call it, different for every model of a report.
        model_file: the file measured.
        runtime: what executed it.
        accuracy: on the report's split.
        parity: against the report's reference; None without one, and for the reference itself.
        latency: of single-image inference.
    """

    name: str
    model_file: ModelFile
    runtime: str
    accuracy: Accuracy
    parity: Parity | None
    latency: Latency

    def to_json(self) -> dict[str, Any]:
        """The measurement as JSON-ready data."""
        return {
            "name": self.name,
            "file": self.model_file.file,
            "format": self.model_file.format,
            "size_bytes": self.model_file.size_bytes,
            "sha256": self.model_file.sha256,
            "runtime": self.runtime,
            "accuracy": self.accuracy.to_json(),
            "parity": None if self.parity is None else self.parity.to_json(),
            "latency": self.latency.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One benchmark run.

    Attributes:
        environment: where it was measured.
        reference: name of the model that parity is against; None without one.
        models: one entry per model, Keras checkpoints first.
        target: the board that measured, as the user named it; None for this machine.
    """

    environment: Environment
    reference: str | None
    models: tuple[ModelReport, ...]
    target: str | None = None

    def __post_init__(self) -> None:
        names = [model.name for model in self.models]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"models named {names}, expected one or more different names")
        if self.reference is not None and self.reference not in names:
            raise ValueError(f"reference {self.reference!r} is not among {names}")
        if len({(model.accuracy.split, model.accuracy.seen) for model in self.models}) != 1:
            raise ValueError("the models were not scored on the same images")

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready data, schema ``cifar-edge/bench/1``."""
        return {
            "schema": SCHEMA,
            "target": self.target,
            "environment": self.environment.to_json(),
            "reference": self.reference,
            "models": [model.to_json() for model in self.models],
        }

    def to_text(self) -> str:
        """The report as indented JSON text, the samples of a model on one line."""
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
        return Report(
            environment=environment_from_json(document["environment"]),
            reference=document["reference"],
            target=document.get("target"),
            models=tuple(_model_from_json(model) for model in document["models"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{origin}: is not a benchmark report: {error!r}.", hint=hint) from error


def _model_from_json(document: Mapping[str, Any]) -> ModelReport:
    parity = document["parity"]
    return ModelReport(
        name=document["name"],
        model_file=ModelFile(
            file=document["file"],
            format=document["format"],
            size_bytes=int(document["size_bytes"]),
            sha256=document["sha256"],
        ),
        runtime=document["runtime"],
        accuracy=accuracy_from_json(document["accuracy"]),
        parity=None if parity is None else parity_from_json(parity),
        latency=latency_from_json(document["latency"]),
    )
