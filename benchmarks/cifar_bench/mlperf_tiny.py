"""MLPerf Tiny's image classification method: five inputs, windows of repeats, the median of five throughputs.

Here are the official 200 images, the windows, and what follows from them; reports are elsewhere (see
``mlperf_report``). Only :func:`measure_windows` runs anything, and its clock is passed in.

Source: mlcommons/tiny at 1afd2c9, ``benchmark/runner`` (``script.py`` times the windows, ``main.py`` takes the
median) and ``benchmark/training/image_classification/get_perf_samples_idxs.py`` (the images).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_bench.accuracy import decisions
from cifar_bench.conditions import Clock
from cifar_bench.environment import read_environment
from cifar_bench.jobs import default_models
from cifar_bench.mlperf_recipe import MlperfRecipe
from cifar_bench.mlperf_report import OFFICIAL_NUM_WINDOWS, MlperfModel, MlperfReport, Window
from cifar_bench.scorer import Subject
from cifar_bench.subject import ArtefactSubject, check_fits, distinct_names
from cifar_runtime.errors import CifarEdgeError
from cifar_train.dataset import LABELS, Split, load_split

Progress = Callable[[str], None]

OFFICIAL_SEED = 8108
IMAGES_PER_CLASS = 20
OFFICIAL_SET = "mlperf-tiny-200"
OFFICIAL_IDS_SHA256 = "53de4283fc9df2add14ce400a9c37ea8fc9f0f27f4109aef4ee1d9fe39ac2b24"
"""Digest of the official ids (see ``Split.ids_sha256``); their classes are those of MLCommons' y_labels.csv."""

