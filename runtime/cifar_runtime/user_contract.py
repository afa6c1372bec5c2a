"""Contracts that a user gives for a model from elsewhere: a built-in name, or a JSON file.

Such a document has the form of a contract in a card and may leave out what the model file says
itself: element types, a .tflite's scales and zero points, and whether a softmax or a sigmoid ends it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cifar_runtime.contract import Contract, ScoreKind, contract_from_json
from cifar_runtime.errors import ArtefactError, UsageError, not_one_of
from cifar_runtime.formats.graph import Graph, GraphTensor, graph_from_bytes
from cifar_runtime.formats.known_formats import ModelFormat
from cifar_runtime.plain_text import reason_of
from cifar_runtime.system.files import read_once

MAX_CONTRACT_BYTES = 1024 * 1024
_FOLDER = Path(__file__).parent / "contracts"
_KINDS: Mapping[str, ScoreKind] = {
    "SOFTMAX": "probabilities",
    **dict.fromkeys(("LOGISTIC", "SIGMOID"), "independent-probabilities"),
}
# What may stand between these and the output without changing what the scores are.
_PASSING = ("QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear", "Identity", "Cast")


def built_in_names() -> tuple[str, ...]:
    """The names of the contracts that come with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def contract_from_user(
    contract: str | Path, model: Path, data: bytes, model_format: ModelFormat
) -> Contract:
    """The contract that a user gives for a model, completed from the model file.

    Args:
        contract: a built-in name, or a JSON file.
        model: where the model was read, for messages.
        data: the model file.
        model_format: its format.

    Raises:
        ArtefactError: the contract cannot be read, is incomplete, or the model is damaged.
        UsageError: it is neither a built-in name nor a .json file.
    """
    graph = _checked_graph(model, data, model_format)
    image, scores = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    kind = {"kind": _score_kind(graph)}
    return completed_contract(
        contract, model, input_facts=_tensor_facts(image), output_facts=kind | _tensor_facts(scores)
    )


def completed_contract(
    contract: str | Path,
    model: Path,
    *,
    input_facts: Mapping[str, Any],
    output_facts: Mapping[str, Any],
) -> Contract:
    """The contract that a user gives, completed by the model's own facts; the user's values win.

    Args:
        contract: a built-in name, or a JSON file.
        model: for messages.
        input_facts: fields of its input, read from the model.
        output_facts: of its output, read from the model.

    Raises:
        ArtefactError: the contract cannot be read or is incomplete.
        UsageError: it is neither a built-in name nor a .json file.
    """
    location = _location(contract)
    text = read_once(location, max_bytes=MAX_CONTRACT_BYTES, error=ArtefactError)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise wrong_contract(location, f"is not valid JSON: {reason_of(error)}") from error
    if not isinstance(document, dict):
        raise wrong_contract(location, "is not a JSON object")
    try:
        return contract_from_json(
            {
                **document,
                "input": {**input_facts, **_part(document, "input")},
                "output": {**output_facts, **_part(document, "output")},
            }
        )
    except ArtefactError as error:
        what = f"does not fit {model.name}: {error.message.rstrip('.')}"
        raise wrong_contract(location, what) from error


def wrong_contract(contract: str | Path, what: str) -> ArtefactError:
    """The error that says what is wrong with a user's contract, and where to start."""
    return ArtefactError(
        f"{contract}: {what}.",
        hint=f"Start from a copy of {_FOLDER / 'cifar10-raw255.json'} and state what differs.",
    )


def _location(contract: str | Path) -> Path:
    names = built_in_names()
    if str(contract) in names:
        return _FOLDER / f"{contract}.json"
    if Path(contract).suffix != ".json":
        raise UsageError(
            f"--contract: {not_one_of(str(contract), names)}.",
            hint="Give one of them, or a .json file with a contract.",
        )
    return Path(contract)


def _checked_graph(model: Path, data: bytes, model_format: ModelFormat) -> Graph:
    try:
        graph = graph_from_bytes(data, model_format)
    except ArtefactError as error:
        raise ArtefactError(f"{model}: {error.message}", hint=error.hint) from error
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ArtefactError(
            f"{model}: has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs, "
            "expected one of each.",
            hint="Give an image classifier.",
        )
    return graph


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = document.get(name, {})
    if not isinstance(part, dict):
        raise ArtefactError(f"its {name} is {part!r}, expected an object.")
    return part


def _tensor_facts(tensor: GraphTensor) -> dict[str, Any]:
    is_quantized = len(tensor.scales) == len(tensor.zero_points) == 1
    return {
        "dtype": tensor.dtype,
        "scale": tensor.scales[0] if is_quantized else None,
        "zero_point": tensor.zero_points[0] if is_quantized else None,
    }


def _score_kind(graph: Graph) -> ScoreKind:
    """What the operator that makes the scores says they are."""
    makers = {index: operator for operator in graph.operators for index in operator.outputs}
    index = graph.outputs[0]
    for _ in graph.operators:  # a cycle ends here too
        operator = makers.get(index)
        if operator is None or operator.name not in _PASSING or not operator.inputs:
            break
        index = operator.inputs[0]
    operator = makers.get(index)
    name = "" if operator is None else operator.name.upper()
    return _KINDS.get(name, "logits")
