"""The arena: nothing that is needed is overwritten, and what is not needed costs nothing."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from cifar_export.firmware.arena import ALIGNMENT, plan_arena, scratch_of
from cifar_export.firmware.lowering.lower import Network, lower
from cifar_export.firmware.operators import Lookup, Operator

EDGE_S = Path(__file__).parents[3] / "runtime/cifar_runtime/models/edge-s-int8.tflite"


class Step(Operator):
    """An operator that reads all its inputs until it has written all of its output."""


def network(sizes: dict[int, int], *operators: Operator) -> Network:
    output = operators[-1].output
    return Network(operators=operators, sizes=sizes, constants={}, input=0, output=output)


def step(inputs: tuple[int, ...], output: int) -> Operator:
    return Step(name="STEP", inputs=inputs, output=output)


def test_a_chain_needs_the_two_largest_neighbours() -> None:
    chain = network({0: 32, 1: 64, 2: 16, 3: 48}, step((0,), 1), step((1,), 2), step((2,), 3))
    arena = plan_arena(chain)
    assert arena.size == arena.lower_bound == 32 + 64


def test_a_skip_connection_stays_until_it_is_read() -> None:
    skip = network({0: 16, 1: 64, 2: 64, 3: 16}, step((0,), 1), step((1,), 2), step((0, 2), 3))
    assert plan_arena(skip).size == 16 + 64 + 64


def test_an_operator_that_may_overwrite_its_input_takes_its_place() -> None:
    table = tuple(range(-128, 128))
    first = Lookup(name="RELU", inputs=(0,), output=1, table=table, count=64)
    again = Lookup(name="RELU", inputs=(1,), output=2, table=table, count=64)
    arena = plan_arena(network({0: 64, 1: 64, 2: 64}, first, again))
    assert (arena.size, len(set(arena.offsets.values()))) == (64, 1)


def test_it_does_not_while_somebody_still_reads_that_input() -> None:
    table = tuple(range(-128, 128))
    first = Lookup(name="RELU", inputs=(0,), output=1, table=table, count=64)
    arena = plan_arena(network({0: 64, 1: 64, 2: 64}, first, step((0, 1), 2)))
    assert arena.size == 3 * 64
    assert arena.offsets[0] != arena.offsets[1]


def test_sizes_are_rounded_up_to_the_alignment() -> None:
    assert plan_arena(network({0: 1, 1: 1}, step((0,), 1))).size == 2 * ALIGNMENT


@pytest.mark.parametrize("seed", range(20))
def test_tensors_that_live_together_never_overlap(seed: int) -> None:
    random = np.random.default_rng(seed)
    sizes = {index: int(random.integers(1, 500)) for index in range(13)}
    steps = [
        step(tuple({int(random.integers(0, index)), index - 1}), index) for index in range(1, 13)
    ]
    arena = plan_arena(network(sizes, *steps))
    last = {index: index - 1 for index in sizes} | {0: 0, 12: 12}
    for number, one in enumerate(steps):
        last |= dict.fromkeys(one.inputs, number)
    for one, other in itertools.combinations(sizes, 2):
        if max(one, other) - 1 <= min(last[one], last[other]):
            low, high = sorted((one, other), key=lambda index: arena.offsets[index])
            assert arena.offsets[low] + sizes[low] <= arena.offsets[high]
    assert arena.size >= arena.lower_bound


def test_scratch_lies_beside_what_the_operator_reads_and_writes() -> None:
    model = lower(EDGE_S.read_bytes())
    offsets = plan_arena(model).offsets
    # The second convolution: 3x3 patches of 16 channels, two of them.
    read, written, scratch = offsets[26], offsets[27], offsets[scratch_of(1)]
    assert model.operators[1].scratch_bytes == 2 * 3 * 3 * 16
    for start, size in ((read, 32 * 32 * 16), (written, 16 * 16 * 32)):
        assert scratch + 288 <= start or start + size <= scratch
