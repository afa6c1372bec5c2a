"""Damaged artefacts of ours: whatever is changed in a model or in its card, it is refused in words."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cifar_runtime.artefact import artefact_from_bytes
from cifar_runtime.errors import ArtefactError
from hardening.campaign import NOTHING_BESIDE, Budget, Result, run_cases, word_of
from hardening.mutations import damaged

KEPT = Path(__file__).parents[1] / "runtime" / "artefacts" / "v1"
MODELS = ("tiny-int8.tflite", "tiny-float32.onnx")
_ALLOWED = frozenset({"refused", "says the same"})


class Artefacts:
    """Mutations of models with their cards, read as ``cifar-classify`` reads them."""

    name = "artefacts"
    title = "Damaged artefacts of ours (model or card), opened"
    cases: Mapping[str, int] = {"quick": 3_000, "nightly": 100_000}
    chunk = 20_000
    beside = NOTHING_BESIDE

    def run(self, budget: Budget) -> Result:
        """Damages one of the two files of an artefact."""
        good = {
            name: ((KEPT / name).read_bytes(), (KEPT / f"{name}.json").read_bytes())
            for name in MODELS
        }

        def make(rng: np.random.Generator) -> tuple[str, bytes, bytes]:
            name = MODELS[int(rng.integers(0, len(MODELS)))]
            data, card = good[name]
            if rng.random() < 0.5:
                return name, damaged(data, rng), card
            return name, data, damaged(card, rng)

        def attempt(case: tuple[str, bytes, bytes]) -> str:
            name, data, card = case
            try:
                artefact_from_bytes(Path(name), data, card)
            except ArtefactError:
                return "refused"
            except Exception as error:  # noqa: BLE001 - what the campaign looks for
                return word_of(error)
            # A change between the tokens of JSON says the same.
            same = data == good[name][0] and json.loads(card) == json.loads(good[name][1])
            return "says the same" if same else "accepted"

        def save(case: tuple[str, bytes, bytes], path: Path) -> None:
            name, data, card = case
            path.mkdir(exist_ok=True)
            (path / name).write_bytes(data)
            (path / f"{name}.json").write_bytes(card)

        return run_cases(budget, make=make, attempt=attempt, allowed=_ALLOWED, save=save)
