"""The hostile catalogue: model, card and image files that must each end with their documented exit code.

Everything is made by code when it is needed; none of it is committed. ``python hostile.py DIR`` writes it out.
"""

import io
import json
import os
import shutil
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

INPUT, ARTEFACT, USAGE = 3, 4, 2  # exit codes
HEIGHT, WIDTH = 4, 4
CONTRACT = {
    "input": {
        "shape": [HEIGHT, WIDTH, 3],
        "multiplier": 1.0,
        "offset": 0.0,
        "resize_filter": "bilinear",
    },
    "labels": ["a", "b", "c"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One hostile command line.

    Attributes:
        name: of the case.
        exit_code: how cifar-classify must end.
        says: what its message must hold.
        write: makes the files in a folder that holds ``good.tflite`` and ``good.onnx`` (artefacts),
            ``good.png`` and ``contract.json``; returns the arguments of cifar-classify.
    """

    name: str
    exit_code: int
    says: str
    write: Callable[[Path], list[str]]


def catalogue() -> tuple[Case, ...]:
    """All cases."""
    return (*_files(), *_cards(), *_foreign_tflite(), *_foreign_onnx(), *_contracts(), *_images())


def prepare(folder: Path, artefacts: Path) -> None:
    """Puts the good files beside which the hostile ones are made into a folder.

    Args:
        folder: a fresh one.
        artefacts: where tiny-int8.tflite and tiny-float32.onnx lie with their cards.
    """
    from PIL import Image

    for source, name in (("tiny-int8.tflite", "good.tflite"), ("tiny-float32.onnx", "good.onnx")):
        for suffix in ("", ".json"):
            shutil.copy(artefacts / f"{source}{suffix}", folder / f"{name}{suffix}")
    Image.new("RGB", (20, 16), (200, 30, 40)).save(folder / "good.png")
    (folder / "contract.json").write_text(json.dumps(CONTRACT))


# Model files that are none.


def _files() -> Iterator[Case]:
    yield _model("model-missing", "cannot be read", _nothing)
    yield _model("model-is-a-folder", "is not a regular file", lambda path: path.mkdir())
    yield _model("model-is-a-fifo", "is not a regular file", os.mkfifo)
    yield _model(
        "model-is-an-endless-device",
        "is not a regular file",
        lambda path: path.symlink_to("/dev/zero"),
    )
    yield _model("model-is-a-link-to-itself", "cannot be read", lambda path: path.symlink_to(path))
    yield _model("model-of-513-mib", "is larger than", lambda path: _sparse(path, 513 << 20))
    yield _model("model-empty", "content is not tflite", lambda path: path.write_bytes(b""))
    yield _model(
        "model-is-a-pickle",
        "is not a model this runs",
        _bytes(b"\x80\x04cos\nsystem\n"),
        "model.h5",
    )
    yield _model("model-name-with-a-nul", "cannot be read", _nothing, "bad\0name.tflite")
    for name, good in (("tflite", "good.tflite"), ("onnx", "good.onnx")):
        yield _artefact(f"{name}-truncated", "the file changed after export", good, _cut)
        yield _artefact(f"{name}-one-bit-flipped", "the file changed after export", good, _flip)
        yield _artefact(f"{name}-grown-by-a-byte", "the file changed after export", good, _grow)
        yield _artefact(f"{name}-card-lost", "is missing", good, lambda path: _card(path).unlink())
    yield _artefact("onnx-renamed-tflite", "format is 'onnx'", "good.onnx", _rename(".tflite"))
    yield _artefact("tflite-renamed-onnx", "format is 'tflite'", "good.tflite", _rename(".onnx"))


def _model(name: str, says: str, make: Callable[[Path], Any], file: str = "model.tflite") -> Case:
    def write(folder: Path) -> list[str]:
        make(folder / file)
        return ["good.png", "-m", file]

    return Case(name=name, exit_code=ARTEFACT, says=says, write=write)


def _artefact(name: str, says: str, good: str, change: Callable[[Path], Path | None]) -> Case:
    def write(folder: Path) -> list[str]:
        changed = change(folder / good) or folder / good
        return ["good.png", "-m", changed.name]

    return Case(name=name, exit_code=ARTEFACT, says=says, write=write)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _rename(suffix: str) -> Callable[[Path], Path]:
    def rename(path: Path) -> Path:
        renamed = path.with_suffix(suffix)
        for old, new in ((_card(path), _card(renamed)), (path, renamed)):
            old.replace(new)
        return renamed

    return rename


def _card(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _nothing(path: Path) -> None:
    del path


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as stream:
        stream.truncate(size)


def _bytes(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


# Cards.


def _cards() -> Iterator[Case]:
    def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
        def edit(path: Path) -> None:
            card = json.loads(_card(path).read_text())
            change(card)
            _card(path).write_text(json.dumps(card))

        return edit

    def raw(text: bytes) -> Callable[[Path], None]:
        return lambda path: _card(path).write_bytes(text) and None

    def fifo(path: Path) -> None:
        _card(path).unlink()
        os.mkfifo(_card(path))

    for name, says, change in (
        ("card-empty", "is not valid JSON", raw(b"")),
        ("card-nested-100000-deep", "is not valid JSON", raw(b"[" * 100_000)),
        ("card-not-text", "is not valid JSON", raw(b"\xff\xfe{")),
        ("card-number-of-100000-digits", "is not valid JSON", raw(b"9" * 100_000)),
        ("card-is-a-list", "its schema is None", raw(b"[]")),
        ("card-of-17-mib", "is larger than", lambda path: _sparse(_card(path), 17 << 20)),
        ("card-is-a-fifo", "is not a regular file", fifo),
        (
            "card-labels-swapped",
            "its contract is not what the model carries",
            edited(lambda card: card["contract"]["labels"].reverse()),
        ),
        (
            "card-scale-nan",
            "its contract is not what the model carries",
            edited(lambda card: card["contract"]["input"].update(scale=float("nan"))),
        ),
        (
            "card-accuracy-polished",
            "its provenance is not what the model carries",
            edited(lambda card: card["provenance"]["parity"].update(candidate_correct=1000)),
        ),
        (
            "card-golden-vectors-removed",
            "its golden_vectors is not what the model carries",
            edited(lambda card: card.pop("golden_vectors")),
        ),
        (
            "card-of-the-future",
            "its schema is 'cifar-edge/artefact/9'",
            edited(lambda card: card.update(schema="cifar-edge/artefact/9")),
        ),
    ):
        yield _artefact(name, says, "good.tflite", change)

    def swap(path: Path) -> None:
        shutil.copy(_card(path.with_name("good.onnx")), _card(path))

    yield _artefact("card-of-another-model", "the file changed after export", "good.tflite", swap)


# TensorFlow Lite files from elsewhere.


def _foreign_tflite() -> Iterator[Case]:
    for name, says, data in (
        ("tflite-int8-without-a-scale", "scale", lambda: _tflite(_unscaled)),
        ("tflite-int8-weights-without-a-scale", "", lambda: _tflite(_unscaled_weights)),
        # LiteRT 2.3 aborts the process on it.
        ("tflite-add-without-a-scale", "crashed with SIGABRT", lambda: _tflite(_unscaled_add)),
        ("tflite-while-forever", "processor time", lambda: _tflite(_endless)),
        ("tflite-fill-of-3-gb", "", lambda: _tflite(_huge_fill)),
        ("tflite-reshape-to-another-size", "", lambda: _tflite(_bad_reshape)),
        ("tflite-operator-writes-its-input", "", lambda: _tflite(_overwriting)),
        (
            "tflite-operator-reads-tensor-999",
            "tensor that is not there",
            lambda: _tflite(_dangling),
        ),
        ("tflite-custom-operator", "", lambda: _tflite(_custom)),
        ("tflite-of-another-shape", "its input is", lambda: _tflite(_reshaped_input)),
        ("tflite-two-outputs", "1 inputs and 2 outputs", lambda: _tflite(_two_outputs)),
        ("tflite-no-graph", "it has no graph", lambda: _tflite(_graphless)),
        ("tflite-identifier-and-zeros", "", lambda: b"\x00\x00\x00\x00TFL3" + bytes(400)),
        ("tflite-identifier-and-noise", "", lambda: _noise(b"TFL3")),
        ("tflite-root-outside", "points outside", lambda: b"\xff\xff\xff\x7fTFL3" + bytes(400)),
        ("tflite-vector-of-4-thousand-million", "longer than the file", _long_vector),
        ("tflite-of-20000-graphs-of-20000-tensors", "more than 50000 tables", _quadratic),
    ):
        yield _foreign(name, says, "foreign.tflite", data)


def _foreign(name: str, says: str, file: str, data: Callable[[], bytes]) -> Case:
    def write(folder: Path) -> list[str]:
        (folder / file).write_bytes(data())
        return ["good.png", "-m", file, "--contract", "contract.json"]

    return Case(name=name, exit_code=ARTEFACT, says=says, write=write)


def _noise(identifier: bytes) -> bytes:
    noise = np.random.default_rng(7).bytes(4096)
    return b"\x10\x00\x00\x00" + identifier + noise


def _tflite(change: Callable[[Any, Any], None]) -> bytes:
    """A float model, RESHAPE and FULLY_CONNECTED on a 4x4 image, after a change."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    float32, int32 = schema.TensorType.FLOAT32, schema.TensorType.INT32
    size = HEIGHT * WIDTH * 3
    model = schema.ModelT()
    model.version = 3
    constants = [b"", np.array([1, size], np.int32).tobytes(), bytes(4 * 3 * size)]
    model.buffers = [_buffer(schema, data) for data in constants]
    builtin = schema.BuiltinOperator
    model.operatorCodes = [_code(schema, builtin.RESHAPE), _code(schema, builtin.FULLY_CONNECTED)]
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor(schema, [1, HEIGHT, WIDTH, 3], float32),
        _tensor(schema, [2], int32, buffer=1),
        _tensor(schema, [1, size], float32),
        _tensor(schema, [3, size], float32, buffer=2),
        _tensor(schema, [1, 3], float32),
    ]
    reshape = _operator(schema, 0, [0, 1], [2])
    dense = _operator(schema, 1, [2, 3, -1], [4])
    dense.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    dense.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators = [reshape, dense]
    graph.inputs, graph.outputs = [0], [4]
    model.subgraphs = [graph]
    change(model, schema)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _buffer(schema: Any, data: bytes) -> Any:
    buffer = schema.BufferT()
    if data:
        buffer.data = np.frombuffer(data, np.uint8)
    return buffer


def _code(schema: Any, builtin: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = min(builtin, 127)
    code.builtinCode = builtin
    code.version = 1
    return code


def _tensor(schema: Any, shape: list[int], kind: int, *, buffer: int = 0) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = f"t{shape}", shape, kind, buffer
    return tensor


def _operator(schema: Any, code: int, inputs: list[int], outputs: list[int]) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, outputs
    return operator


def _unscaled(model: Any, schema: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == schema.TensorType.FLOAT32:
            tensor.type = schema.TensorType.INT8
    model.buffers[2].data = np.zeros(3 * HEIGHT * WIDTH * 3, np.uint8)


def _unscaled_weights(model: Any, schema: Any) -> None:
    _unscaled(model, schema)
    _scale(model, schema, (0, 4))


def _unscaled_add(model: Any, schema: Any) -> None:
    """An ADD between the other two, whose output alone has no scale."""
    _unscaled(model, schema)
    main = model.subgraphs[0]
    main.tensors.append(_tensor(schema, [1, HEIGHT * WIDTH * 3], schema.TensorType.INT8))
    _scale(model, schema, (0, 2, 3, 4))
    model.operatorCodes.append(_code(schema, schema.BuiltinOperator.ADD))
    add = _operator(schema, 2, [2, 2], [5])
    add.builtinOptionsType = schema.BuiltinOptions.AddOptions
    add.builtinOptions = schema.AddOptionsT()
    main.operators.insert(1, add)
    main.operators[2].inputs = [5, 3, -1]


def _scale(model: Any, schema: Any, indices: tuple[int, ...]) -> None:
    for index in indices:
        tensor = model.subgraphs[0].tensors[index]
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5], [0]


def _endless(model: Any, schema: Any) -> None:
    """A WHILE whose condition is the constant true, before the dense layer."""
    main = model.subgraphs[0]
    shape = list(main.tensors[0].shape)
    float32, boolean = schema.TensorType.FLOAT32, schema.TensorType.BOOL
    model.operatorCodes += [
        _code(schema, schema.BuiltinOperator.WHILE),
        _code(schema, schema.BuiltinOperator.ABS),
        _code(schema, schema.BuiltinOperator.EQUAL),
    ]
    condition, body = schema.SubGraphT(), schema.SubGraphT()
    condition.tensors = [_tensor(schema, shape, float32), _tensor(schema, [1], float32, buffer=3)]
    condition.tensors.append(_tensor(schema, [1], boolean))
    model.buffers.append(_buffer(schema, np.ones(1, np.float32).tobytes()))
    equal = _operator(schema, 4, [1, 1], [2])
    condition.operators, condition.inputs, condition.outputs = [equal], [0], [2]
    body.tensors = [_tensor(schema, shape, float32), _tensor(schema, shape, float32)]
    body.operators, body.inputs, body.outputs = [_operator(schema, 3, [0], [1])], [0], [1]
    main.tensors.append(_tensor(schema, shape, float32))
    loop = _operator(schema, 2, [0], [5])
    loop.builtinOptionsType = schema.BuiltinOptions.WhileOptions
    loop.builtinOptions = schema.WhileOptionsT()
    loop.builtinOptions.condSubgraphIndex, loop.builtinOptions.bodySubgraphIndex = 1, 2
    main.operators[0].inputs = [5, 1]
    main.operators.insert(0, loop)
    model.subgraphs += [condition, body]


def _huge_fill(model: Any, schema: Any) -> None:
    main = model.subgraphs[0]
    float32, int32 = schema.TensorType.FLOAT32, schema.TensorType.INT32
    model.operatorCodes.append(_code(schema, schema.BuiltinOperator.FILL))
    model.buffers += [
        _buffer(schema, np.array([800_000_000], np.int32).tobytes()),
        _buffer(schema, np.ones(1, np.float32).tobytes()),
    ]
    main.tensors += [
        _tensor(schema, [1], int32, buffer=3),
        _tensor(schema, [], float32, buffer=4),
        _tensor(schema, [800_000_000], float32),
    ]
    main.operators.append(_operator(schema, 2, [5, 6], [7]))


def _bad_reshape(model: Any, schema: Any) -> None:
    model.buffers[1] = _buffer(schema, np.array([1, 7], np.int32).tobytes())


def _overwriting(model: Any, schema: Any) -> None:
    del schema
    model.subgraphs[0].operators[1].outputs = [0]


def _dangling(model: Any, schema: Any) -> None:
    del schema
    model.subgraphs[0].operators[1].inputs = [2, 999, -1]


def _custom(model: Any, schema: Any) -> None:
    model.operatorCodes[0] = _code(schema, schema.BuiltinOperator.CUSTOM)
    model.operatorCodes[0].customCode = "RunShell"


def _reshaped_input(model: Any, schema: Any) -> None:
    del schema
    model.subgraphs[0].tensors[0].shape = [1, 2, 8, 3]


def _two_outputs(model: Any, schema: Any) -> None:
    del schema
    model.subgraphs[0].outputs = [4, 2]


def _graphless(model: Any, schema: Any) -> None:
    del schema
    model.subgraphs = []


def _long_vector() -> bytes:
    """A root table whose vector of subgraphs claims 2**32 - 1 elements."""
    vtable = struct.pack("<5H", 10, 16, 0, 0, 4)
    table = struct.pack("<iI", 12, 4)
    return struct.pack("<I4s", 20, b"TFL3") + vtable + bytes(2) + table + b"\xff\xff\xff\xff" * 4


def _quadratic() -> bytes:
    """20,000 subgraphs that are all the same one, of 20,000 tensors that are all the same one."""
    count = 20_000
    # The root table: subgraphs and buffers, fields 2 and 4; one empty buffer; then the subgraphs.
    data = struct.pack("<I4s", 24, b"TFL3") + struct.pack("<7H", 14, 12, 0, 0, 4, 0, 8) + bytes(2)
    data += struct.pack("<iII", 16, 24, 4) + struct.pack("<II2Hi", 1, 8, 4, 4, 4)
    subgraph = len(data) + 4 + 4 * count + 8
    data += struct.pack("<I", count) + _pointers(len(data) + 4, subgraph, count)
    data += struct.pack("<3H", 6, 8, 4) + bytes(2) + struct.pack("<iI", 8, 4)
    tensor = len(data) + 4 + 4 * count + 4
    data += struct.pack("<I", count) + _pointers(len(data) + 4, tensor, count)
    return data + struct.pack("<2H", 4, 4) + struct.pack("<i", 4)


def _pointers(first: int, target: int, count: int) -> bytes:
    return struct.pack(f"<{count}I", *(target - (first + 4 * index) for index in range(count)))


# ONNX files from elsewhere.


def _foreign_onnx() -> Iterator[Case]:
    for name, says, data in (
        ("onnx-loop-forever", "processor time", lambda: _onnx(_endless_loop)),
        ("onnx-allocates-4-gb", "", lambda: _onnx(_huge_constant)),
        ("onnx-loops-on-this-picture", "running it on a picture", lambda: _onnx(_picky_loop)),
        ("onnx-allocates-on-this-picture", "", lambda: _onnx(_picky_constant)),
        ("onnx-weights-in-etc-passwd", "keeps weights in other files", lambda: _onnx(_external)),
        ("onnx-unknown-operator", "onnxruntime cannot open it", lambda: _onnx(_unknown)),
        ("onnx-scores-of-nan", "not finite numbers", lambda: _onnx(_nan)),
        ("onnx-name-that-is-not-utf8", "", lambda: _onnx(None).replace(b"scores", b"\xff\xfeores")),
        ("onnx-two-inputs", "2 inputs and 1 outputs", lambda: _onnx(_second_input)),
        ("onnx-of-another-shape", "its input is", lambda: _onnx(_transposed)),
        ("onnx-cut-in-a-number", "not a valid ONNX file", lambda: b"\x08\xff"),
        ("onnx-field-longer-than-the-file", "not a valid ONNX file", lambda: b"\x3a\xff\xff\x03ab"),
        ("onnx-no-graph", "it has no graph", lambda: b"\x08\x08"),
        ("onnx-noise", "", lambda: np.random.default_rng(3).bytes(4096)),
        ("onnx-nested-5000-graphs", "nests deeper than 64", _nested),
        ("onnx-tensor-of-9-exabytes", "", lambda: _onnx(_wide)),
    ):
        yield _foreign(name, says, "foreign.onnx", data)


def _onnx(change: Callable[[Any], None] | None) -> bytes:
    """A float model, Flatten and MatMul on a 4x4 image, after a change."""
    from onnx import TensorProto, helper, numpy_helper

    size = HEIGHT * WIDTH * 3
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
        ],
        "hostile",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.zeros((size, 3), np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    if change is not None:
        change(model)
    return bytes(model.SerializeToString())


def _endless_loop(model: Any) -> None:
    from onnx import TensorProto, helper, numpy_helper

    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["go_on_out"]),
            helper.make_node("Abs", ["x_in"], ["x_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x_in", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x_out", TensorProto.FLOAT, None),
        ],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "true"))
    model.graph.node.insert(
        0, helper.make_node("Loop", ["", "true", "image"], ["looped"], body=body)
    )
    model.graph.node[1].input[0] = "looped"


