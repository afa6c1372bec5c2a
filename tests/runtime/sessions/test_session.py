"""Both interpreters give the scores that arithmetic gives, and refuse a file unlike its contract."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_runtime.artefact import open_artefact
from cifar_runtime.errors import ArtefactError, MissingDependencyError, UsageError
from cifar_runtime.formats.protobuf import has_external_data
from cifar_runtime.sessions import ort
from cifar_runtime.sessions.base import SessionOptions
from cifar_runtime.sessions.litert import LiteRTSession
from cifar_runtime.sessions.open import open_session
from cifar_runtime.sessions.ort import OrtSession

IMAGES = np.random.default_rng(0).integers(0, 256, (150, 6, 8, 3), dtype=np.uint8)
CENTRED = (IMAGES.astype(np.float64) - 128) / 64


def test_litert_scores_are_the_channel_means(tflite_model: Path) -> None:
    session = open_session(open_artefact(tflite_model))
    raw = session.run((IMAGES.astype(np.int16) - 128).astype(np.int8))
    assert session.runtime == "litert"
    assert raw.dtype == np.int8
    # One step of the output is 1/32; the kernel may round a half either way.
    assert abs(raw / 32 - CENTRED.mean(axis=(1, 2))).max() <= 0.5 / 32 + 1e-9


@pytest.mark.parametrize("batch", ["n", 1])
def test_onnxruntime_scores_are_the_channel_means(publish: Any, batch: int | str) -> None:
    path = publish.onnx(data=publish.onnx_bytes(batch=batch))
    images = CENTRED.astype(np.float32)
    session = open_session(open_artefact(path))
    raw = session.run(images)
    assert session.runtime == "onnxruntime"
    assert raw.dtype == np.float32
    np.testing.assert_allclose(raw, CENTRED.mean(axis=(1, 2)), atol=1e-6)


def test_onnxruntime_takes_large_images_a_few_at_once(
    publish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Activations grow with the pixels: 64 images of 224x224 at once take gigabytes."""
    height, width = CENTRED.shape[1:3]
    monkeypatch.setattr(ort, "_MAX_BATCH_PIXELS", 2 * height * width)
    session = open_session(open_artefact(publish.onnx()))
    run_part, seen = OrtSession._run_part, list[int]()

    def counted(self: OrtSession, session: Any, part: Any) -> Any:
        seen.append(len(part))
        return run_part(self, session, part)

    monkeypatch.setattr(OrtSession, "_run_part", counted)
    raw = session.run(np.repeat(CENTRED[:1], 5, axis=0).astype(np.float32))
    assert seen == [2, 2, 1]
    np.testing.assert_allclose(raw, [CENTRED[0].mean(axis=(0, 1))] * 5, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        SessionOptions(xnnpack=False),
        SessionOptions(graph_optimization="none"),
        SessionOptions(graph_optimization="basic"),
        SessionOptions(graph_optimization="extended"),
    ],
)
def test_every_way_to_set_an_interpreter_up_gives_the_same_scores(
    any_model: Path, options: SessionOptions
) -> None:
    """Within one step of an int8 output."""
    artefact = open_artefact(any_model)
    images = np.random.default_rng(1).integers(-100, 100, IMAGES.shape)
    batch = images.astype(artefact.contract.input.dtype)
    usual = open_session(artefact).run(batch).astype(np.float64)
    atol = 1 if artefact.contract.output.dtype == "int8" else 1e-5
    np.testing.assert_allclose(
        open_session(artefact, options=options).run(batch), usual, rtol=1e-5, atol=atol
    )


@pytest.mark.parametrize(("xnnpack", "delegates"), [(True, 1), (False, 0)])
def test_litert_hands_operators_to_xnnpack_only_when_it_may(
    tflite_model: Path, *, xnnpack: bool, delegates: int
) -> None:
    session = LiteRTSession(
        open_artefact(tflite_model), threads=1, options=SessionOptions(xnnpack=xnnpack)
    )
    operators = session._interpreter._get_ops_details()
    assert [one["op_name"] for one in operators].count("DELEGATE") == delegates


