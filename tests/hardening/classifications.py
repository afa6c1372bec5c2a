"""Long runs of a good model: the answers stay the same and the memory stays where it was."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from cifar_runtime.classifier import Classifier, default_model
from hardening.campaign import NOTHING_BESIDE, Budget, Result

_ALLOWED = frozenset({"same answer"})
_MAX_GROWTH_KIB = 1024


class Classifications:
    """Arrays or files through one Classifier, one thread or eight."""

    beside = NOTHING_BESIDE

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.name = kind
        self.title, self.cases, self.chunk = _KINDS[kind]

    def run(self, budget: Budget) -> Result:
        """Each answer is compared with the first one for the same picture."""
        budget.folder.mkdir(parents=True, exist_ok=True)
        classify = _classify(self._kind, budget.folder)
        expected = [classify(index) for index in range(_PICTURES)]
        result, began = Result(allowed=_ALLOWED), time.monotonic()
        num_threads = 8 if self._kind == "threads" else 1
        lock = threading.Lock()
        start_kib = {"": 0}

        def work(first: int) -> None:
            for case in range(first, budget.cases, num_threads):
                if time.monotonic() - began > budget.seconds:
                    return
                word = (
                    "same answer"
                    if classify(case % _PICTURES) == expected[case % _PICTURES]
                    else "other answer"
                )
                with lock:
                    result.outcomes[word] += 1
                    if result.cases == max(1, min(1_000, budget.cases // 10)):
                        start_kib[""] = _resident_kib()

        threads = [threading.Thread(target=work, args=(first,)) for first in range(num_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        growth = _resident_kib() - start_kib[""]
        result.seconds = time.monotonic() - began
        result.measured["growth_kib"] = growth
        if growth > _MAX_GROWTH_KIB:
            result.outcomes["memory grew"] += 1
        return result


_PICTURES = 16
_KINDS: Mapping[str, tuple[str, Mapping[str, int], int]] = {
    "arrays": (
        "Classifications of arrays, memory after 1,000 compared with that after 50,000",
        {"quick": 5_000, "nightly": 1_000_000},
        50_000,
    ),
    "files": (
        "Classifications of files, memory so after 20,000",
        {"quick": 2_000, "nightly": 100_000},
        20_000,
    ),
    "threads": (
        "Classifications by eight threads that share a Classifier, memory so after 40,000",
        {"quick": 5_000, "nightly": 800_000},
        40_000,
    ),
}


def _classify(kind: str, folder: Path) -> Callable[[int], float]:
    """What classifies picture 0..15 and returns its probability."""
    from PIL import Image

    classifier = Classifier(default_model("tflite"))
    shape = classifier.artefact.contract.input.shape
    pictures = np.random.default_rng(9).integers(0, 256, (_PICTURES, *shape), dtype=np.uint8)
    if kind != "files":
        return lambda index: classifier.classify(pictures[index]).probability
    paths = [folder / f"{index}.png" for index in range(_PICTURES)]
    for path, pixels in zip(paths, pictures, strict=True):
        Image.fromarray(pixels).resize((64, 48)).save(path)
    return lambda index: classifier.classify(paths[index]).probability


def _resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4
