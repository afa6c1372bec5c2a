"""Asks onnxruntime how long each operator of a model takes."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cifar_bench.results.cost import OperatorTime
from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import ArtefactError
from cifar_runtime.plain_text import reason_of
from cifar_runtime.sessions.base import GraphOptimization
from cifar_runtime.sessions.ort import native_session

_KERNEL = "_kernel_time"


def profile_of(
    artefact: Artefact, inputs: Sequence[Any], *, runs: int, graph_optimization: GraphOptimization
) -> tuple[OperatorTime, ...]:
    """The time per operator type over ``runs`` inferences, the graph optimized as in the measured session.

    Raises:
        ArtefactError: onnxruntime fails.
    """
    with tempfile.TemporaryDirectory(prefix="cifar-bench-") as folder:
        try:
            session = native_session(
                artefact.data,
                graph_optimization=graph_optimization,
                profile_prefix=str(Path(folder) / "profile"),
            )
            name = session.get_inputs()[0].name
            for run in range(runs):
                session.run(None, {name: inputs[run % len(inputs)]})
            text = Path(session.end_profiling()).read_text(encoding="utf-8")
        except Exception as error:  # onnxruntime raises eight unrelated classes
            raise ArtefactError(
                f"{artefact.path}: onnxruntime cannot profile it: {reason_of(error)}.",
                hint="Measure without --profile.",
            ) from error
    return operator_times(json.loads(text))


def operator_times(events: Sequence[Mapping[str, Any]]) -> tuple[OperatorTime, ...]:
    """The operators in onnxruntime's profile, the slowest first.

    Args:
        events: in Chrome's trace format; an operator's kernel has ``cat`` ``Node`` and its duration
            in microseconds.
    """
    calls: dict[str, int] = {}
    total_us: dict[str, int] = {}
    for event in events:
        if event.get("cat") == "Node" and str(event.get("name", "")).endswith(_KERNEL):
            operator = str(event["args"]["op_name"])
            calls[operator] = calls.get(operator, 0) + 1
            total_us[operator] = total_us.get(operator, 0) + int(event["dur"])
    slowest_first = sorted(calls, key=lambda operator: -total_us[operator])
    return tuple(
        OperatorTime(operator=operator, calls=calls[operator], total_ns=1000 * total_us[operator])
        for operator in slowest_first
    )
