"""A fake subject, hand-made reports, and one tiny real model as ONNX artefact and as Keras checkpoint."""

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

from cifar_bench.accuracy import Accuracy
from cifar_bench.environment import Environment
from cifar_bench.latency import Latency
from cifar_bench.parity import Parity
from cifar_bench.report import ModelReport, Report
from cifar_bench.scorer import ModelFile, SubjectFormat
from cifar_runtime.embedding import sealed
from cifar_train.dataset import LABELS


@dataclass
class FakeSubject:
    """Knows the scores it will give, and writes down every inference it is asked for."""

    name: str
    answers: NDArray[np.float32]
    diary: list[tuple[str, Any]] = field(default_factory=list)
    labels: tuple[str, ...] = LABELS
    format: SubjectFormat = "tflite"
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
def fake_subject() -> type[FakeSubject]:
    """The class, since test modules cannot import from here."""
    return FakeSubject


@pytest.fixture
def report() -> Report:
    """A checkpoint and two exported models, with figures chosen to be easy to compute by hand."""
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
    return Report(
        environment=environment,
        reference="seed-cnn",
        models=(
            _model("seed-cnn", "keras", 820, None, 3_000_000),
            _model("seed-cnn-float32", "tflite", 820, _parity(820, 1000, 0, 0), 168_400),
            _model("seed-cnn-int8", "tflite", 817, _parity(817, 988, 5, 2), 79_900),
        ),
    )


def _model(
    name: str, model_format: SubjectFormat, correct: int, parity: Parity | None, fastest_ns: int
) -> ModelReport:
    return ModelReport(
        name=name,
        model_file=ModelFile(
            file=f"{name}.{model_format}", format=model_format, size_bytes=397_432, sha256="ab" * 32
        ),
        runtime="keras/tensorflow" if model_format == "keras" else "litert",
        accuracy=Accuracy(correct=correct, seen=1000, split="test-sample"),
        parity=parity,
        latency=Latency(
            threads=1,
            warmup=10,
            rounds=10,
            num_images=50,
            samples_ns=tuple(fastest_ns + 1000 * i for i in range(100)),
        ),
    )


def _parity(correct: int, agreeing: int, to_wrong: int, to_right: int) -> Parity:
    return Parity(
        reference_correct=820,
        candidate_correct=correct,
        agreeing=agreeing,
        flips_to_wrong=to_wrong,
        flips_to_right=to_right,
        seen=1000,
        max_score_error=0.125,
        mean_score_error=0.0625,
        sqnr_db=None if agreeing == 1000 else 40.0,
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
