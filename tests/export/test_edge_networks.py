"""Every network for devices becomes an int8 TFLite and an int8 ONNX file of integer operators, and ResNet-8 is IC01."""

from pathlib import Path
from typing import Any, get_args

import pytest

from cifar_data import packaged
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.global_pooling import pool_globally
from cifar_export.keras_graph.fold import fold
from cifar_export.targets.onnx_float import onnx_float32
from cifar_export.targets.onnx_int8 import onnx_int8
from cifar_export.targets.tflite import tflite_int8
from cifar_runtime.formats.graph import Graph
from cifar_runtime.formats.onnx_graph import onnx_graph
from cifar_runtime.formats.tflite_graph import tflite_graph
from cifar_train import networks
from cifar_train.networks import Architecture
from cifar_train.networks.backbones import BACKBONES

PEERS = Path(__file__).parents[2].parent / "shared" / "peers" / "mlperf-tiny"
OPERATORS = {
    "ADD",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "MEAN",
    "RESHAPE",
    "SOFTMAX",
}
ALWAYS = ("resnet8", "edge-mb-s")
# Keras' backbones have operators of their own, and are for larger pictures.
OTHERS = ("notebook", "seed-cnn", "airbench", *BACKBONES)
NAMES = [
    *ALWAYS,
    *(
        pytest.param(name, marks=pytest.mark.full_data)
        for name in get_args(Architecture)
        if name not in (*ALWAYS, *OTHERS)
    ),
]


def folded(name: Architecture) -> tuple[Any, RepresentativeDataset]:
    model = networks.build(name, input_shape=(32, 32, 3), num_classes=10)
    model.layers[-1].bias.assign([0.01] * 10)  # a converter drops a bias of zeros
    result = fold(model, rescaling="strip")
    images = packaged.calibration_sample().images[:8]
    return result.model, RepresentativeDataset(
        images=images, multiplier=result.multiplier, offset=result.offset
    )


@pytest.fixture(scope="module")
def resnet8() -> Graph:
    return tflite_graph(tflite_int8(*folded("resnet8")).data)


@pytest.mark.parametrize("name", NAMES)
def test_int8_tflite_has_integer_operators_only(name: Architecture) -> None:
    model, feed = folded(name)
    converted = tflite_int8(pool_globally(model, feed).model, feed)
    graph = tflite_graph(converted.data)
    assert set(graph.operator_counts) <= OPERATORS
    assert {tensor.dtype for tensor in graph.tensors} <= {"int8", "int32"}
    assert converted.input is not None
    assert (converted.input.scale, converted.input.zero_point) == (1 / 64, 0)


@pytest.mark.parametrize("name", NAMES)
def test_int8_onnx_keeps_only_integers_between_operators(name: Architecture) -> None:
    model, feed = folded(name)
    floating = onnx_float32(pool_globally(model, feed).model)
    data = onnx_int8(floating, feed, model_name=name).data
    graph = onnx_graph(data)
    assert [operator.name for operator in graph.operators].count("GlobalAveragePool") == 1
    made_by = {index: operator.name for operator in graph.operators for index in operator.outputs}
    counted = [operator for operator in graph.operators if operator.macs]
    assert len(counted) >= 7
    for operator in counted:
        assert made_by[operator.inputs[0]] == "DequantizeLinear"
        assert made_by[operator.inputs[1]] == "DequantizeLinear"


@pytest.mark.skipif(
    not PEERS.exists(), reason="the MLPerf Tiny models lie beside this checkout only here"
)
def test_resnet8_is_ic01_operator_for_operator(resnet8: Graph) -> None:
    peer = tflite_graph((PEERS / "pretrainedResnet_quant.tflite").read_bytes())
    assert (resnet8.macs, resnet8.num_parameters) == (peer.macs, peer.num_parameters)
    assert sorted(steps(resnet8)) == sorted(steps(peer))


def steps(graph: Graph) -> list[tuple[str, list[list[int]]]]:
    """Each operator with the shapes that it takes (parameters included) and returns; their order is the converter's.

    Axes of one element are left out, and so is RESHAPE: the converter of 2021 wrote it before the dense layer.
    """

    def shape(index: int) -> list[int]:
        return [size for size in graph.tensors[index].shape or () if size and size != 1]

    return [
        (operator.name, [shape(index) for index in (*operator.inputs, *operator.outputs)])
        for operator in graph.operators
        if operator.name != "RESHAPE"
    ]