def _huge_constant(model: Any) -> None:
    from onnx import helper, numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(np.array([10**9]), "size"))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["size"], ["zeros"]))
    model.graph.node.insert(1, helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0))
    model.graph.node.append(helper.make_node("Add", ["product", "sum"], ["scores"]))
    model.graph.node[3].output[0] = "product"


def _picky_loop(model: Any) -> None:
    """Endless for good.png alone, whose largest value is 200: a first picture of noise shows nothing."""
    _endless_loop(model)
    loop = next(node for node in model.graph.node if node.op_type == "Loop")
    loop.input[0] = "many"
    _multiply_if_good(model, 2**60)


def _picky_constant(model: Any) -> None:
    _huge_constant(model)
    next(one for one in model.graph.node if one.op_type == "ConstantOfShape").input[0] = "many"
    _multiply_if_good(model, 10**9, shape=(1,))


def _multiply_if_good(model: Any, number: int, shape: tuple[int, ...] = ()) -> None:
    """Puts nodes in front whose output ``many`` is ``number`` for good.png and 0 for other pictures."""
    from onnx import TensorProto, helper, numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(np.float32(200), "two-hundred"))
    model.graph.initializer.append(numpy_helper.from_array(np.full(shape, number), "number"))
    nodes = (
        helper.make_node("ReduceMax", ["image"], ["largest"], keepdims=0),
        helper.make_node("Equal", ["largest", "two-hundred"], ["is-good"]),
        helper.make_node("Cast", ["is-good"], ["one"], to=TensorProto.INT64),
        helper.make_node("Mul", ["one", "number"], ["many"]),
    )
    for position, node in enumerate(nodes):
        model.graph.node.insert(position, node)


