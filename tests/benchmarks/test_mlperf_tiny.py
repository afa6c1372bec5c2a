"""MLPerf Tiny's method: the official images, the windows, the score, the report and the command."""

import json
import subprocess
import sysconfig
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_bench.mlperf_cli import ScoreInvocation, parse_score
from cifar_bench.mlperf_recipe import MlperfRecipe
from cifar_bench.mlperf_report import (
    MlperfModel,
    MlperfReport,
    Window,
    mlperf_report_from_text,
)
from cifar_bench.mlperf_table import mlperf_table
from cifar_bench.mlperf_tiny import Pace, measure, measure_windows, official_set
from cifar_bench.report import Report
from cifar_bench.scorer import ModelFile
from cifar_bench.target import Target
from cifar_runtime.errors import CifarEdgeError, InputError, UsageError
from cifar_train.dataset import LABELS, Split, load_split

PEERS = Path(__file__).parents[2].parent / "shared" / "peers" / "mlperf-tiny"
needs_peers = pytest.mark.skipif(not PEERS.exists(), reason="the MLPerf Tiny models are not here")
SCRIPT = Path(sysconfig.get_path("scripts")) / "cifar-bench"
# The third column of mlcommons/tiny's benchmark/evaluation/datasets/ic01/y_labels.csv, line by line.
OFFICIAL_CLASSES = (
    "21250454130574932564411859847724169201478980651427"
    "88631532755076799766138178384033535293177353652258"
    "07906126099952106804402096609034978991006870153475"
    "46751039588415760687333318622422234697842941821869"
)


def a_split(count: int = 5) -> Split:
    return Split(
        name="some",
        images=np.full((32, 32, 3, count), np.arange(count) % 256, dtype=np.uint8).transpose(
            3, 0, 1, 2
        ),
        labels=np.arange(count, dtype=np.uint8) % 10,
        ids=np.arange(100, 100 + count, dtype=np.int64),
    )


class TimedSubject:
    """Knows its scores, and how long each inference lasts on a clock that only it moves."""

    runtime = "fake"
    threads = 1
    labels = LABELS
    image_shape = (32, 32, 3)

    def __init__(self, name: str, clock: "Hand", cost_ns: Callable[[int], int]) -> None:
        self.name = name
        self.model_file = ModelFile(
            file=f"{name}.tflite", format="tflite", size_bytes=1234, sha256="0" * 64
        )
        self.answers = np.eye(10, dtype=np.float32)
        self.shown: list[int] = []
        self._clock = clock
        self._cost_ns = cost_ns

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert len(images) == len(self.answers)
        return self.answers

    def probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        return scores.astype(np.float64)

    def prepare(self, images: NDArray[np.uint8]) -> int:
        assert images.shape == (1, 32, 32, 3)
        return int(images[0, 0, 0, 0])

    def infer(self, tensor: int) -> int:
        self._clock.now_ns += self._cost_ns(len(self.shown))
        self.shown.append(tensor)
        return tensor


class Hand:
    """The hand of a clock."""

    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.mark.full_data
def test_the_official_images_are_those_of_mlcommons_label_file() -> None:
    official = official_set(load_split("test"))
    assert "".join(map(str, official.labels)) == OFFICIAL_CLASSES
    assert np.bincount(official.labels).tolist() == [20] * 10
    assert len(set(official.ids.tolist())) == 200


def test_other_images_than_the_official_ones_are_refused() -> None:
    """As when a later NumPy draws differently: a figure on other images must not carry the name."""
    with pytest.raises(CifarEdgeError, match="draws other images than MLPerf Tiny's official 200"):
        official_set(a_split(count=10_000))


@needs_peers
@pytest.mark.full_data
@pytest.mark.parametrize("name", ["pretrainedResnet_quant", "pretrainedResnet"])
def test_ic01_scores_as_on_the_official_runner(name: str) -> None:
    """87.0 % (174 of 200) with the closed division's own weights."""
    options = ["--contract", "cifar10-raw255", "--window-seconds", "0.01", "--json", "-q"]
    ended = run("--mlperf-tiny", PEERS / f"{name}.tflite", *options)
    assert (ended.returncode, ended.stderr) == (0, "")
    (model,) = mlperf_report_from_text(ended.stdout, origin="stdout").models
    assert (model.correct, model.seen, model.split) == (174, 200, "mlperf-tiny-200")
    assert len(model.windows) == 5


def test_every_window_lasts_at_least_as_long_as_asked() -> None:
    hand = Hand()
    subjects = [
        TimedSubject("fast", hand, lambda _: 1_000),
        TimedSubject("slow", hand, lambda _: 70_000),
    ]
    pace = Pace(warmup=3, window_ns=1_000_000, clock=hand)
    fast, slow = measure_windows(subjects, a_split(), pace)
    assert [window.image_id for window in fast] == [100, 101, 102, 103, 104]
    assert {window.throughput_per_s for window in fast} == {1e6}
    assert {round(window.throughput_per_s, 6) for window in slow} == {round(1e9 / 70_000, 6)}
    assert min(window.duration_ns for window in (*fast, *slow)) >= 1_000_000


