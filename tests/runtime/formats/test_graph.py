"""What a file computes is read without an interpreter: operators, parameters and MACs as published or by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats import tflite_graph as tflite_module
from cifar_runtime.formats.graph import Graph
from cifar_runtime.formats.onnx_graph import onnx_graph
from cifar_runtime.formats.onnx_shapes import Node, inferred_shapes
from cifar_runtime.formats.tflite_graph import tflite_graph

V1 = Path(__file__).parents[1] / "artefacts" / "v1"
PEERS = Path(__file__).parents[3].parent / "shared" / "peers" / "mlperf-tiny"


def graph_of(path: Path) -> Graph:
    return (tflite_graph if path.suffix == ".tflite" else onnx_graph)(path.read_bytes())


@pytest.mark.skipif(
    not PEERS.exists(), reason="the MLPerf Tiny models lie beside this checkout only here"
)
@pytest.mark.parametrize("name", ["pretrainedResnet_quant.tflite", "pretrainedResnet.tflite"])
def test_ic01_has_its_published_size(name: str) -> None:
    graph = graph_of(PEERS / name)
    assert (graph.num_parameters, graph.macs) == (77_706, 12_501_632)
    assert graph.operator_counts == {
        "CONV_2D": 9,
        "ADD": 3,
        "AVERAGE_POOL_2D": 1,
        "FULLY_CONNECTED": 1,
        "RESHAPE": 1,
        "SOFTMAX": 1,
    }


@pytest.mark.parametrize("name", ["tiny-int8.tflite", "tiny-float32.onnx"])
def test_both_formats_of_one_network_have_the_same_size(name: str) -> None:
    """3x3 convolutions of 8 and 12 channels on 16x16 and 7x7, then a dense layer of 12 to 10."""
    graph = graph_of(V1 / name)
    assert graph.num_parameters == (9 * 3 * 8 + 8) + (9 * 8 * 12 + 12) + (12 * 10 + 10)
    assert graph.macs == 14 * 14 * 8 * 27 + 5 * 5 * 12 * 72 + 12 * 10
    assert graph.activations == (16 * 16 * 3 + 14 * 14 * 8) + (7 * 7 * 8 + 5 * 5 * 12) + (12 + 10)
    assert graph.parameter_bytes == (1320 if "int8" in name else 4 * 1230)


def test_the_tiny_models_by_hand(tflite_model: Path, onnx_model: Path) -> None:
    for path in (tflite_model, onnx_model):
        graph = graph_of(path)
        assert graph.macs == 144 * 3
        (image,), (scores,) = graph.inputs, graph.outputs
        assert graph.tensors[image].shape is not None
        assert graph.tensors[image].shape[1:] == (6, 8, 3)
        assert graph.tensors[scores].name == "scores"
    assert graph_of(tflite_model).num_parameters == 144 * 3 + 3
    assert graph_of(onnx_model).num_parameters == 144 * 3


def test_quantization_is_read_from_both_formats(tflite_model: Path) -> None:
    image = graph_of(tflite_model).tensors[0]
    assert (image.dtype, image.scales, image.zero_points) == ("int8", (1 / 64,), (0,))
    kernels = [t for t in graph_of(V1 / "tiny-int8.tflite").tensors if len(t.scales) == 12]
    assert kernels
    assert all(kernel.axis == 0 for kernel in kernels)


def test_depthwise_convolutions_count_one_input_channel() -> None:
    macs = tflite_module._MACS["DEPTHWISE_CONV_2D"]
    assert macs((1, 8, 8, 16), (1, 3, 3, 16), (1, 4, 4, 16)) == 4 * 4 * 16 * 9


def test_operator_names_are_those_of_the_schema() -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    codes = {code: name for name, code in vars(schema.BuiltinOperator).items() if type(code) is int}
    known = dict(enumerate(tflite_module._OPERATORS))
    assert {code: codes[code] for code in known if code in codes} == known
    dtypes = {code: name for name, code in vars(schema.TensorType).items() if type(code) is int}
    assert [dtypes[code].lower() for code in sorted(dtypes)] == list(tflite_module._DTYPES)


def _conv_model(**attributes: Any) -> bytes:
    """A grouped convolution by 5x3, strides 2, after QDQ, pooled, averaged, dense by Gemm."""
    from onnx import TensorProto, helper, numpy_helper

    floats = TensorProto.FLOAT
    constants = {
        "scale": np.float32(0.5),
        "point": np.int8(0),
        "kernel": np.zeros((6, 2, 5, 3), np.int8),
        "kernel_scale": np.full(6, 0.25, np.float32),
        "kernel_point": np.zeros(6, np.int8),
        "dense": np.zeros((4, 6), np.float32),
        "bias": np.zeros(4, np.float32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale", "point"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "point"], ["x"]),
        helper.make_node(
            "DequantizeLinear", ["kernel", "kernel_scale", "kernel_point"], ["k"], axis=0
        ),
        helper.make_node("Conv", ["x", "k"], ["c"], group=2, strides=[2, 2], **attributes),
        helper.make_node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        helper.make_node("GlobalAveragePool", ["p"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "dense", "bias"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "conv",
        [helper.make_tensor_value_info("image", floats, ["n", 4, 20, 21])],
        [helper.make_tensor_value_info("scores", floats, ["n", 4])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "attributes",
    [{"auto_pad": "SAME_UPPER"}, {"pads": [2, 1, 2, 1]}, {}, {"pads": [0, 1, 3, 0]}],
    ids=["same", "pads", "valid", "uneven"],
)
def test_onnx_shapes_are_those_of_onnx_itself(attributes: dict[str, Any]) -> None:
    onnx = pytest.importorskip("onnx")
    data = _conv_model(**attributes)
    inferred = onnx.shape_inference.infer_shapes(onnx.load_from_string(data), strict_mode=True)
    (conv,) = [value for value in inferred.graph.value_info if value.name == "c"]
    height, width = (dim.dim_value for dim in conv.type.tensor_type.shape.dim[2:])
    graph = onnx_graph(data)
    assert graph.macs == height * width * 6 * (2 * 5 * 3) + 6 * 4
    assert graph.num_parameters == 6 * 2 * 5 * 3 + 6 * 4 + 4
    kernel = next(tensor for tensor in graph.tensors if tensor.name == "kernel")
    assert (kernel.scales, kernel.zero_points, kernel.axis) == ((0.25,) * 6, (0,) * 6, 0)


@pytest.mark.parametrize(
    "bounds",
    [
        {"starts": [3, 2], "ends": [-3, 9], "axes": [1, -2]},
        {"starts": [0, 3, 20, 0], "ends": [2**63 - 1, 29, -(2**63), 1], "steps": [1, 2, -1, 5]},
        {"starts": [30], "ends": [40], "axes": [2], "steps": [4]},
        {"starts": [5], "ends": [2], "axes": [1]},
    ],
    ids=["crop", "steps", "beyond", "nothing"],
)
def test_a_slice_is_as_large_as_onnx_says(bounds: dict[str, list[int]]) -> None:
    onnx = pytest.importorskip("onnx")
    given = {"axes": list(range(len(bounds["starts"]))), **bounds}
    names = [name for name in ("starts", "ends", "axes", "steps") if name in given]
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Slice", ["image", *names], ["cut"])],
        "cut",
        [onnx.helper.make_tensor_value_info("image", floats, [1, 32, 31, 3])],
        [onnx.helper.make_tensor_value_info("cut", floats, [None] * 4)],
        [onnx.numpy_helper.from_array(np.array(given[name], np.int64), name) for name in names],
    )
    inferred = onnx.shape_inference.infer_shapes(onnx.helper.make_model(graph), strict_mode=True)
    expected = tuple(dim.dim_value for dim in inferred.graph.output[0].type.tensor_type.shape.dim)
    node = Node(op_type="Slice", inputs=("image", *names), outputs=("cut",))
    constants = {name: tuple(given[name]) for name in names}
    assert inferred_shapes([node], {"image": (1, 32, 31, 3)}, constants)["cut"] == expected


@pytest.mark.parametrize(
    "constants", [{"starts": (1,)}, {"starts": (1,), "ends": (2,), "axes": (4,)}]
)
def test_a_slice_with_unknown_or_wrong_bounds_is_unknown(
    constants: dict[str, tuple[int, ...]],
) -> None:
    node = Node(op_type="Slice", inputs=("image", "starts", "ends", "axes"), outputs=("cut",))
    assert "cut" not in inferred_shapes([node], {"image": (1, 32, 32, 3)}, constants)


def test_what_cannot_be_worked_out_is_unknown() -> None:
    data = _conv_model().replace(b"DequantizeLinear", b"DequantizeLonear")
    assert onnx_graph(data).macs is None


def test_a_transposition_of_what_was_no_flattening_is_unknown() -> None:
    """A shuffle of channels reshapes to a size that the file computes from the batch, and was no valid file."""
    nodes = (
        Node(op_type="Reshape", inputs=("x", "computed"), outputs=("groups",)),
        Node(
            op_type="Transpose",
            inputs=("groups",),
            outputs=("turned",),
            lists={"perm": (0, 2, 1, 3, 4)},
        ),
    )
    assert "turned" not in inferred_shapes(nodes, {"x": (1, 16, 8, 8)}, {})


def test_damaged_files_are_errors_of_ours(any_model: Path) -> None:
    data = any_model.read_bytes()
    read = tflite_graph if any_model.suffix == ".tflite" else onnx_graph
    generator = np.random.default_rng(4)
    refused = 0
    for position in generator.integers(0, len(data), 400).tolist():
        damaged = bytearray(data)
        damaged[position] ^= int(generator.integers(1, 256))
        try:
            read(bytes(damaged))
        except ArtefactError:
            refused += 1
    for size in range(0, len(data), 97):
        try:
            read(data[:size])
        except ArtefactError:
            refused += 1
    assert refused > 20


def test_a_tflite_graph_has_its_operators_settings_and_constants() -> None:
    """The tiny network's first layer: 3x3 without padding, stride 1, RELU, 8 filters of 3 channels."""
    graph = graph_of(V1 / "tiny-int8.tflite")
    first = graph.operators[0]
    assert first.options == {
        "padding": 1,
        "stride_w": 1,
        "stride_h": 1,
        "fused_activation_function": 1,
        "dilation_w_factor": 1,
        "dilation_h_factor": 1,
    }
    weights = graph.tensors[first.inputs[1]]
    assert weights.constant is not None
    assert len(weights.constant) == weights.constant_bytes == 8 * 3 * 3 * 3
    assert graph.tensors[first.inputs[0]].constant is None
