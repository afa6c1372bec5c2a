"""Where the time of a .tflite model goes, operator by operator."""

from collections.abc import Iterator

import numpy as np
import pytest

from cifar_bench.measure.litert_profile import cut_off, profile_of
from cifar_data import packaged
from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import default_model
from cifar_runtime.formats.tflite_graph import tflite_graph
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.sessions.interpreters import import_litert


def ticks() -> Iterator[int]:
    now = 0
    while True:
        yield now
        now += 1_000


@pytest.mark.parametrize("xnnpack", [True, False])
def test_each_operator_has_its_line_and_its_multiply_accumulates(xnnpack: bool) -> None:
    artefact = open_artefact(default_model("tflite"))
    graph = tflite_graph(artefact.data)
    images = packaged.test_sample().images[:2]
    inputs = [input_table(artefact.contract.input)[image[np.newaxis]] for image in images]
    clock = ticks()
    profile = profile_of(artefact, inputs, runs=12, xnnpack=xnnpack, clock=lambda: next(clock))
    assert len(profile) == len(graph.operators)
    assert profile[0].operator == "1 CONV_2D 3x3, 32x32x3 to 32x32x16"
    assert profile[4].operator == "5 ADD 16x16x32 to 16x16x32"
    assert profile[-1].operator == "16 FULLY_CONNECTED 1x1x64 to 10"
    assert sum(one.macs or 0 for one in profile) == graph.macs
    # A clock that counts its readings finds each run as long as any other: one more operator costs nothing.
    assert [(one.calls, one.total_ns) for one in profile] == [(12, 12_000), *[(12, 0)] * 15]


def test_the_last_cut_is_the_whole_model_and_keeps_no_tensor_that_is_done_with() -> None:
    artefact = open_artefact(default_model("tflite"))
    cuts = [tflite_graph(data) for data in cut_off(artefact.data)]
    assert [len(graph.operators) for graph in cuts] == list(range(1, 17))
    assert cuts[-1].outputs == tflite_graph(artefact.data).outputs
    # Behind the second convolution of the residual block both its branches are wanted.
    assert [len(graph.outputs) for graph in cuts[:5]] == [1, 1, 2, 2, 1]


def test_the_whole_cut_answers_as_the_model_does() -> None:
    artefact = open_artefact(default_model("tflite"))
    *_, whole = cut_off(artefact.data)
    image = packaged.test_sample().images[:1]
    tensor = input_table(artefact.contract.input)[image]
    scores = []
    for data in (artefact.data, whole):
        interpreter = import_litert().Interpreter(model_content=data, num_threads=1)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
        interpreter.invoke()
        scores.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    np.testing.assert_array_equal(*scores)