def test_a_window_that_ended_too_early_is_taken_again_with_more_repeats() -> None:
    hand = Hand()
    # Slow at first, as a governor that has not raised the clock yet: the first forecast is too low.
    subject = TimedSubject("warms up", hand, lambda run: 9_000 if run < 30 else 1_000)
    pace = Pace(warmup=1, window_ns=1_000_000, clock=hand)
    (windows,) = measure_windows([subject], a_split(), pace)
    assert len(windows) == 5
    assert min(window.duration_ns for window in windows) >= 1_000_000


def test_each_window_has_its_own_input_after_its_own_warmup() -> None:
    hand = Hand()
    subject = TimedSubject("one", hand, lambda _: 1_000_000)
    measure_windows([subject], a_split(), Pace(warmup=4, window_ns=1, clock=hand))
    # One inference is a window here; the first input has the trial that foretells it as well.
    assert [subject.shown.count(position) for position in range(5)] == [4 + 1 + 1, 5, 5, 5, 5]
    assert subject.shown == sorted(subject.shown)


def test_a_model_is_measured_as_counts_and_windows() -> None:
    hand = Hand()
    official = a_split(count=20)
    subject = TimedSubject("one", hand, lambda _: 500_000)
    subject.answers = np.eye(10, dtype=np.float32)[official.labels]
    subject.answers[0] = subject.answers[1]
    said: list[str] = []
    pace = Pace(warmup=1, window_ns=1_000_000, clock=hand)
    (model,) = measure([subject], official, pace, progress=said.append)
    assert (model.correct, model.seen, model.split) == (19, 20, "some")
    assert [window.image_id for window in model.windows] == [100, 101, 102, 103, 104]
    assert (model.throughput_per_s, model.latency_ns) == (2000.0, 500_000)
    assert said == ["scoring 20 images with one", "timing 5 windows of 0.001 s of each model"]


def a_report(report: Report, *, durations_ns: tuple[int, ...], target: str | None) -> MlperfReport:
    windows = tuple(
        Window(image_id=number, inferences=1000, duration_ns=duration)
        for number, duration in enumerate(durations_ns)
    )
    model = MlperfModel(
        name="seed-cnn-int8",
        model_file=ModelFile(
            file="seed-cnn-int8.tflite", format="tflite", size_bytes=397_432, sha256="ab" * 32
        ),
        runtime="litert",
        threads=1,
        correct=174,
        seen=200,
        split="mlperf-tiny-200",
        windows=windows,
    )
    return MlperfReport(
        environment=report.environment,
        target=target,
        warmup=10,
        window_seconds=10.0,
        models=(model,),
    )


SECOND = 1_000_000_000


def test_the_score_is_the_median_throughput_and_latency_is_one_over_it(report: Report) -> None:
    durations = tuple(seconds * SECOND for seconds in (10, 16, 12, 20, 11))
    (model,) = a_report(report, durations_ns=durations, target=None).models
    assert model.throughput_per_s == pytest.approx(1000 / 12)
    assert model.latency_ns == 12_000_000


@pytest.mark.parametrize(
    ("durations", "follows"),
    [((10,) * 5, True), ((10, 10, 10, 10, 9), False), ((10,) * 4, False)],
)
def test_the_rules_are_five_windows_of_ten_seconds(
    report: Report, durations: tuple[int, ...], follows: bool
) -> None:
    durations_ns = tuple(seconds * SECOND for seconds in durations)
    assert a_report(report, durations_ns=durations_ns, target=None).follows_the_rules is follows


@pytest.mark.parametrize("target", [None, "ssh://board"])
def test_a_report_is_read_back_as_it_was_written(report: Report, target: str | None) -> None:
    written = a_report(report, durations_ns=(10 * SECOND,) * 5, target=target)
    assert mlperf_report_from_text(written.to_text(), origin="here") == written


def test_an_edited_score_does_not_survive_reading(report: Report) -> None:
    written = a_report(report, durations_ns=(10 * SECOND,) * 5, target=None)
    document = json.loads(written.to_text())
    document["models"][0]["latency_ns"] = 1
    document["models"][0]["accuracy"]["accuracy"] = 1.0
    assert mlperf_report_from_text(json.dumps(document), origin="here") == written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "r.json: is not an MLPerf Tiny report: Expecting property name"),
        ('{"schema": "cifar-edge/bench/1"}', "r.json: schema is 'cifar-edge/bench/1', expected "),
        (
            '{"schema": "cifar-edge/mlperf-tiny/1"}',
            "r.json: is not an MLPerf Tiny report: the field environment is missing.",
        ),
    ],
)
def test_what_is_no_report_is_an_input_error(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        mlperf_report_from_text(text, origin="r.json")
    assert str(caught.value).startswith(message)


def test_what_is_written_follows_the_shipped_schema(report: Report) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from importlib import resources

    schemas = resources.files("cifar_bench") / "schemas"
    schema, bench = (
        json.loads((schemas / f"{name}.schema.json").read_text())
        for name in ("mlperf-tiny", "bench")
    )
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for target in (None, "ssh://board"):
        written = a_report(report, durations_ns=(10 * SECOND,) * 5, target=target)
        validator.validate(json.loads(written.to_text()))
    document = json.loads(written.to_text())
    for key, value in (("target", "ssh://me@board"), ("models", []), ("extra", 1)):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**document, key: value})
    assert schema["$defs"]["environment"] == bench["$defs"]["environment"]


