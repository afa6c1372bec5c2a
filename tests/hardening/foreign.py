"""Damaged models from elsewhere, whose structure reaches the interpreter, opened and run as the commands do it."""

import itertools
import json
import os
import resource
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cifar_runtime.artefact import open_artefact
from cifar_runtime.errors import ArtefactError
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.sessions.interpreters import import_litert, import_onnxruntime
from cifar_runtime.sessions.open import open_session
from hardening.artefacts import KEPT
from hardening.campaign import Beside, Budget, Result, run_cases, word_of
from hardening.mutations import damaged, damaged_onnx, damaged_tflite
from hardening.zygote import Zygote

_ALLOWED = frozenset({"refused", "answered"})
_MAKERS = {"tflite": damaged_tflite, "onnx": damaged_onnx}
_TOOLS = {"tflite": "LiteRT", "onnx": "onnxruntime"}
_FILES = {"tflite": "tiny-int8.tflite", "onnx": "tiny-float32.onnx"}
_ALONE_SECONDS, _ALONE_BYTES = 10, 4 << 30
_WHOLE_WAY = (
    50  # one file of so many starts a Python of its own, as the product does; the others are forked
)


class Foreign:
    """Structured mutations of one format."""

    cases: Mapping[str, int] = {"quick": 600, "nightly": 50_000}
    chunk = 2_000

    def __init__(self, model_format: str) -> None:
        self._format = model_format
        self.name = f"foreign-{model_format}"
        self.title = f"Damaged foreign .{model_format} files, opened and run on a picture"
        self.beside: Beside = {_TOOLS[model_format]: self._run_alone}
        self._good = (KEPT / _FILES[model_format]).read_bytes()
        card = json.loads((KEPT / f"{_FILES[model_format]}.json").read_text())
        self._contract: dict[str, Any] = card["contract"]

    def run(self, budget: Budget) -> Result:
        """Each file goes the whole way: the user's contract, our readers, the child process, one picture."""
        attempt = self._attempt(budget.folder)
        result = run_cases(budget, make=self._make, attempt=attempt, allowed=_ALLOWED)
        left = {one.name for one in budget.folder.iterdir() if not one.name.startswith("seed-")}
        if left - {"contract.json", f"case.{self._format}"}:
            result.outcomes["left files"] += 1
        return result

    def _attempt(self, folder: Path) -> Callable[[bytes], str]:
        folder.mkdir(parents=True, exist_ok=True)
        contract, path = folder / "contract.json", folder / f"case.{self._format}"
        contract.write_text(json.dumps(self._contract))
        zygote = Zygote(self._format)
        files = itertools.count()

        def attempt(data: bytes) -> str:
            path.write_bytes(data)
            try:
                artefact = open_artefact(path, contract=contract)
                with zygote.forks(unless=next(files) % _WHOLE_WAY == 0):
                    session = open_session(artefact)
                black = np.zeros((1, *artefact.contract.input.shape), np.uint8)
                session.run(np.take(input_table(artefact.contract.input), black))
                session.close()
            except ArtefactError:
                return "refused"
            except Exception as error:  # noqa: BLE001 - what the campaign looks for
                return word_of(error)
            return "answered"

        return attempt

    def _run_alone(self, budget: Budget) -> Result:
        """The interpreter alone on the same bytes, in processes that may take 4 GiB, and 10 s for a file."""
        result = run_cases(
            budget,
            make=self._make,
            attempt=_ALONE[self._format],
            allowed=_ALLOWED,
            hang_seconds=_ALONE_SECONDS,
        )
        # The files that ended it go the whole way too.
        attempt = self._attempt(budget.folder)
        kept = [budget.folder / name for name in result.reproducers]
        result.measured["through_cifar_edge"] = Counter(attempt(one.read_bytes()) for one in kept)
        return result

    def _make(self, rng: np.random.Generator) -> bytes:
        try:
            changed = _MAKERS[self._format](self._good, rng)
        except Exception:  # noqa: BLE001 - the change cannot be written in this format
            changed = damaged(self._good, rng)
        return damaged(changed, rng) if rng.random() < 0.1 else changed


def _limit_once() -> None:
    """Limits the memory of this process, and sends what the interpreters print nowhere."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] != _ALONE_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (_ALONE_BYTES, _ALONE_BYTES))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)


def _litert_alone(data: bytes) -> str:
    _limit_once()
    litert = import_litert()
    try:
        interpreter = litert.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        one = interpreter.get_input_details()[0]
        interpreter.set_tensor(one["index"], np.zeros(one["shape"], one["dtype"]))
        interpreter.invoke()
        interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    except Exception:  # noqa: BLE001 - of whatever class
        return "refused"
    return "answered"


def _onnxruntime_alone(data: bytes) -> str:
    _limit_once()
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        one = session.get_inputs()[0]
        shape = [size if isinstance(size, int) else 1 for size in one.shape]
        session.run(None, {one.name: np.zeros(shape, np.float32)})
    except Exception:  # noqa: BLE001 - of whatever class
        return "refused"
    return "answered"


_ALONE: Mapping[str, Callable[[bytes], str]] = {"tflite": _litert_alone, "onnx": _onnxruntime_alone}
