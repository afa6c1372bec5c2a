"""Times what users wait for beside what they would have without it, in turns: bare code, one process, float32.

The bare code checks nothing: Pillow, the same crop and filter, a table of input values, LiteRT. It never prints.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_bench.measure.cold_start import ColdModel, measure_cold_starts
from cifar_data import packaged
from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import Classifier, default_model
from cifar_runtime.documents import to_document
from cifar_runtime.environment import read_environment
from cifar_runtime.imaging.preprocess import centre_box, input_table
from cifar_runtime.sessions.interpreters import interpreter_of

if TYPE_CHECKING:
    from PIL.Image import Image

SCHEMA = "cifar-edge/end-to-end/1"
BATCH = 64
JOBS, PHOTOGRAPHS, PAIRS = 2, 240, 3
# Goal and limit: a machine that does other things as well moves a ratio by less than what lies between.
_ONE, _MANY, _START = (1.25, 1.5), (1.1, 1.35), (1.0, 1.5)
# Where no second core is free, two processes are as fast as one.
_TWO_PROCESSES = (1 / 1.8, 1.25)
_INT8 = (0.6, 1.0)
_LARGE = "4000x3000 JPEG"
_BARE_SCRIPT = """
import sys
import numpy as np
from PIL import Image
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
inputs, outputs = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
with Image.open(sys.argv[2]) as picture:
    pixels = np.asarray(picture.convert("RGB").resize((32, 32)))
scale, zero_point = inputs["quantization"]
values = np.clip(np.rint(pixels / 255 / scale) + zero_point, -128, 127).astype(np.int8)
interpreter.set_tensor(inputs["index"], values[None])
interpreter.invoke()
print(interpreter.get_tensor(outputs["index"]).argmax())
"""

Act = Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One way to classify, beside what stands for doing without it.

    Attributes:
        what: in words.
        ours_ns: nanoseconds a picture.
        bare_ns: those of the bare code, or of what the words name.
        goal: the ratio that is wanted.
        limit: the ratio beyond which something has become slower.
    """

    what: str
    ours_ns: int
    bare_ns: int
    goal: float
    limit: float

    @property
    def ratio(self) -> float:
        """How many times the bare code's time ours is."""
        return self.ours_ns / self.bare_ns

    @property
    def passed(self) -> bool:
        """Whether the ratio is within its limit."""
        return self.ratio <= self.limit


