"""The C and its NumPy twin give what TensorFlow Lite Micro's reference kernels give, bit for bit."""

import os
from pathlib import Path

import numpy as np
import pytest
from cifar_fixtures.c_compiler import SANITIZERS, compiled_scores, needs_compiler
from cifar_fixtures.quantized_networks import (
    UNARY,
    NetworkBuilder,
    random_images,
    random_network,
    reference_scores,
    reference_tensors,
)

from cifar_data.packaged import test_sample as load_test_sample
from cifar_export.firmware.lowering.lower import lower
from cifar_export.firmware.simulate import simulate, trace
from cifar_runtime.artefact import open_artefact
from cifar_runtime.imaging.preprocess import input_table

pytest.importorskip("tflite_micro", reason="pip install tflite-micro: the oracle of these tests")
EDGE_S = Path(__file__).parents[3] / "runtime/cifar_runtime/models/edge-s-int8.tflite"


@needs_compiler
@pytest.mark.parametrize("seed", range(1000, 1010))
def test_c_of_a_random_network_under_the_sanitizers(seed: int, tmp_path: Path) -> None:
    data, given = random_network(seed)
    images = random_images(seed, given, 8)
    network = lower(data)
    expected = reference_scores(data, images)
    np.testing.assert_array_equal(compiled_scores(network, tmp_path, images, *SANITIZERS), expected)
    np.testing.assert_array_equal(simulate(network, images), expected)


@pytest.mark.parametrize("seed", range(60))
def test_a_random_network(seed: int) -> None:
    data, given = random_network(seed)
    images = random_images(seed, given, 6)
    np.testing.assert_array_equal(simulate(lower(data), images), reference_scores(data, images))


@pytest.mark.parametrize("seed", range(3000, 3020))
def test_every_operator_of_a_random_network(seed: int) -> None:
    """Their outputs, not the scores alone: a saturated end would hide a wrong middle."""
    data, given = random_network(seed)
    image = random_images(seed, given, 3)[2:]
    expected = reference_tensors(data, image[0])
    network = lower(data)
    last = {operator.output: operator for operator in network.operators}
    for operator, tensors in trace(network, image.reshape(1, -1)):
        if last[operator.output] is operator:  # the last of a concatenation's copies
            found = tensors[operator.output].ravel()
            np.testing.assert_array_equal(found, expected(operator.output), operator.name)


@pytest.mark.parametrize("name", UNARY)
def test_an_operator_of_one_number_at_all_its_inputs(name: str) -> None:
    for seed in range(20):
        network = NetworkBuilder(np.random.default_rng(seed))
        given = network.tensor((1, 1, 1, 256), scale=network.random.uniform(0.002, 0.3))
        data = network.build(given, network.unary(given, name))
        images = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 1, 256)
        np.testing.assert_array_equal(simulate(lower(data), images), reference_scores(data, images))


def test_softmax_of_steep_and_flat_scores_and_of_many_classes() -> None:
    for seed, classes in enumerate((2, 3, 10, 100, 200)):
        for scale in (0.001, 0.05, 0.2, 1.0):
            network = NetworkBuilder(np.random.default_rng(seed))
            given = network.tensor((1, classes), scale=scale)
            data = network.build(given, network.softmax(given))
            images = random_images(seed, given, 30)
            expected = reference_scores(data, images)
            np.testing.assert_array_equal(simulate(lower(data), images), expected)


@needs_compiler
def test_edge_s_on_test_images(tmp_path: Path) -> None:
    """On all 1,000 images of the test sample in CI, on 50 elsewhere."""
    count = 1000 if os.environ.get("CIFAR_EDGE_FULL_DATA") == "1" else 50
    artefact = open_artefact(EDGE_S)
    images = input_table(artefact.contract.input)[load_test_sample().images[:count]]
    found = compiled_scores(lower(artefact.data), tmp_path, images, "-O2")
    np.testing.assert_array_equal(found, reference_scores(artefact.data, images))
