"""Operators between a delegate's inputs and outputs are its own; the rest fall back."""

from typing import Any

import pytest

from cifar_bench.measure.litert_delegation import delegation_from_operators, delegation_of
from cifar_bench.results.cost import Delegation
from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import default_model


def operator(name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
    return {"op_name": name, "inputs": inputs, "outputs": outputs}


CHAIN = [
    operator("CONV_2D", [0, 10, 11], [1]),
    operator("MAX_POOL_2D", [1], [2]),
    operator("CONV_2D", [2, 12, 13], [3]),
    operator("SOFTMAX", [3], [4]),
]


@pytest.mark.parametrize(
    ("delegates", "delegated", "fallback", "sentence"),
    [
        (
            [operator("DELEGATE", [0, 10, 11, 12, 13], [3])],
            {"CONV_2D": 2, "MAX_POOL_2D": 1},
            {"SOFTMAX": 1},
            "XNNPACK runs 3 of 4 operators, LiteRT's own kernels SOFTMAX",
        ),
        (
            [operator("DELEGATE", [0], [1]), operator("DELEGATE", [2], [4])],
            {"CONV_2D": 2, "SOFTMAX": 1},
            {"MAX_POOL_2D": 1},
            "XNNPACK runs 3 of 4 operators, LiteRT's own kernels MAX_POOL_2D",
        ),
        (
            [],
            {},
            {"CONV_2D": 2, "MAX_POOL_2D": 1, "SOFTMAX": 1},
            "XNNPACK runs 0 of 4 operators, LiteRT's own kernels 2 CONV_2D, MAX_POOL_2D, SOFTMAX",
        ),
        (
            [operator("DELEGATE", [0], [4])],
            {"CONV_2D": 2, "MAX_POOL_2D": 1, "SOFTMAX": 1},
            {},
            "XNNPACK runs all 4 operators",
        ),
    ],
)
def test_a_delegate_stands_for_what_lies_between(
    delegates: list[dict[str, Any]],
    delegated: dict[str, int],
    fallback: dict[str, int],
    sentence: str,
) -> None:
    found = delegation_from_operators([*CHAIN, *delegates])
    assert found == Delegation(delegated=delegated, fallback=fallback)
    assert found.sentence == sentence


def test_xnnpack_takes_the_shipped_models_convolutions() -> None:
    pytest.importorskip("ai_edge_litert")
    found = delegation_of(open_artefact(default_model("tflite")))
    assert found is not None
    assert found.delegated["CONV_2D"] >= 3
    assert "CONV_2D" not in found.fallback
