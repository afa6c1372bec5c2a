"""Tiny real models: they tell which of red, green and blue is the brightest on average."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_runtime.contract import AbstentionScore, Contract, InputContract, OutputContract
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.embedded_card import sealed

HEIGHT, WIDTH = 6, 8  # not square, so that swapped axes show
LABELS = ("red", "green", "blue")
INPUT_SCALE, OUTPUT_SCALE = 1 / 64, 1 / 32
PIXELS = HEIGHT * WIDTH
# Every weight is 127 steps of this: 1 / PIXELS for its own channel, 0 for the others.
WEIGHT_SCALE = 1 / (127 * PIXELS)


def int8_contract() -> Contract:
    """The contract of the tiny .tflite: logits are channel means of (pixel - 128) / 64."""
    return Contract(
        input=InputContract(
            shape=(HEIGHT, WIDTH, 3),
            dtype="int8",
            multiplier=1 / 64,
            offset=-2.0,
            scale=INPUT_SCALE,
            zero_point=0,
            resize_filter="bilinear",
        ),
        output=OutputContract(kind="logits", dtype="int8", scale=OUTPUT_SCALE, zero_point=0),
        labels=LABELS,
    )


def float_contract() -> Contract:
    """The contract of the tiny .onnx: the same logits from float pixels."""
    return Contract(
        input=InputContract(
            shape=(HEIGHT, WIDTH, 3),
            dtype="float32",
            multiplier=1 / 64,
            offset=-2.0,
            scale=None,
            zero_point=None,
            resize_filter="bilinear",
        ),
        output=OutputContract(kind="logits", dtype="float32", scale=None, zero_point=None),
        labels=LABELS,
    )


def channel_weights() -> np.ndarray[Any, Any]:
    """0 or 1, shape (num_classes, height * width * 3): which input feeds which score."""
    return np.tile(np.eye(3, dtype=np.int8), PIXELS)


def write_card(path: Path, contract: Contract, **changes: Any) -> None:
    """Seals a model and writes the card that belongs to it, with top-level fields changed on request."""
    model_format: Any = path.suffix[1:]
    document: dict[str, Any] = {
        "schema": "cifar-edge/artefact/1",
        "name": f"tiny-{model_format}",
        "licence": None,
        "model": {"file": path.name, "format": model_format},
        "contract": contract.to_json(),
        "provenance": {},
    }
    try:
        data, card = sealed(path.read_bytes(), model_format, document)
        path.write_bytes(data)
    except ArtefactError:  # damaged on purpose: it lies beside a card that names its very bytes
        data = path.read_bytes()
        facts = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        card = {**document, "model": {**document["model"], **facts}}
    path.with_name(path.name + ".json").write_text(json.dumps({**card, **changes}))


def tiny_tflite() -> bytes:
    """A fully int8 flatbuffer, written by hand: RESHAPE and FULLY_CONNECTED at batch 1."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version = 3
    model.description = "tiny"
    constants = [
        b"",
        np.array([1, PIXELS * 3], np.int32).tobytes(),
        (channel_weights() * 127).astype(np.int8).tobytes(),
        np.zeros(3, np.int32).tobytes(),
    ]
    model.buffers = [_buffer(schema, data) for data in constants]
    model.operatorCodes = [
        _operator_code(schema, schema.BuiltinOperator.RESHAPE),
        _operator_code(schema, schema.BuiltinOperator.FULLY_CONNECTED),
    ]
    model.subgraphs = [_subgraph(schema)]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _buffer(schema: Any, data: bytes) -> Any:
    buffer = schema.BufferT()
    if data:
        buffer.data = np.frombuffer(data, np.uint8)
    return buffer


