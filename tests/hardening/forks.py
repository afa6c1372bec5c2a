"""Children forked while other threads classify: each answers, and answers the same."""

import os
import select
import signal
import struct
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.classifier import Classifier, default_model
from hardening.campaign import NOTHING_BESIDE, Budget, Result

_PATIENCE_SECONDS = 60.0


class Forks:
    """One format's Classifier, forked."""

    beside = NOTHING_BESIDE
    cases: Mapping[str, int] = {"quick": 20, "nightly": 10_000}
    chunk = 500

    def __init__(self, model_format: Any) -> None:
        self._format = model_format
        self.name = f"forks-{model_format}"
        self.title = f"Children forked while two threads classify with a .{model_format} model"

    def run(self, budget: Budget) -> Result:
        """Forks again and again from a process whose threads never rest."""
        result, began = Result(allowed=frozenset({"same answer"})), time.monotonic()
        classifier = Classifier(default_model(self._format))
        shape = classifier.artefact.contract.input.shape
        picture = np.random.default_rng(budget.seed).integers(0, 256, shape, dtype=np.uint8)
        expected = classifier.classify(picture).probability
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                classifier.classify(picture)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            while result.cases < budget.cases and time.monotonic() - began < budget.seconds:
                result.outcomes[_forked(classifier, picture, expected)] += 1
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        result.seconds = time.monotonic() - began
        return result


def _forked(classifier: Classifier, picture: NDArray[np.uint8], expected: float) -> str:
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(sending, struct.pack("<d", classifier.classify(picture).probability))
        finally:
            os._exit(0)
    os.close(sending)
    ready, _, _ = select.select([receiving], [], [], _PATIENCE_SECONDS)
    if not ready:
        os.kill(child, signal.SIGKILL)
    answer = os.read(receiving, 8) if ready else b""
    os.close(receiving)
    os.waitpid(child, 0)
    if len(answer) != 8:
        return "no answer" if ready else "hang"
    return "same answer" if struct.unpack("<d", answer)[0] == expected else "other answer"
