"""ONNX files from elsewhere, each hostile in its own way."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cifar_fixtures.hostile.case import (
    HEIGHT,
    WIDTH,
    Case,
    foreign,
)


def foreign_onnx() -> Iterator[Case]:
    for name, says, data in (
        ("onnx-loop-forever", "processor time", lambda: onnx_model(_endless_loop)),
        ("onnx-allocates-4-gb", "takes more than 1024 MiB", lambda: onnx_model(_huge_constant)),
        ("onnx-loops-on-this-picture", "running it on a picture", lambda: onnx_model(_picky_loop)),
        (
            "onnx-allocates-on-this-picture",
            "takes more than 1024 MiB",
            lambda: onnx_model(_picky_constant),
        ),
        (
            "onnx-weights-in-etc-passwd",
            "keeps weights in other files",
            lambda: onnx_model(_external),
        ),
        ("onnx-unknown-operator", "onnxruntime cannot open it", lambda: onnx_model(_unknown)),
        ("onnx-scores-of-nan", "not finite numbers", lambda: onnx_model(_nan)),
        (
            "onnx-name-that-is-not-utf8",
            "",
            lambda: onnx_model(None).replace(b"scores", b"\xff\xfeores"),
        ),
        ("onnx-two-inputs", "2 inputs and 1 outputs", lambda: onnx_model(_second_input)),
        ("onnx-of-another-shape", "its input is", lambda: onnx_model(_transposed)),
        ("onnx-cut-in-a-number", "not a valid ONNX file", lambda: b"\x08\xff"),
        ("onnx-field-longer-than-the-file", "not a valid ONNX file", lambda: b"\x3a\xff\xff\x03ab"),
        ("onnx-no-graph", "it has no graph", lambda: b"\x08\x08"),
        ("onnx-noise", "", lambda: np.random.default_rng(3).bytes(4096)),
        ("onnx-nested-5000-graphs", "nests deeper than 64", _nested),
        ("onnx-tensor-of-9-exabytes", "", lambda: onnx_model(_wide)),
    ):
        yield foreign(name, says, "foreign.onnx", data)


def onnx_model(change: Callable[[Any], None] | None) -> bytes:
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
    (graph,) = (
        value for number, value in message_fields(memoryview(onnx_model(None))) if number == 7
    )
    return _field(7, bytes(graph) + deep)


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2]) + bytes([*length, size]) + content


def _wide(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [2**62, 3]
