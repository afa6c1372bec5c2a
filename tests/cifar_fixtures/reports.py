"""A fake model, hand-made reports, and one tiny real model as ONNX artefact and as Keras checkpoint."""

import json
import subprocess
import sysconfig
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_bench.results.conditions import Conditions
from cifar_bench.results.cost import Cost, Delegation
from cifar_bench.results.latency import Latency
from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_bench.results.roofline import Ceiling, Roofline
from cifar_bench.results.timings import ColdStart, Preprocessing, Startup, Throughput
from cifar_data.cifar10.splits import LABELS
from cifar_data.split import Split
from cifar_eval.detailed_accuracy import measure_detailed_accuracy
from cifar_eval.flips import flips_from_probabilities
from cifar_eval.models.protocols import BenchmarkFormat, ModelFile
from cifar_eval.parity.counts import parity_from_scores
from cifar_runtime.environment import Environment
from cifar_runtime.formats.embedded_card import sealed


@dataclass
class FakeModel:
    """Knows the scores it will give, and writes down every inference it is asked for."""

    name: str
    answers: NDArray[np.float32]
    diary: list[tuple[str, Any]] = field(default_factory=list)
    labels: tuple[str, ...] = LABELS
    format: BenchmarkFormat = "tflite"
    runtime: str = "fake"
    threads: int | None = 1
    image_shape: tuple[int, int, int] = (32, 32, 3)

    @property
    def model_file(self) -> ModelFile:
        return ModelFile(
            file=f"{self.name}.{self.format}", format=self.format, size_bytes=1234, sha256="0" * 64
        )

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert len(images) == len(self.answers)
        return self.answers

    def prepare(self, images: NDArray[np.uint8]) -> Sequence[Any]:
        return list(range(len(images)))

    def infer(self, tensor: Any) -> Any:
        self.diary.append((self.name, tensor))
        return tensor


@pytest.fixture
def fake_model() -> type[FakeModel]:
    """The class, since test modules cannot import from here."""
    return FakeModel


NUM_IMAGES = 1000
# Where a model of the example decides for the class after the right one, and after that one.
REFERENCE_WRONG = range(180)
INT8_WRONG = (*range(2, 180), *range(180, 185))
INT8_FURTHER_WRONG = range(10, 15)


@pytest.fixture(scope="session")
def evaluation() -> Split:
    """1,000 smooth pictures of a seeded generator, the ten classes in turns."""
    generator = np.random.default_rng(3)
    corners = generator.integers(0, 256, (NUM_IMAGES, 4, 4, 3))
    images = np.kron(corners, np.ones((1, 8, 8, 1))).astype(np.uint8)
    labels = np.arange(NUM_IMAGES, dtype=np.int64) % 10
    return Split(
        name="test-sample",
        images=images,
        labels=labels,
        label_names=LABELS,
        ids=np.arange(len(labels)),
    )


@pytest.fixture
def report(evaluation: Split) -> Report:
    """A checkpoint and two exported models, with figures chosen to be easy to compute by hand.

    The reference decides 820 of 1,000 rightly; float32 decides like it; int8 turns 5 to wrong, 2 to
    right, and 5 from one wrong class to another.
    """
    environment = Environment(
        os="Linux 6.8",
        machine="x86_64",
        cpu_model="Example CPU",
        isa_flags=("avx2", "fma"),
        cores=2,
        load_average=(0.5, 0.25, 0.0),
        governor=None,
        python="CPython 3.11.7",
        packages={"numpy": "2.4.6", "tensorflow": None},
    )
    reference = _scores(evaluation, REFERENCE_WRONG)
    int8 = _scores(evaluation, INT8_WRONG, INT8_FURTHER_WRONG)
    return Report(
        command=("cifar-bench", "seed-cnn-int8.tflite", "--against", "seed-cnn.keras"),
        date="2026-11-22T12:00:00Z",
        environment=environment,
        conditions=Conditions(timer_resolution_ns=10, timer_overhead_ns=60, pinned_cpus=(1,)),
        reference="seed-cnn",
        roofline=_roofline(),
        models=(
            _model("seed-cnn", "keras", evaluation, reference, None, 3_000_000),
            _model("seed-cnn-float32", "tflite", evaluation, reference, reference, 168_400),
            _model("seed-cnn-int8", "tflite", evaluation, int8, reference, 79_900),
        ),
    )