EXPECTED_TABLE = """\
Score: median of 5 windows of 10 s or more, each on another image; threads: 1.
Accuracy: percent of MLPerf Tiny's 200 images, part of CIFAR-10's test set.
Machine: Example CPU, 2 cores, Linux 6.8, CPython 3.11.7.

model          runtime    inf/s  latency µs  top-1         95 %  correct    bytes
seed-cnn-int8   litert  100.000      10,000  87.00  81.63-90.97  174/200  397,432

200 images cannot tell models apart that differ by a few points. On all 10,000:
  cifar-bench 'my models/a.tflite' --split test --contract cifar10-unit
"""


def test_the_table_shows_the_interval_and_the_command_for_all_images(report: Report) -> None:
    measured = a_report(report, durations_ns=(10 * SECOND,) * 5, target=None)
    recipe = MlperfRecipe(models=(Path("my models/a.tflite"),), contract="cifar10-unit")
    assert mlperf_table(measured, recipe) == EXPECTED_TABLE


def test_the_table_says_what_is_a_trial_and_which_board_it_was(report: Report) -> None:
    measured = a_report(report, durations_ns=(SECOND,) * 5, target="ssh://board")
    lines = mlperf_table(replace(measured, window_seconds=1.0), MlperfRecipe()).splitlines()
    assert lines[2].endswith("CPython 3.11.7, ssh://board.")
    assert lines[-1] == (
        "A trial: MLPerf Tiny asks for windows of 10 s; leave --window-seconds out for a score to "
        "quote."
    )


@pytest.mark.parametrize(
    ("argv", "recipe", "rest"),
    [
        ([], {}, {}),
        (
            ["a.tflite", "--contract", "cifar10-unit", "--threads", "2"],
            {"models": (Path("a.tflite"),), "contract": "cifar10-unit", "threads": 2},
            {},
        ),
        (["--window-seconds", "0.5", "--warmup", "3"], {"window_seconds": 0.5, "warmup": 3}, {}),
        (["--json", "-q"], {}, {"json": "-", "quiet": True}),
        (["--target", "ssh://pi"], {}, {"target": Target(user=None, host="pi", port=None)}),
    ],
)
def test_arguments_become_an_invocation(
    argv: list[str], recipe: dict[str, Any], rest: dict[str, Any]
) -> None:
    defaults: dict[str, Any] = {"target": None, "json": None, "quiet": False}
    expected = ScoreInvocation(recipe=MlperfRecipe(**recipe), **{**defaults, **rest})
    assert parse_score(["--mlperf-tiny", *argv]) == expected


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--window-seconds", "0"],
            "cifar-bench: argument --window-seconds: '0' is not a number of seconds above zero. "
            "See cifar-bench --help.",
        ),
        (
            ["--json", "model.tflite"],
            "cifar-bench: --json would write to model.tflite, expected a name that ends in .json. "
            "Give MODEL before --json, or --json FILE.json.",
        ),
        (
            ["--target-python", "python3"],
            "--target-python is for a board. Give --target ssh://HOST as well.",
        ),
    ],
)
def test_arguments_that_make_no_sense_are_usage_errors(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_score(["--mlperf-tiny", *argv])
    assert str(caught.value) == message


@pytest.mark.parametrize("field", ["threads", "warmup", "window_seconds"])
def test_a_recipe_of_nothing_is_a_usage_error(field: str) -> None:
    with pytest.raises(UsageError, match=f"{field} is 0"):
        MlperfRecipe(**{field: 0})


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_without_the_data_set_it_says_how_to_fetch_it(
    tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path))
    ended = run("--mlperf-tiny", tiny_onnx)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "Run cifar-data fetch" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.full_data
def test_the_script_prints_the_score_and_writes_the_report(tiny_onnx: Path, tmp_path: Path) -> None:
    target = tmp_path / "score.json"
    ended = run("--mlperf-tiny", tiny_onnx, "--window-seconds", "0.01", "--json", target)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == (
        "cifar-bench: scoring 200 images with tiny-float32\n"
        "cifar-bench: timing 5 windows of 0.01 s of each model\n"
    )
    (model,) = mlperf_report_from_text(target.read_text(), origin="report").models
    rows = [line for line in ended.stdout.splitlines() if line.startswith("tiny-float32 ")]
    assert len(rows) == 1
    assert f" {model.correct}/200 " in rows[0]
    assert str(tiny_onnx.parent) not in target.read_text()