def test_a_model_fixed_to_batch_four_is_refused(publish: Any) -> None:
    path = publish.onnx(data=publish.onnx_bytes(batch=4))
    with pytest.raises(ArtefactError, match=r"its input is float32 \(4, 6, 8, 3\)"):
        open_session(open_artefact(path))


def test_an_empty_batch_gives_no_scores(any_model: Path) -> None:
    artefact = open_artefact(any_model)
    empty = np.empty((0, 6, 8, 3), artefact.contract.input.dtype)
    raw = open_session(artefact).run(empty)
    assert raw.shape == (0, 3)
    assert raw.dtype == artefact.contract.output.dtype


def test_a_closed_session_says_so(any_model: Path) -> None:
    artefact = open_artefact(any_model)
    session = open_session(artefact)
    session.close()
    session.close()
    with pytest.raises(UsageError, match="the session is closed"):
        session.run(np.empty((1, 6, 8, 3), artefact.contract.input.dtype))


@pytest.mark.parametrize(
    ("shape", "dtype"), [((1, 8, 6, 3), None), ((6, 8, 3), None), (None, "u2")]
)
def test_a_batch_of_another_kind_is_refused(
    any_model: Path, shape: tuple[int, ...] | None, dtype: str | None
) -> None:
    artefact = open_artefact(any_model)
    batch = np.zeros(shape or (1, 6, 8, 3), dtype or artefact.contract.input.dtype)
    with pytest.raises(UsageError, match="which prepares pixels"):
        open_session(artefact).run(batch)


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("input", {"shape": (8, 6, 3)}, "its input is int8 (1, 6, 8, 3) with scale 0.015625"),
        (
            "input",
            {"scale": 1.0},
            "contract says int8 ('any', 6, 8, 3) with scale 1.0 and zero point 0",
        ),
        ("input", {"zero_point": -128}, "with scale 0.015625 and zero point -128."),
        ("input", {"dtype": "uint8"}, "its contract says uint8 ('any', 6, 8, 3)"),
        ("output", {"scale": 0.5}, "its output is int8 (1, 3) with scale 0.03125"),
        ("output", {"zero_point": 5}, "and zero point 5."),
    ],
)
def test_a_tflite_unlike_its_contract_is_refused(
    publish: Any, tflite_model: Path, part: str, changes: dict[str, Any], said: str
) -> None:
    contract = open_artefact(tflite_model).contract
    wrong = replace(contract, **{part: replace(getattr(contract, part), **changes)})
    with pytest.raises(ArtefactError) as caught:
        open_session(open_artefact(publish.tflite(contract=wrong)))
    assert said in str(caught.value)
    assert str(caught.value).endswith("The card belongs to another model: run cifar-export again.")


@pytest.mark.parametrize("model_format", ["tflite", "onnx"])
def test_another_number_of_labels_is_refused(
    publish: Any, request: pytest.FixtureRequest, model_format: str
) -> None:
    contract = open_artefact(request.getfixturevalue(f"{model_format}_model")).contract
    wrong = replace(contract, labels=("red", "green"))
    path = getattr(publish, model_format)(contract=wrong)
    with pytest.raises(ArtefactError, match="its output is"):
        open_session(open_artefact(path))


def test_an_onnx_of_another_shape_is_refused(publish: Any, onnx_model: Path) -> None:
    contract = open_artefact(onnx_model).contract
    wrong = replace(contract, input=replace(contract.input, shape=(8, 6, 3)))
    with pytest.raises(ArtefactError) as caught:
        open_session(open_artefact(publish.onnx(contract=wrong)))
    assert str(caught.value) == (
        f"{publish.folder / 'model.onnx'}: its input is float32 ('any', 6, 8, 3), its contract says "
        "float32 ('any', 8, 6, 3). The card belongs to another model: run cifar-export again."
    )


