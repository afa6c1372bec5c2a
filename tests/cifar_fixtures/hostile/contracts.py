"""Contracts that a user states, and that do not fit."""

import json
from collections.abc import Iterator
from pathlib import Path

from cifar_fixtures.hostile.case import (
    ARTEFACT,
    CONTRACT,
    USAGE,
    Case,
)
from cifar_fixtures.hostile.foreign_onnx import onnx_model


def contracts() -> Iterator[Case]:
    foreign = lambda folder: (folder / "foreign.onnx").write_bytes(onnx_model(None))  # noqa: E731

    def stated(
        name: str, exit_code: int, says: str, contract: str, text: str | None = None
    ) -> Case:
        def write(folder: Path) -> list[str]:
            foreign(folder)
            if text is not None:
                (folder / contract).write_text(text)
            return ["good.png", "-m", "foreign.onnx", "--contract", contract]

        return Case(name=name, exit_code=exit_code, says=says, write=write)

    unlabelled = json.dumps({"input": CONTRACT["input"]})
    wrong = json.dumps({**CONTRACT, "labels": ["a", "b"]})
    yield stated("contract-of-an-unknown-name", USAGE, "is not one of cifar10-raw255", "cifar10")
    yield stated("contract-missing", ARTEFACT, "cannot be read", "none.json")
    yield stated("contract-not-json", ARTEFACT, "is not valid JSON", "c.json", "{")
    yield stated("contract-is-a-list", ARTEFACT, "is not a JSON object", "c.json", "[]")
    yield stated("contract-without-labels", ARTEFACT, "'labels'", "c.json", unlabelled)
    yield stated("contract-of-another-model", ARTEFACT, "its input is", "cifar10-raw255")
    yield stated("contract-with-other-labels", ARTEFACT, "its output is", "c.json", wrong)
    yield Case(
        name="contract-for-a-model-that-has-one",
        exit_code=USAGE,
        says="has a card, which states its contract",
        write=lambda _: ["good.png", "-m", "good.tflite", "--contract", "cifar10-raw255"],
    )
    yield Case(
        name="model-without-contract",
        exit_code=ARTEFACT,
        says="its labels and preprocessing are unknown",
        write=lambda folder: foreign(folder) and ["good.png", "-m", "foreign.onnx"],
    )
