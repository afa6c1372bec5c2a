"""Finds out which operators of a .tflite model LiteRT hands to XNNPACK."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cifar_bench.results.cost import Delegation
from cifar_runtime.artefact import Artefact
from cifar_runtime.sessions.interpreters import import_litert
from cifar_runtime.sessions.litert import native_interpreter

_DELEGATE = "DELEGATE"


def delegation_of(artefact: Artefact) -> Delegation | None:
    """What XNNPACK runs of a model; None where this LiteRT does not report it."""
    interpreter = native_interpreter(import_litert(), artefact.data, threads=1, xnnpack=True)
    # Not part of the documented interface, so it may be gone in another version.
    details = getattr(interpreter, "_get_ops_details", None)
    return None if details is None else delegation_from_operators(details())


def delegation_from_operators(operators: Sequence[Mapping[str, Any]]) -> Delegation:
    """The delegation in an interpreter's list of operators.

    Delegates follow the operators of the file, which stay in the list; one stands for all
    operators between its inputs and its outputs.

    Args:
        operators: each with ``op_name`` and the tensors' indices ``inputs`` and ``outputs``.
    """
    own = [operator for operator in operators if operator["op_name"] != _DELEGATE]
    maker = {int(tensor): index for index, one in enumerate(own) for tensor in one["outputs"]}
    taken: set[int] = set()
    for delegate in operators:
        if delegate["op_name"] == _DELEGATE:
            taken |= _between(own, maker, delegate)
    names = [str(operator["op_name"]) for operator in own]
    return Delegation(
        delegated=_counted([name for index, name in enumerate(names) if index in taken]),
        fallback=_counted([name for index, name in enumerate(names) if index not in taken]),
    )


def _between(
    own: Sequence[Mapping[str, Any]], maker: Mapping[int, int], delegate: Mapping[str, Any]
) -> set[int]:
    known = {int(tensor) for tensor in delegate["inputs"]}
    wanted = [int(tensor) for tensor in delegate["outputs"]]
    found: set[int] = set()
    while wanted:
        tensor = wanted.pop()
        index = maker.get(tensor)
        if tensor in known or index is None or index in found:
            continue
        found.add(index)
        wanted += [int(one) for one in own[index]["inputs"]]
    return found


def _counted(names: Sequence[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