def _operator_code(schema: Any, builtin: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 4 if builtin == schema.BuiltinOperator.FULLY_CONNECTED else 1
    return code


def _subgraph(schema: Any) -> Any:
    int8, int32 = schema.TensorType.INT8, schema.TensorType.INT32
    graph = schema.SubGraphT()
    graph.name = "main"
    graph.tensors = [
        _tensor(schema, "image", [1, HEIGHT, WIDTH, 3], int8, scale=INPUT_SCALE),
        _tensor(schema, "shape", [2], int32, buffer=1),
        _tensor(schema, "flat", [1, PIXELS * 3], int8, scale=INPUT_SCALE),
        _tensor(schema, "weights", [3, PIXELS * 3], int8, buffer=2, scale=WEIGHT_SCALE),
        _tensor(schema, "bias", [3], int32, buffer=3, scale=INPUT_SCALE * WEIGHT_SCALE),
        _tensor(schema, "scores", [1, 3], int8, scale=OUTPUT_SCALE),
    ]
    reshape = _operator(schema, 0, [0, 1], [2])
    reshape.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    reshape.builtinOptions = schema.ReshapeOptionsT()
    reshape.builtinOptions.newShape = [1, PIXELS * 3]
    dense = _operator(schema, 1, [2, 3, 4], [5])
    dense.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    dense.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators = [reshape, dense]
    graph.inputs, graph.outputs = [0], [5]
    return graph


def _operator(schema: Any, code: int, inputs: list[int], outputs: list[int]) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, outputs
    return operator


def _tensor(
    schema: Any, name: str, shape: list[int], kind: int, *, buffer: int = 0, scale: float = 0.0
) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, kind, buffer
    if scale:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = [scale]
        tensor.quantization.zeroPoint = [0]
    return tensor


def tiny_onnx(
    *, batch: int | str = "n", external: bool = False, change: Callable[[Any], None] | None = None
) -> bytes:
    """A float graph of Flatten and MatMul with a free, or a fixed, batch axis."""
    from onnx import TensorProto, helper, numpy_helper

    weights = (channel_weights().T / PIXELS).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    if external:
        _store_outside(model.graph.initializer[0])
    if change is not None:
        change(model)
    return bytes(model.SerializeToString())


def _store_outside(tensor: Any) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = 1  # TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"


@pytest.fixture(scope="session")
def tflite_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny .tflite with its card."""
    path = tmp_path_factory.mktemp("tflite") / "tiny.tflite"
    path.write_bytes(tiny_tflite())
    write_card(path, int8_contract())
    return path


@pytest.fixture(scope="session")
def onnx_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny .onnx with its card."""
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    path.write_bytes(tiny_onnx())
    write_card(path, float_contract())
    return path


class Publisher:
    """Writes variants of the tiny models with their cards into a fresh folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tflite(
        self, *, contract: Contract | None = None, data: bytes | None = None, **card: Any
    ) -> Path:
        """A .tflite; its contract, bytes or the card's fields changed on request."""
        return self._write("model.tflite", data or tiny_tflite(), contract or int8_contract(), card)

    def onnx(
        self, *, contract: Contract | None = None, data: bytes | None = None, **card: Any
    ) -> Path:
        """An .onnx; its contract, bytes or the card's fields changed on request."""
        return self._write("model.onnx", data or tiny_onnx(), contract or float_contract(), card)

    def calibrated(
        self, *, temperature: float, threshold: float, score: AbstentionScore = "probability"
    ) -> Contract:
        """The contract of the tiny .onnx with a temperature and a threshold for a certainty."""
        contract = float_contract()
        output = replace(
            contract.output,
            temperature=temperature,
            abstention_threshold=threshold,
            abstention_score=score,
        )
        return replace(contract, output=output)

    def tflite_bytes(self) -> bytes:
        """The bytes of the tiny .tflite, without a document inside."""
        return tiny_tflite()

    def sigmoid_bytes(self) -> bytes:
        """The bytes of a tiny .onnx that a sigmoid ends."""
        from onnx import helper

        def change(model: Any) -> None:
            graph = model.graph
            graph.node.append(helper.make_node("Sigmoid", [graph.output[0].name], ["end"]))
            graph.output[0].name = "end"

        return tiny_onnx(change=change)

    def onnx_bytes(self, **changes: Any) -> bytes:
        """The bytes of a tiny .onnx; see :func:`tiny_onnx`."""
        return tiny_onnx(**changes)

    def _write(self, name: str, data: bytes, contract: Contract, card: dict[str, Any]) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        write_card(path, contract, **card)
        return path


@pytest.fixture
def publish(tmp_path: Path) -> Publisher:
    """Makes artefacts that are wrong in a chosen way."""
    return Publisher(tmp_path)


@pytest.fixture(params=["tflite", "onnx"])
def any_model(request: pytest.FixtureRequest) -> Path:
    """Each tiny model in turn."""
    path: Path = request.getfixturevalue(f"{request.param}_model")
    return path


KEPT_ARTEFACTS = Path(__file__).parent / "artefacts"


@pytest.fixture(params=["tiny-int8.tflite", "tiny-float32.onnx"])
def artefact_of_this_version(request: pytest.FixtureRequest) -> Path:
    """A small classifier that cifar-edge 0.1 exported, with golden vectors; see artefacts/README.md."""
    return KEPT_ARTEFACTS / "v1" / str(request.param)
