"""Opens a quantized model and the float model of its export, and compares them layer by layer.

``python -m cifar_eval.layers.comparison`` is the process that foreign models are compared in, within limits: a request
as JSON and the images on stdin, the answer as JSON on stdout.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.layers.layer_errors import LayerErrors, Trace, layer_errors
from cifar_eval.layers.litert_layers import LiteRTTrace
from cifar_eval.layers.onnx_layers import OnnxTrace
from cifar_eval.models.exported import open_measured
from cifar_runtime.artefact import Artefact
from cifar_runtime.documents import from_document, to_document
from cifar_runtime.errors import ArtefactError, CifarEdgeError
from cifar_runtime.progress import Counter, silent
from cifar_runtime.sessions.isolation import SUBPROCESS_WALL_SECONDS, failed_in_subprocess
from cifar_runtime.sessions.process_limits import cpu_seconds, limit_memory, limit_time
from cifar_runtime.sessions.system_calls import forbid_system_calls

_DOING = "comparing its layers"
_SLOWER = 4  # than a classification: kernels without XNNPACK, every tensor kept, two models


def compare_layers(
    artefact: Artefact,
    models: Mapping[Path, str],
    images: NDArray[np.uint8],
    *,
    contract: str | None,
    count: Counter = silent,
) -> LayerErrors | str | None:
    """The errors by layer; or why there are none; None for a float32 model.

    Foreign models, which ``contract`` is for, are opened in a process of their own.

    Args:
        artefact: the candidate.
        models: all files of the comparison with their names.
        images: uint8, shape (n, height, width, 3), RGB.
        contract: of the models without a card.
        count: sees how many images are done; of foreign models, none.

    Raises:
        ArtefactError: a model cannot be opened or run.
        MissingDependencyError: what reads the layers is not installed.
    """
    if contract is not None:
        return _compared_in_subprocess(artefact, models, images, contract=contract)
    return _compared(artefact, models, images, contract=None, count=count)


def _compared(
    artefact: Artefact,
    models: Mapping[Path, str],
    images: NDArray[np.uint8],
    *,
    contract: str | None,
    count: Counter = silent,
) -> LayerErrors | str | None:
    trace = _open_trace(artefact)
    if trace.is_float32:
        return None
    partner = _float_partner(artefact, models, contract=contract)
    if partner is None:
        return (
            f"that takes the float32 .{artefact.format} of the same export: "
            "give it as REFERENCE or as another CANDIDATE."
        )
    name, reference = partner
    errors = layer_errors(reference, trace, images, reference_name=name, count=count)
    return errors if errors.layers else f"no layer of it has a counterpart in {name}."


def _open_trace(artefact: Artefact) -> Trace:
    return LiteRTTrace(artefact) if artefact.format == "tflite" else OnnxTrace(artefact)


def _float_partner(
    artefact: Artefact, models: Mapping[Path, str], *, contract: str | None
) -> tuple[str, Trace] | None:
    for path, name in models.items():
        if path != artefact.path and path.suffix.lower() == f".{artefact.format}":
            trace = _open_trace(open_measured(path, contract=contract))
            if trace.is_float32:
                return name, trace
    return None


def _compared_in_subprocess(
    artefact: Artefact, models: Mapping[Path, str], images: NDArray[np.uint8], *, contract: str
) -> LayerErrors | str | None:
    request = {
        "candidate": str(artefact.path),
        "models": {str(path): name for path, name in models.items()},
        "contract": contract,
        "shape": images.shape,
    }
    cpu_limit = _cpu_limit(artefact, len(images))
    try:
        # -P: nothing in the working directory can pose as a module.
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "cifar_eval.layers.comparison"],
            input=json.dumps(request).encode() + b"\n" + images.tobytes(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SUBPROCESS_WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise failed_in_subprocess(artefact, _DOING, None, cpu_limit=cpu_limit) from error
    try:
        answer = json.loads(ended.stdout)
    except ValueError as error:
        code = ended.returncode
        raise failed_in_subprocess(artefact, _DOING, code, cpu_limit=cpu_limit) from error
    if "error" in answer:
        raise ArtefactError(answer["error"]["message"], hint=answer["error"]["hint"])
    found = answer["found"]
    return from_document(LayerErrors, found) if isinstance(found, dict) else found


def _cpu_limit(artefact: Artefact, num_images: int) -> float:
    return _SLOWER * (1 + num_images) * cpu_seconds(artefact)


def main() -> int:
    """The process: an exit code."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what native code prints is no answer
    request = json.loads(sys.stdin.buffer.readline())
    images = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(request["shape"])
    models = {Path(path): name for path, name in request["models"].items()}
    answer: dict[str, Any]
    try:
        artefact = open_measured(Path(request["candidate"]), contract=request["contract"])
        limit_memory(artefact, beside_what_is_held=True)
        forbid_system_calls(files=True)
        limit_time(_cpu_limit(artefact, len(images)))
        found = _compared(artefact, models, images, contract=request["contract"])
        answer = {"found": to_document(found) if isinstance(found, LayerErrors) else found}
    except CifarEdgeError as error:
        answer = {"error": error.to_json()}
    answers.write(json.dumps(answer))
    answers.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