def _external(model: Any) -> None:
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = 1  # TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"


def _unknown(model: Any) -> None:
    model.graph.node[0].op_type = "RunShell"


def _nan(model: Any) -> None:
    weights = model.graph.initializer[0]
    weights.raw_data = np.full(len(weights.raw_data) // 4, np.nan, np.float32).tobytes()


def _second_input(model: Any) -> None:
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[1].name = "other"


def _transposed(model: Any) -> None:
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    sizes[1].dim_value, sizes[3].dim_value = 3, WIDTH


def _nested() -> bytes:
    """A graph in an attribute of a node of a graph, and so on; it names a location, which makes us walk it."""
    from cifar_runtime.formats.protobuf import message_fields

    deep = b"location"
    for _ in range(5000):
        deep = _field(1, _field(5, _field(6, deep)))
    (graph,) = (value for number, value in message_fields(memoryview(_onnx(None))) if number == 7)
    return _field(7, bytes(graph) + deep)


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2]) + bytes([*length, size]) + content


def _wide(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [2**62, 3]


# Contracts that a user states.


def _contracts() -> Iterator[Case]:
    foreign = lambda folder: (folder / "foreign.onnx").write_bytes(_onnx(None))  # noqa: E731

    def stated(
        name: str, exit_code: int, says: str, contract: str, text: str | None = None
    ) -> Case:
        def write(folder: Path) -> list[str]:
            foreign(folder)
            if text is not None:
                (folder / contract).write_text(text)
            return ["good.png", "-m", "foreign.onnx", "--contract", contract]

        return Case(name=name, exit_code=exit_code, says=says, write=write)

    unlabelled = json.dumps({"input": CONTRACT["input"]})
    wrong = json.dumps({**CONTRACT, "labels": ["a", "b"]})
    yield stated("contract-of-an-unknown-name", USAGE, "is not one of cifar10-raw255", "cifar10")
    yield stated("contract-missing", ARTEFACT, "cannot be read", "none.json")
    yield stated("contract-not-json", ARTEFACT, "is not valid JSON", "c.json", "{")
    yield stated("contract-is-a-list", ARTEFACT, "is not a JSON object", "c.json", "[]")
    yield stated("contract-without-labels", ARTEFACT, "'labels'", "c.json", unlabelled)
    yield stated("contract-of-another-model", ARTEFACT, "its input is", "cifar10-raw255")
    yield stated("contract-with-other-labels", ARTEFACT, "its output is", "c.json", wrong)
    yield Case(
        name="contract-for-a-model-that-has-one",
        exit_code=USAGE,
        says="has a card, which states its contract",
        write=lambda _: ["good.png", "-m", "good.tflite", "--contract", "cifar10-raw255"],
    )
    yield Case(
        name="model-without-contract",
        exit_code=ARTEFACT,
        says="its labels and preprocessing are unknown",
        write=lambda folder: foreign(folder) and ["good.png", "-m", "foreign.onnx"],
    )


# Images.


def _images() -> Iterator[Case]:
    for name, says, make in (
        ("image-missing", "cannot be read", _nothing),
        ("image-empty", "is empty", _bytes(b"")),
        ("image-is-a-fifo", "is not a regular file", os.mkfifo),
        (
            "image-is-an-endless-device",
            "is not a regular",
            lambda path: path.symlink_to("/dev/zero"),
        ),
        ("image-folder-without-images", "is a folder without image", lambda path: path.mkdir()),
        ("image-of-129-mib", "is larger than", lambda path: _sparse(path, 129 << 20)),
        ("png-bomb-of-400-megapixels", "expected at most", _bytes(_png(20_000, 20_000))),
        ("png-of-2-gigapixel-width", "expected at most", _bytes(_png(2**31 - 1, 1))),
        (
            "png-truncated",
            "is not a readable PNG",
            lambda path: path.write_bytes(_good_png()[:-30]),
        ),
        ("png-signature-alone", "is not a readable PNG", _bytes(b"\x89PNG\r\n\x1a\n")),
        ("png-text-chunk-bomb", "is not a readable PNG", _bytes(_png(8, 8, text_bytes=80 << 20))),
        (
            "png-chunk-with-a-wrong-checksum",
            "is not a readable PNG",
            lambda p: p.write_bytes(_bad_crc()),
        ),
        ("jpeg-header-alone", "is not a readable JPEG", _bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\0")),
        (
            "jpeg-truncated",
            "is not a readable JPEG",
            lambda path: path.write_bytes(_saved("JPEG")[:-90]),
        ),
        (
            "gif-truncated",
            "is not a readable GIF",
            lambda path: path.write_bytes(_saved("GIF")[:20]),
        ),
        (
            "webp-truncated",
            "is not a readable WEBP",
            lambda path: path.write_bytes(_saved("WEBP")[:40]),
        ),
        ("bmp-of-40000-pixels-a-side", "expected at most", _bytes(_bmp(40_000))),
        (
            "tiff-directory-that-loops",
            "is not a readable TIFF",
            _bytes(b"II*\0\x08\0\0\0\0\0\x08\0\0\0"),
        ),
        ("tiff-of-floats", "of mode F", lambda path: path.write_bytes(_saved("TIFF", mode="F"))),
        ("ppm-of-no-pixels", "", _bytes(b"P6\n0 0\n255\n")),
        ("ppm-endless-header", "is not a readable PPM", _bytes(b"P6\n" + b"9" * 100_000)),
        (
            "eps-for-ghostscript",
            "not an image of a known format",
            _bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        ),
        (
            "svg-with-an-entity-bomb",
            "not an image",
            _bytes(b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY'),
        ),
        ("pickle-named-png", "not an image of a known format", _bytes(b"\x80\x04cos\nsystem\n")),
    ):
        yield _image(name, says, make)


def _image(name: str, says: str, make: Callable[[Path], Any]) -> Case:
    def write(folder: Path) -> list[str]:
        make(folder / "hostile.png")
        return ["hostile.png", "-m", "good.tflite"]

    return Case(name=name, exit_code=INPUT, says=says, write=write)


def _png(width: int, height: int, *, text_bytes: int = 0) -> bytes:
    """A PNG whose pixels, or whose compressed text, unpack to far more than the file."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header)]
    if text_bytes:
        chunks.append(_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(text_bytes), 9)))
    rows = zlib.compress(bytes((width + 1) * height), 9) if width * height < 1e6 else b"x"
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, _chunk(b"IDAT", rows), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _saved(image_format: str, *, mode: str = "RGB") -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("L" if mode == "F" else mode).convert(mode).save(
        stream, image_format
    )
    return stream.getvalue()


def _good_png() -> bytes:
    return _saved("PNG")


def _bad_crc() -> bytes:
    data = bytearray(_good_png())
    data[29] ^= 0xFF  # in the checksum of IHDR
    return bytes(data)


def _bmp(side: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def main() -> None:
    """Writes each case into its own folder below the one given."""
    artefacts = Path(__file__).parent / "artefacts" / "v1"
    for case in catalogue():
        folder = Path(sys.argv[1]) / case.name
        folder.mkdir(parents=True)
        prepare(folder, artefacts)
        arguments = " ".join(case.write(folder)).replace("\0", "\\0")
        sys.stdout.write(f"{case.name}: exit {case.exit_code}: cifar-classify {arguments}\n")


if __name__ == "__main__":
    main()