def _scores(
    evaluation: Split, wrong: Sequence[int], further_wrong: Sequence[int] = ()
) -> NDArray[np.float32]:
    """Probabilities: 0.82 (exactly 0.8203125) for the decision, the rest even."""
    decided = evaluation.labels.copy()
    decided[list(wrong)] += 1
    decided[list(further_wrong)] += 1
    scores = np.full((len(decided), 10), (1 - 0.8203125) / 9, dtype=np.float32)
    scores[np.arange(len(decided)), decided % 10] = 0.8203125
    return scores


def _roofline() -> Roofline:
    """64 G multiply-accumulates a second in float32, 128 G in int8, 8 GB/s."""
    macs = 512**3
    ceilings = (("float32", 2_097_152), ("int8", 1_048_576))
    return Roofline(
        ceilings=tuple(
            Ceiling(
                runtime="litert",
                precision=precision,  # type: ignore[arg-type]
                macs=macs,
                samples_ns=(fastest_ns + 9, fastest_ns, fastest_ns + 4),
            )
            for precision, fastest_ns in ceilings
        ),
        copied_bytes=64_000_000,
        copy_samples_ns=(8_100_000, 8_000_000, 7_900_000),
    )


def _model(
    name: str,
    model_format: BenchmarkFormat,
    evaluation: Split,
    scores: NDArray[np.float32],
    reference: NDArray[np.float32] | None,
    fastest_ns: int,
) -> ModelReport:
    exported = model_format != "keras"
    precision = "int8" if "int8" in name else "float32"
    return ModelReport(
        name=name,
        model_file=ModelFile(
            file=f"{name}.{model_format}", format=model_format, size_bytes=397_432, sha256="ab" * 32
        ),
        runtime="litert" if exported else "keras/tensorflow",
        options={"xnnpack": True} if exported else {"call": "model(x)"},
        cost=Cost(
            precision=precision,
            parameters=381_066,
            macs=17_940_000 if exported else None,
            weight_bytes=381_774 if precision == "int8" else 1_524_264,
            operators={"CONV_2D": 3, "MAX_POOL_2D": 3, "FULLY_CONNECTED": 1, "SOFTMAX": 1},
            moved_bytes=(400_000 if precision == "int8" else 1_600_000) if exported else None,
        ),
        accuracy=measure_detailed_accuracy(scores, scores.astype(np.float64), evaluation),
        reference=None if reference is None else "seed-cnn",
        parity=None
        if reference is None
        else parity_from_scores(reference, scores, evaluation.labels),
        flips=()
        if reference is None
        else flips_from_probabilities(
            reference.astype(np.float64), scores.astype(np.float64), evaluation
        ),
        latency=_latency(fastest_ns, threads=1),
        threads=(_latency(fastest_ns * 2 // 3, threads=2),),
        throughput=tuple(
            Throughput(
                batch_size=size,
                threads=1,
                samples_ns=tuple(fastest_ns * size + 500 * i for i in (3, 1, 2)),
            )
            for size in (1, 8, 32)
        ),
        startup=Startup(
            import_ns=60_000_000 if exported else 4_000_000_000,
            load_ns=2_500_000,
            first_inference_ns=fastest_ns * 5,
            peak_rss_bytes=41_000_000 if exported else 612_000_000,
        ),
        cold_start=ColdStart(samples_ns=(161_000_000, 158_000_000, 170_000_000))
        if exported
        else None,
        preprocessing=Preprocessing(picture_size=(320, 320), samples_ns=(900_000, 880_000, 910_000))
        if exported
        else None,
        energy=None,
        delegation=Delegation(
            delegated={"CONV_2D": 3, "MAX_POOL_2D": 3, "FULLY_CONNECTED": 1},
            fallback={"SOFTMAX": 1},
        )
        if exported
        else None,
        profile=None,
    )


def _latency(fastest_ns: int, *, threads: int) -> Latency:
    """100 runs that each take a microsecond more than the one before, in ten rounds."""
    return Latency(
        threads=threads,
        warmup=10,
        warmup_runs=40,
        warmed_up=True,
        num_images=50,
        samples_ns=tuple(
            tuple(fastest_ns + 1000 * i for i in range(start, start + 10))
            for start in range(0, 100, 10)
        ),
    )


@pytest.fixture(scope="session")
def tiny_weights() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel (3, 10) and bias (10,) of a network that classifies by mean colour."""
    generator = np.random.default_rng(5)
    kernel = generator.normal(size=(3, 10), scale=0.02).astype(np.float32)
    return kernel, generator.normal(size=10).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_onnx(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_weights: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> Path:
    """Mean over height and width, dense, softmax; raw 0..255 float32 input; with its card."""
    from onnx import TensorProto, helper, numpy_helper

    kernel, bias = tiny_weights
    graph = helper.make_graph(
        [
            helper.make_node(
                "ReduceMean", ["image"], ["colour"], axes=[1, 2], keepdims=0, name="mean"
            ),
            helper.make_node("Gemm", ["colour", "kernel", "bias"], ["logits"], name="dense"),
            helper.make_node("Softmax", ["logits"], ["scores"], axis=1, name="softmax"),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 32, 32, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="tests"
    )
    path = tmp_path_factory.mktemp("tiny") / "tiny-float32.onnx"
    path.write_bytes(model.SerializeToString())
    _write_card(path)
    return path


def _write_card(path: Path) -> None:
    unquantized = {"dtype": "float32", "scale": None, "zero_point": None}
    document = {
        "schema": "cifar-edge/artefact/1",
        "name": path.stem,
        "model": {"file": path.name, "format": path.suffix[1:]},
        "contract": {
            "input": {
                "shape": [32, 32, 3],
                "multiplier": 1.0,
                "offset": 0.0,
                "resize_filter": "bicubic",
                **unquantized,
            },
            "output": {"kind": "probabilities", **unquantized},
            "labels": list(LABELS),
        },
        "provenance": {},
    }
    data, card = sealed(path.read_bytes(), "onnx", document)
    path.write_bytes(data)
    path.with_name(f"{path.name}.json").write_text(json.dumps(card))


@pytest.fixture(scope="session")
def tiny_keras(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_weights: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> Path:
    """The same network with the same weights as a Keras checkpoint."""
    keras = pytest.importorskip("keras")
    kernel, bias = tiny_weights
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.layers[-1].set_weights([kernel, bias])
    path = tmp_path_factory.mktemp("tiny-keras") / "tiny.keras"
    with warnings.catch_warnings():
        # TensorFlow 2.21's tensors answer numpy 2 in the old way.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        model.save(path)
    return path


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained convolutional checkpoint, and its float32 and int8 exports in both formats."""
    keras = pytest.importorskip("keras")
    pytest.importorskip("tf2onnx")
    keras.utils.set_random_seed(11)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 64, offset=-2.0),
            keras.layers.Conv2D(8, 5, strides=2, activation="relu", name="first"),
            keras.layers.MaxPooling2D(2, name="pool"),
            keras.layers.Conv2D(8, 3, activation="relu", name="second"),
            keras.layers.Flatten(),
            keras.layers.Dense(
                10, activation="softmax", bias_initializer="random_normal", name="last"
            ),
        ]
    )
    folder = tmp_path_factory.mktemp("exports")
    model.save(folder / "net.keras")
    script = Path(sysconfig.get_path("scripts")) / "cifar-export"
    what = ["--format", "tflite,onnx", "--quantize", "none,int8", "--calibration-samples", "64"]
    gates = ["--max-accuracy-drop", "100%", "--min-agreement", "0", "--eval-split", "test-sample"]
    subprocess.run(
        [script, folder / "net.keras", "-o", folder, "-q", *what, *gates],
        check=True,
        capture_output=True,
    )
    return folder