class BareLoop:
    """What classifies the packaged .tflite without this package's code around the interpreter."""

    def __init__(self, classifier: Classifier) -> None:
        contract = classifier.artefact.contract.input
        self._size = (contract.shape[1], contract.shape[0])
        self._least_jpeg_side = contract.least_jpeg_side
        self._table = input_table(contract)
        self._interpreter: Any = interpreter_of(classifier.artefact).Interpreter(
            model_content=classifier.artefact.data, num_threads=1
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def array(self, pixels: NDArray[np.uint8]) -> int:
        """The class of pixels in the model's size, uint8, shape (height, width, 3)."""
        self._interpreter.set_tensor(self._input, self._table[pixels][None])
        self._interpreter.invoke()
        return int(self._interpreter.get_tensor(self._output)[0].argmax())

    def file(self, path: Path) -> int:
        """The class of a picture's file."""
        from PIL import Image

        with Image.open(path) as opened:
            if self._least_jpeg_side is not None:
                opened.draft(None, (self._least_jpeg_side, self._least_jpeg_side))
            picture = opened.convert("RGB")
        if picture.size != self._size:
            part = picture.crop(centre_box(picture.size, self._size))
            picture = part.resize(self._size, Image.Resampling.BICUBIC)
        return self.array(np.asarray(picture))


def compare_end_to_end(
    folder: Path, *, runs: int, starts: int, float32: Path | None = None
) -> tuple[Comparison, ...]:
    """The packaged models beside doing without: thread time of what classifies, processor time of starts.

    Args:
        folder: where pictures are written.
        runs: of each way to classify, most of them; the lower tenth counts.
        starts: whole processes; the cheapest counts. As many hundreds of photographs show what two processes are worth.
        float32: an .onnx of the packaged network in float32, which int8 is compared with; None: it is not.

    Raises:
        ArtefactError: cifar-classify fails, or ``float32`` cannot be used.
        MissingDependencyError: LiteRT is not installed, or onnxruntime is not and ``float32`` is given.
    """
    classifier = Classifier(default_model("tflite"))
    pictures = _written(folder)
    return (
        *_arrays(classifier, runs),
        *(_file(classifier, path, name, runs) for name, path in pictures.items()),
        _file(_reducing(classifier), pictures[_LARGE], f"{_LARGE}, reduced", runs),
        *([] if float32 is None else [_int8(float32, runs)]),
        *([] if (os.cpu_count() or 1) < JOBS else [_processes(classifier, folder, starts)]),
        _start(classifier.artefact.path, pictures["32x32 PNG"], starts),
    )


def end_to_end_document(compared: tuple[Comparison, ...]) -> dict[str, Any]:
    """The comparisons and the machine as JSON-ready data."""
    return {
        "schema": SCHEMA,
        "environment": to_document(read_environment()),
        "compared": [to_document(one) for one in compared],
    }


def _arrays(classifier: Classifier, runs: int) -> Iterator[Comparison]:
    bare = BareLoop(classifier)
    pixels = packaged.test_sample().images[0]
    batch = [pixels] * BATCH
    ours_ns, bare_ns = _in_turns(
        lambda: classifier.classify(pixels), lambda: bare.array(pixels), runs
    )
    yield _comparison("array", ours_ns, bare_ns, _ONE)
    ours_ns, bare_ns = _in_turns(
        lambda: classifier.classify_batch(batch),
        lambda: [bare.array(one) for one in batch],
        max(2, runs // BATCH),
    )
    yield _comparison(f"batch of {BATCH} arrays", ours_ns // BATCH, bare_ns // BATCH, _MANY)


def _file(classifier: Classifier, path: Path, name: str, runs: int) -> Comparison:
    bare = BareLoop(classifier)
    fewer = {".png": 1, ".jpeg": 16}[path.suffix] * (8 if name.startswith(_LARGE) else 1)
    ours_ns, bare_ns = _in_turns(
        lambda: classifier.classify(path), lambda: bare.file(path), max(2, runs // fewer)
    )
    return _comparison(name, ours_ns, bare_ns, _ONE)


def _reducing(classifier: Classifier) -> Classifier:
    """The same, under a contract that has JPEGs decoded at a smaller scale."""
    artefact = classifier.artefact
    pixels = replace(artefact.contract.input, jpeg_decoding="reduced")
    return Classifier(replace(artefact, contract=replace(artefact.contract, input=pixels)))


def _int8(float32: Path, runs: int) -> Comparison:
    """The time of one input of the packaged network in onnxruntime, in int8 and in float32."""
    ours, bare = (Classifier(open_artefact(one)) for one in (default_model("onnx"), float32))
    inputs = [
        input_table(one.artefact.contract.input)[packaged.test_sample().images[:1]]
        for one in (ours, bare)
    ]
    ours_ns, bare_ns = _in_turns(
        lambda: ours.session.run(inputs[0]), lambda: bare.session.run(inputs[1]), runs
    )
    return _comparison("onnxruntime, int8 beside float32", ours_ns, bare_ns, _INT8)


def _processes(classifier: Classifier, folder: Path, starts: int) -> Comparison:
    """The time that passes with two processes, beside one: the median of pairs in turns."""
    from PIL import Image

    path = _saved(
        Image.fromarray(packaged.test_sample().images[1]).resize((1280, 960)),
        folder / "1280x960 JPEG",
    )
    photographs = [path] * max(JOBS, min(PHOTOGRAPHS, 100 * starts))
    taken: dict[int, list[int]] = {JOBS: [], 1: []}
    for _ in range(min(PAIRS, starts)):
        for jobs, times in taken.items():
            start = time.perf_counter_ns()
            for _ in classifier.classify_paths(photographs, jobs=jobs):
                pass
            times.append((time.perf_counter_ns() - start) // len(photographs))
    two, one = (int(statistics.median(times)) for times in taken.values())
    return _comparison(f"{JOBS} processes beside one", two, one, _TWO_PROCESSES)


def _comparison(
    what: str, ours_ns: int, bare_ns: int, goal_and_limit: tuple[float, float]
) -> Comparison:
    goal, limit = goal_and_limit
    return Comparison(what=what, ours_ns=ours_ns, bare_ns=bare_ns, goal=goal, limit=limit)


def _in_turns(ours: Act, floor: Act, runs: int) -> tuple[int, int]:
    """The lower tenth of each one's thread times in nanoseconds."""
    taken: tuple[list[int], list[int]] = ([], [])
    for _ in range(runs):
        for act, times in zip((ours, floor), taken, strict=True):
            start = time.thread_time_ns()
            act()
            times.append(time.thread_time_ns() - start)
    first, second = (sorted(times)[runs // 10] for times in taken)
    return first, second


def _start(model: Path, picture: Path, starts: int) -> Comparison:
    cold = [ColdModel(path=model, contract=None)]
    command = (sys.executable, "-P", "-c", _BARE_SCRIPT, str(model), str(picture))
    ours: list[int] = []
    bare: list[int] = []
    for _ in range(starts):
        (taken,) = measure_cold_starts(
            cold, picture, starts=1, pinned_cpus=None, clock=_children_ns
        )
        ours += taken.samples_ns
        start = _children_ns()
        subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - this interpreter, our text
        bare.append(_children_ns() - start)
    return _comparison("start", min(ours), min(bare), _START)


def _children_ns() -> int:
    """The processor time of all ended children; the clock where the system does not say it."""
    if sys.platform == "win32":
        return time.perf_counter_ns()
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(1e9 * (used.ru_utime + used.ru_stime))


def _written(folder: Path) -> dict[str, Path]:
    """Pictures of every kind, drawn from shipped ones."""
    from PIL import Image

    small = Image.fromarray(packaged.test_sample().images[0])
    kinds = {"32x32 PNG": (32, 32), "640x480 JPEG": (640, 480)}
    written = {name: _saved(small.resize(size), folder / name) for name, size in kinds.items()}
    return written | {_LARGE: _saved(_photograph(), folder / _LARGE)}


def _photograph() -> "Image":
    """4000x3000 pixels with as much detail as a camera's: 300 shipped pictures side by side, enlarged."""
    from PIL import Image

    tiles = packaged.test_sample().images[:300].reshape(15, 20, 32, 32, 3)
    mosaic = Image.fromarray(tiles.swapaxes(1, 2).reshape(480, 640, 3))
    return mosaic.resize((4000, 3000), Image.Resampling.BICUBIC)


def _saved(picture: "Image", stem: Path) -> Path:
    name, kind = stem.name.split()
    path = stem.with_name(f"{name}.{kind.lower()}")
    picture.save(path)
    return path
