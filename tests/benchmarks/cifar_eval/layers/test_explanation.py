"""Real exports of one network: every layer of the int8 file is compared with its float32 counterpart."""

import math
import shlex
import subprocess
import sysconfig
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_data import packaged
from cifar_data.cifar10.splits import IMAGE_SHAPE, LABELS
from cifar_eval.layers import explanation as explain_module
from cifar_eval.layers.explanation import NUM_LAYER_IMAGES, Explanation, explain, next_commands
from cifar_eval.layers.layer_errors import layer_errors
from cifar_eval.layers.litert_layers import LiteRTTrace
from cifar_eval.layers.onnx_layers import OnnxTrace
from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import Classifier
from cifar_runtime.errors import ArtefactError, MissingDependencyError

OPERATORS = {
    "tflite": ["CONV_2D", "MAX_POOL_2D", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX"],
    "onnx": ["Conv", "MaxPool", "Conv", "Gemm", "Softmax"],
}
TRACES = {"tflite": LiteRTTrace, "onnx": OnnxTrace}


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return packaged.test_sample().images[:NUM_LAYER_IMAGES]


def explained(candidate: Path, *others: Path) -> Explanation:
    sample = packaged.test_sample()
    models = {path: path.stem for path in (*others, candidate)}
    return explain(candidate, models, images=sample.images, labels=sample.labels.astype(np.int64))


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_every_layer_of_an_int8_model_is_compared_worst_first(exports: Path, suffix: str) -> None:
    found = explained(
        exports / f"net-int8.{suffix}", exports / "net.keras", exports / f"net-float32.{suffix}"
    )
    assert found.reason is None
    assert found.errors is not None
    assert sorted(row.operator for row in found.errors.layers) == sorted(OPERATORS[suffix])
    assert (found.errors.reference, found.errors.matched_by) == (
        "net-float32",
        {"tflite": "name", "onnx": "order"}[suffix],
    )
    assert (found.errors.unmatched, found.errors.num_images) == (0, NUM_LAYER_IMAGES)
    noise = [row.sqnr_db for row in found.errors.layers if row.sqnr_db is not None]
    assert noise == sorted(noise)
    # Eight bits of a well-used range: 20 to 60 dB, where a wrong scale or a wrong pair has below 10.
    assert all(20 < value < 60 for value in noise)
    assert len(noise) == len(found.errors.layers)


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_last_layer_is_what_the_runtime_answers(
    exports: Path, images: NDArray[np.uint8], suffix: str, precision: str
) -> None:
    """So the trace feeds the model and reads its scale and zero point as the runtime does."""
    path = exports / f"net-{precision}.{suffix}"
    trace, scores = TRACES[suffix](open_artefact(path)), Classifier(path).scores(images[:4])
    assert trace.is_float32 == (precision == "float32")
    # Kernels without XNNPACK or graph optimization may round differently by one step of 1/256.
    tolerance = 1e-5 if precision == "float32" else 2 / 256
    last = [trace.activations(image[np.newaxis])[trace.layers[-1].name][0] for image in images[:4]]
    assert np.abs(np.stack(last) - scores).max() <= tolerance


def test_the_error_of_a_layer_is_that_of_an_independent_computation(
    exports: Path, images: NDArray[np.uint8]
) -> None:
    """The first convolution again, from Keras' own weights, against the int8 file's tensor.

    The export has equalized it: the gains of its channels are found by least squares and taken out.
    """
    import keras

    model = keras.saving.load_model(exports / "net.keras")
    first = keras.Model(model.inputs, model.get_layer("first").output)
    expected = first.predict_on_batch(images.astype(np.float32)).astype(np.float64)
    trace = LiteRTTrace(open_artefact(exports / "net-int8.tflite"))
    name = next(layer.name for layer in trace.layers if layer.operator == "CONV_2D")
    found = np.concatenate([trace.activations(image[np.newaxis])[name] for image in images])
    noise = 0.0
    for channel in range(expected.shape[-1]):
        theirs, ours = found[..., channel].reshape(-1, 1), expected[..., channel].ravel()
        (gain,), *_ = np.linalg.lstsq(theirs, ours, rcond=None)
        noise += float(np.square(ours - gain * theirs.ravel()).sum())
    sqnr_db = 10 * math.log10(np.square(expected).sum() / noise)
    sample = packaged.test_sample()
    chosen = explain_module.stratified_positions(sample.labels, NUM_LAYER_IMAGES)
    assert len(chosen) == len(images)
    errors = layer_errors(
        LiteRTTrace(open_artefact(exports / "net-float32.tflite")),
        trace,
        images,
        reference_name="float32",
    )
    row = next(row for row in errors.layers if row.name == name)
    assert row.rescaled
    assert row.sqnr_db == pytest.approx(sqnr_db, abs=0.01)
    assert row.max_error == pytest.approx(np.abs(expected - found).max(), rel=1e-3)


@pytest.mark.parametrize(
    ("candidate", "others", "reason"),
    [
        ("net.keras", [], "it is a Keras checkpoint: layers are compared between exported files."),
        (
            "net-float32.tflite",
            ["net.keras"],
            "it is float32: there is no quantization error to find.",
        ),
        (
            "net-int8.onnx",
            ["net.keras", "net-float32.tflite"],
            "that takes the float32 .onnx of the same export: give it as REFERENCE or as another "
            "CANDIDATE.",
        ),
    ],
)
def test_where_layers_cannot_be_compared_the_reason_is_given(
    exports: Path, candidate: str, others: list[str], reason: str
) -> None:
    found = explained(exports / candidate, *(exports / name for name in others))
    assert (found.errors, found.reason) == (None, reason)


def test_without_onnx_the_reason_is_the_pip_line(
    exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    found = explained(exports / "net-int8.onnx", exports / "net-float32.onnx")
    assert found.errors is None
    assert found.reason is not None
    assert found.reason.endswith("run: pip install ./runtime '.[export]'")
    assert found.next_commands
    with pytest.raises(MissingDependencyError, match="needs onnx and onnxruntime"):
        OnnxTrace(open_artefact(exports / "net-int8.onnx"))


def test_a_model_whose_layers_cannot_be_read_keeps_its_verdict(
    exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_trace: LiteRTTrace, _image: NDArray[np.uint8]) -> None:
        raise ArtefactError("the tensors are gone.", hint="Compare without -v.")

    monkeypatch.setattr(LiteRTTrace, "activations", fail)
    found = explained(exports / "net-int8.tflite", exports / "net-float32.tflite")
    assert (found.errors, found.reason) == (None, "the tensors are gone. Compare without -v.")
    assert found.next_commands


def test_the_next_commands_export_the_given_checkpoint_again_the_cheapest_first(
    exports: Path,
) -> None:
    artefact = open_artefact(exports / "net-int8.onnx")
    base = "cifar-export {} --format onnx --quantize int8 {} -o {}"
    options = ["--calibration-samples 1024", "--calibration-method percentile", "--qat"]
    given = exports / "net.keras"
    assert next_commands(artefact, [given]) == tuple(
        base.format(given, option, exports if option == "--qat" else exports / "retry")
        for option in options
    )
    # Without a checkpoint among the models, the one that the card names.
    assert next_commands(artefact, [])[0] == base.format("net.keras", options[0], exports / "retry")
    assert next_commands(open_artefact(exports / "net-float32.onnx"), [given]) == ()


def test_a_next_command_meets_no_artefact_in_its_way(exports: Path) -> None:
    """It publishes, or fails its gate; fewer images than it names, so that it needs no data set."""
    artefact = open_artefact(exports / "net-int8.onnx")
    _, percentile, _ = next_commands(artefact, [exports / "net.keras"])
    program, *arguments = shlex.split(percentile)
    ended = subprocess.run(
        [
            Path(sysconfig.get_path("scripts")) / program,
            *arguments,
            *("--calibration-samples", "64", "--eval-split", "test-sample", "-q"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in (0, 5), ended.stderr


@pytest.mark.parametrize(
    ("quantize", "labels", "shape", "source", "named", "trains"),
    [
        ("int8", LABELS, IMAGE_SHAPE, "train", "", True),
        ("int8-float-io", LABELS, IMAGE_SHAPE, "train", "", True),
        ("int16x8", LABELS, IMAGE_SHAPE, "train", "", False),
        (
            *("int8", LABELS, IMAGE_SHAPE, "folder"),
            *(" --calibration-data=TRAINING-FOLDER", True),
        ),
        (
            *("int8", ("cat", "dog"), (96, 96, 3), "folder"),
            " --labels=FILE --calibration-data=TRAINING-FOLDER --eval-data=TEST-FOLDER",
            False,
        ),
    ],
)
def test_a_next_command_repeats_what_the_card_states_and_says_what_it_cannot_know(
    quantize: str,
    labels: tuple[str, ...],
    shape: tuple[int, int, int],
    source: str,
    named: str,
    trains: bool,
) -> None:
    """It trains where that is possible."""
    stated = {"quantize": quantize, "input_range": "-1..1", "resize_filter": None, "seed": 3}
    card = {
        "provenance": {
            "recipe": {**stated, "calibration_method": "minmax"},
            "calibration": {"count": 64, "source": source},
            "checkpoint": {"file": "net.keras"},
        }
    }
    artefact: Any = SimpleNamespace(
        card=card,
        format="tflite",
        path=Path("out/net.tflite"),
        contract=SimpleNamespace(labels=labels, input=SimpleNamespace(shape=shape)),
    )
    base = f"cifar-export net.keras --format tflite --quantize {quantize} --input-range=-1..1 --seed=3{named}"
    more = (f"{base} --calibration-samples 1024 -o out/retry",)
    assert next_commands(artefact, []) == more + ((f"{base} --qat -o out",) if trains else ())