_NANOSECONDS = 1_000_000_000
_TRIAL_SHARE = 20  # the repeats of a window are foretold from a trial of at least 1/20 of it
_MARGIN = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How one model is timed.

    Attributes:
        warmup: unmeasured inferences before each window.
        window_ns: how long a window lasts at least, nanoseconds.
        clock: nanoseconds, monotonic; read before and after a window, never within.
    """

    warmup: int
    window_ns: int
    clock: Clock


def mlperf_tiny(recipe: MlperfRecipe, *, progress: Progress | None = None) -> MlperfReport:
    """MLPerf Tiny's score and accuracy of everything the recipe names.

    Args:
        recipe: what to measure.
        progress: takes a sentence whenever something long begins.

    Raises:
        InputError: CIFAR-10 was not fetched.
        ArtefactError: a model cannot be used.
        MissingDependencyError: an interpreter is not installed.
    """
    environment = read_environment()
    official = official_set(load_split("test"))
    subjects = [
        ArtefactSubject(path, contract=recipe.contract, threads=recipe.threads)
        for path in recipe.models or default_models()
    ]
    for subject in subjects:
        check_fits(subject, labels=LABELS, images=official.images)
    pace = Pace(
        warmup=recipe.warmup,
        window_ns=math.ceil(recipe.window_seconds * _NANOSECONDS),
        clock=time.perf_counter_ns,
    )
    return MlperfReport(
        environment=environment,
        target=None,
        warmup=recipe.warmup,
        window_seconds=recipe.window_seconds,
        models=measure(subjects, official, pace, progress=progress),
    )


def official_set(test: Split) -> Split:
    """The 200 images of CIFAR-10's test set on which MLPerf Tiny counts accuracy, in the official order.

    Twenty of each class, drawn and shuffled by ``numpy.random.default_rng(8108)``.

    Args:
        test: all 10,000 test images in official order.

    Raises:
        CifarEdgeError: this NumPy draws other images.

    Source: mlcommons/tiny, ``benchmark/training/image_classification/get_perf_samples_idxs.py``.
    """
    generator = np.random.default_rng(OFFICIAL_SEED)
    drawn = [
        generator.choice(np.flatnonzero(test.labels == label), size=IMAGES_PER_CLASS, replace=False)
        for label in range(len(LABELS))
    ]
    positions = np.concatenate(drawn)
    generator.shuffle(positions)
    official = test.take(positions.astype(np.int64), name=OFFICIAL_SET)
    if official.ids_sha256() != OFFICIAL_IDS_SHA256:
        # NumPy does not promise one stream for ever; another 200 images are another accuracy.
        raise CifarEdgeError(
            f"NumPy {np.__version__} draws other images than MLPerf Tiny's official 200: their ids' "
            f"sha256 is {official.ids_sha256()}, expected {OFFICIAL_IDS_SHA256}.",
            hint="Install NumPy 2.4.6, which draws them.",
        )
    return official


def measure(
    subjects: Sequence[Subject],
    official: Split,
    pace: Pace,
    *,
    progress: Progress | None = None,
) -> tuple[MlperfModel, ...]:
    """Each subject's windows and its accuracy, in their order.

    Args:
        subjects: opened models, all for the set's images.
        official: the official set; its first five images are the inputs of the windows.
        pace: warm-up, length of the windows, clock.
        progress: takes a sentence whenever something long begins.
    """
    tell = progress or _say_nothing
    names = distinct_names(subjects)
    correct = []
    for name, subject in zip(names, subjects, strict=True):
        tell(f"scoring {len(official.labels)} images with {name}")
        scores = subject.scores(np.asarray(official.images))
        correct.append(int(np.count_nonzero(decisions(scores, official.labels) == official.labels)))
    tell(
        f"timing {OFFICIAL_NUM_WINDOWS} windows of {pace.window_ns / _NANOSECONDS:g} s of each model"
    )
    windows = measure_windows(subjects, official.take(_first_five(), name="inputs"), pace)
    return tuple(
        MlperfModel(
            name=names[index],
            model_file=subject.model_file,
            runtime=subject.runtime,
            threads=subject.threads,
            correct=correct[index],
            seen=len(official.labels),
            split=official.name,
            windows=windows[index],
        )
        for index, subject in enumerate(subjects)
    )


def measure_windows(
    subjects: Sequence[Subject], inputs: Split, pace: Pace
) -> tuple[tuple[Window, ...], ...]:
    """For every model one window for each input, the models in turn so that a drift meets all of them.

    Args:
        subjects: the models.
        inputs: one image for every window.
        pace: warm-up, length of a window, clock.
    """
    images = [
        np.asarray(inputs.images[position])[np.newaxis] for position in range(len(inputs.ids))
    ]
    tensors = [[subject.prepare(image) for image in images] for subject in subjects]
    taken: list[list[Window]] = [[] for _ in subjects]
    repeats = [0] * len(subjects)
    for position, image_id in enumerate(inputs.ids.tolist()):
        for index, subject in enumerate(subjects):
            tensor = tensors[index][position]
            _time(subject, tensor, pace.warmup, pace.clock)
            repeats[index] = repeats[index] or _foretold_repeats(subject, tensor, pace)
            repeats[index], duration_ns = _time_window(subject, tensor, repeats[index], pace)
            taken[index].append(
                Window(image_id=image_id, inferences=repeats[index], duration_ns=duration_ns)
            )
    return tuple(tuple(windows) for windows in taken)


def _first_five() -> NDArray[np.int64]:
    # The runner's DataSet counts from the first line of y_labels.csv: loop 5 sees the first five images.
    return np.arange(OFFICIAL_NUM_WINDOWS, dtype=np.int64)


def _time_window(subject: Subject, tensor: Any, repeats: int, pace: Pace) -> tuple[int, int]:
    """Repeats and nanoseconds of the first try that lasted long enough; a short one is thrown away."""
    while True:
        elapsed_ns = _time(subject, tensor, repeats, pace.clock)
        if elapsed_ns >= pace.window_ns:
            return repeats, elapsed_ns
        repeats = _scaled(repeats, elapsed_ns, pace.window_ns)


def _foretold_repeats(subject: Subject, tensor: Any, pace: Pace) -> int:
    """How often the model will run in one window, from a trial that doubles until it is long enough."""
    repeats = 1
    elapsed_ns = _time(subject, tensor, repeats, pace.clock)
    while elapsed_ns * _TRIAL_SHARE < pace.window_ns:
        repeats *= 2
        elapsed_ns = _time(subject, tensor, repeats, pace.clock)
    return _scaled(repeats, elapsed_ns, pace.window_ns)


def _scaled(repeats: int, elapsed_ns: int, window_ns: int) -> int:
    return math.ceil(repeats * window_ns / elapsed_ns * _MARGIN)


def _time(subject: Subject, tensor: Any, repeats: int, clock: Clock) -> int:
    start = clock()
    for _ in range(repeats):
        subject.infer(tensor)
    return max(1, clock() - start)


def _say_nothing(sentence: str) -> None:
    del sentence
