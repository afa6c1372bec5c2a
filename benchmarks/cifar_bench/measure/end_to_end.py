"""Times what users wait for beside the bare code that they would write, in turns: files, arrays, batches, a start.

The bare code checks nothing: Pillow, the same crop and filter, a table of input values, LiteRT. It never prints.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_bench.measure.cold_start import ColdModel, measure_cold_starts
from cifar_data import packaged
from cifar_runtime.classifier import Classifier, default_model
from cifar_runtime.imaging.preprocess import centre_box, input_table
from cifar_runtime.sessions.interpreters import interpreter_of

if TYPE_CHECKING:
    from PIL.Image import Image

BATCH = 64
# Goal and limit: a machine that does other things as well moves a ratio by less than what lies between.
_ONE, _MANY, _START = (1.25, 1.5), (1.1, 1.35), (1.0, 1.5)
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
    """One way to classify, beside its bare code.

    Attributes:
        what: in words.
        ours_ns: nanoseconds a picture.
        bare_ns: those of the bare code.
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
            picture = opened.convert("RGB")
        if picture.size != self._size:
            part = picture.crop(centre_box(picture.size, self._size))
            picture = part.resize(self._size, Image.Resampling.BICUBIC)
        return self.array(np.asarray(picture))


def compare_end_to_end(folder: Path, *, runs: int, starts: int) -> tuple[Comparison, ...]:
    """The packaged .tflite beside bare code: thread time where pictures are classified, all processor time of starts.

    Args:
        folder: where pictures are written.
        runs: of each way to classify, most of them; the lower tenth counts.
        starts: whole processes; the cheapest counts.

    Raises:
        ArtefactError: cifar-classify fails.
        MissingDependencyError: LiteRT is not installed.
    """
    classifier = Classifier(default_model("tflite"))
    pictures = _written(folder)
    return (
        *_classifications(classifier, pictures, runs),
        _start(classifier.artefact.path, pictures["32x32 PNG"], starts),
    )


def _classifications(
    classifier: Classifier, pictures: dict[str, Path], runs: int
) -> Iterator[Comparison]:
    bare = BareLoop(classifier)
    pixels = packaged.test_sample().images[0]
    batch = [pixels] * BATCH

    def compared(what: str, ours: Act, floor: Act, count: int = 1) -> Comparison:
        ours_ns, bare_ns = _in_turns(ours, floor, max(2, runs // count))
        share, (goal, limit) = (BATCH, _MANY) if what.startswith("batch") else (1, _ONE)
        return Comparison(
            what=what,
            ours_ns=ours_ns // share,
            bare_ns=bare_ns // share,
            goal=goal,
            limit=limit,
        )

    yield compared("array", lambda: classifier.classify(pixels), lambda: bare.array(pixels))
    yield compared(
        f"batch of {BATCH} arrays",
        lambda: classifier.classify_batch(batch),
        lambda: [bare.array(one) for one in batch],
        BATCH,
    )
    for name, path in pictures.items():
        yield compared(
            name,
            lambda path=path: classifier.classify(path),  # type: ignore[misc]
            lambda path=path: bare.file(path),  # type: ignore[misc]
            1 if path.suffix == ".png" else 16,
        )


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
    goal, limit = _START
    return Comparison(what="start", ours_ns=min(ours), bare_ns=min(bare), goal=goal, limit=limit)


def _children_ns() -> int:
    """The processor time of all ended children; the clock where the system does not say it."""
    if sys.platform == "win32":
        return time.perf_counter_ns()
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(1e9 * (used.ru_utime + used.ru_stime))


def _written(folder: Path) -> dict[str, Path]:
    """Pictures of every kind, drawn from a shipped one."""
    from PIL import Image

    small = Image.fromarray(packaged.test_sample().images[0])
    kinds = {"32x32 PNG": (32, 32), "640x480 JPEG": (640, 480)}
    return {name: _saved(small.resize(size), folder / name) for name, size in kinds.items()}


def _saved(picture: "Image", stem: Path) -> Path:
    name, kind = stem.name.split()
    path = stem.with_name(f"{name}.{kind.lower()}")
    picture.save(path)
    return path