def test_a_second_output_is_refused(publish: Any) -> None:
    def add_output(model: Any) -> None:
        extra = model.graph.output.add()
        extra.CopyFrom(model.graph.output[0])
        extra.name = "flat"
        extra.type.tensor_type.shape.dim[1].dim_value = 144

    path = publish.onnx(data=publish.onnx_bytes(change=add_output))
    with pytest.raises(ArtefactError, match="has 1 inputs and 2 outputs, expected one of each"):
        open_session(open_artefact(path))


def test_truncated_models_are_refused(publish: Any, any_model: Path) -> None:
    make = getattr(publish, any_model.suffix[1:])
    data = any_model.read_bytes()
    for size in range(8, len(data) - 8, len(data) // 12):
        path = make(data=data[:size])
        with pytest.raises(ArtefactError, match=r"Run cifar-export again|expected one of each"):
            open_session(open_artefact(path))


def test_external_data_is_refused(publish: Any) -> None:
    path = publish.onnx(data=publish.onnx_bytes(external=True))
    (path.parent / "weights.bin").write_bytes(bytes(4 * 144 * 3))
    with pytest.raises(ArtefactError) as caught:
        open_session(open_artefact(path))
    assert str(caught.value) == (
        f"{path}: keeps weights in other files, expected all of them inside. "
        "Save the model without external data."
    )


def test_external_data_is_found_in_attributes_and_subgraphs(publish: Any) -> None:
    def hide_in_constant(model: Any) -> None:
        outside = model.graph.initializer[0]
        branch = model.graph.node.add(op_type="If", input=["c"], output=["y"])
        subgraph = branch.attribute.add(name="then_branch").g
        constant = subgraph.node.add(op_type="Constant", output=["k"])
        constant.attribute.add(name="value").t.CopyFrom(outside)
        del model.graph.initializer[:]

    assert has_external_data(publish.onnx_bytes(external=True, change=hide_in_constant))


def test_the_word_location_alone_is_not_external_data(publish: Any) -> None:
    def mention(model: Any) -> None:
        entry = model.metadata_props.add()
        entry.key, entry.value = "location", "here"

    assert not has_external_data(publish.onnx_bytes(change=mention))


@pytest.mark.parametrize("data", [b"location\xff\xff", b"\x3a\xff\x01location", b"\x0flocation"])
def test_bytes_that_are_no_protocol_buffer_are_refused(data: bytes) -> None:
    with pytest.raises(ArtefactError, match="is not a valid ONNX file"):
        has_external_data(data)


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        ("onnx", "is a tflite model, which runtime 'onnx' cannot run. Give a .onnx model, "),
        ("torch", "runtime is 'torch', expected one of auto, tflite, onnx. "),
    ],
)
def test_a_runtime_that_cannot_run_the_file_is_a_usage_error(
    tflite_model: Path, runtime: Any, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        open_session(open_artefact(tflite_model), runtime=runtime)
    assert message in str(caught.value)


def test_threads_must_be_positive(any_model: Path) -> None:
    with pytest.raises(UsageError, match="threads is 0, expected 1 to 256"):
        open_session(open_artefact(any_model), threads=0)


@pytest.mark.parametrize(
    ("model_format", "package", "hint"),
    [
        ("tflite", "ai_edge_litert", "Run: pip install ai-edge-litert"),
        ("onnx", "onnxruntime", "Run: pip install onnxruntime"),
    ],
)
def test_a_missing_interpreter_is_the_pip_line(
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    model_format: str,
    package: str,
    hint: str,
) -> None:
    for name in (package, f"{package}.interpreter"):
        monkeypatch.setitem(sys.modules, name, None)
    artefact = open_artefact(request.getfixturevalue(f"{model_format}_model"))
    with pytest.raises(MissingDependencyError) as caught:
        open_session(artefact)
    assert caught.value.exit_code == 6
    assert caught.value.hint == hint


def test_telemetry_is_off_before_onnxruntime_runs(
    monkeypatch: pytest.MonkeyPatch, onnx_model: Path
) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    open_session(open_artefact(onnx_model))
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
