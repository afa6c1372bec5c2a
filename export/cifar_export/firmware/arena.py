"""Plans where tensors lie in one static arena: those that are never alive together share bytes.

Pure: sizes and lifetimes in, offsets out. Placing each tensor at the lowest free offset depends on the order; several
orders are tried and the best is kept.

Source: Y. Pisarchyk, J. Lee, Efficient Memory Management for Deep Neural Net Inference, 2020 (greedy by size).
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cifar_export.firmware.lowering.lower import Network
from cifar_export.firmware.operators import Operator

ALIGNMENT = 16
_NUM_RANDOM_ORDERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """Bytes that are needed from one step of the network to another, both included.

    Attributes:
        tensors: what they hold, one after the other; scratch is ``-1 - step``.
        size: in bytes.
        first: the step that writes them first.
        last: the step that reads them last.
    """

    tensors: tuple[int, ...]
    size: int
    first: int
    last: int

    def meets(self, other: "Buffer") -> bool:
        """Whether both are needed at the same time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """Where everything lies.

    Attributes:
        size: in bytes.
        lower_bound: bytes that are alive at once at the busiest step: no plan is smaller.
        offsets: where each tensor starts; scratch of a step under ``-1 - step``.
    """

    size: int
    lower_bound: int
    offsets: Mapping[int, int] = field(repr=False)


def scratch_of(step: int) -> int:
    """The name of a step's scratch in :class:`Arena`'s offsets."""
    return -1 - step


def plan_arena(network: Network) -> Arena:
    """The smallest arena of several orders of placing."""
    buffers = list(_buffers(network))
    bound = _lower_bound(buffers, len(network.operators))
    best: dict[int, int] = {}
    best_size: int | None = None
    for order in _orders(buffers):
        offsets, size = _place(order)
        if best_size is None or size < best_size:
            best, best_size = offsets, size
        if best_size == bound:
            break
    return Arena(size=best_size or 0, lower_bound=bound, offsets=best)


def _buffers(network: Network) -> Iterable[Buffer]:
    """A buffer for each chain of tensors of which each may overwrite the one before, and each scratch."""
    last_read = _last_reads(network)
    first_write = _first_writes(network)
    chains: dict[int, list[int]] = {network.input: [network.input]}
    owner = {network.input: network.input}
    for step, operator in enumerate(network.operators):
        if operator.output in owner:
            continue
        chain = _overwritten(operator, step, last_read, owner, network.sizes)
        owner[operator.output] = operator.output if chain is None else chain
        chains.setdefault(owner[operator.output], []).append(operator.output)
    for chain_tensors in chains.values():
        yield Buffer(
            tensors=tuple(chain_tensors),
            size=_aligned(max(network.sizes[tensor] for tensor in chain_tensors)),
            first=min(first_write[tensor] for tensor in chain_tensors),
            last=max(last_read[tensor] for tensor in chain_tensors),
        )
    for step, operator in enumerate(network.operators):
        if operator.scratch_bytes:
            size = _aligned(operator.scratch_bytes)
            yield Buffer(tensors=(scratch_of(step),), size=size, first=step, last=step)


def _overwritten(
    operator: Operator,
    step: int,
    last_read: Mapping[int, int],
    owner: Mapping[int, int],
    sizes: Mapping[int, int],
) -> int | None:
    """The chain that the operator's output joins: that of an input which nobody reads later."""
    for tensor in operator.overwritable:
        fits = tensor in owner and sizes[tensor] == sizes[operator.output]
        if fits and last_read[tensor] == step and operator.inputs.count(tensor) == 1:
            return owner[tensor]
    return None


def _last_reads(network: Network) -> dict[int, int]:
    """The step at which each tensor is read last; the output is read after all, an unread one when written."""
    last: dict[int, int] = {network.input: 0}
    for step, operator in enumerate(network.operators):
        last[operator.output] = step
        for tensor in operator.inputs:
            if tensor not in network.constants:
                last[tensor] = step
    last[network.output] = len(network.operators)
    return last


def _first_writes(network: Network) -> dict[int, int]:
    first: dict[int, int] = {network.input: 0}
    for step, operator in enumerate(network.operators):
        first.setdefault(operator.output, step)
    return first


def _lower_bound(buffers: Sequence[Buffer], num_steps: int) -> int:
    return max(
        sum(buffer.size for buffer in buffers if buffer.first <= step <= buffer.last)
        for step in range(num_steps + 1)
    )


def _orders(buffers: Sequence[Buffer]) -> Iterable[list[Buffer]]:
    keys: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
        lambda buffer: (-buffer.size, buffer.first),
        lambda buffer: (-buffer.size * (buffer.last - buffer.first + 1), buffer.first),
        lambda buffer: (buffer.first - buffer.last, -buffer.size),
        lambda buffer: (buffer.first, -buffer.size),
        lambda buffer: (-buffer.last, -buffer.size),
    )
    for key in keys:
        yield sorted(buffers, key=key)
    generator = random.Random(0)  # noqa: S311 (orders to try, the same in each export)
    shuffled = list(buffers)
    for _ in range(_NUM_RANDOM_ORDERS):
        generator.shuffle(shuffled)
        yield list(shuffled)


def _place(order: Sequence[Buffer]) -> tuple[dict[int, int], int]:
    placed: list[tuple[int, Buffer]] = []
    for buffer in order:
        offset = 0
        for start, other in sorted(placed, key=lambda pair: pair[0]):
            if other.meets(buffer) and start < offset + buffer.size and offset < start + other.size:
                offset = start + other.size
        placed.append((offset, buffer))
    offsets = {tensor: offset for offset, buffer in placed for tensor in buffer.tensors}
    return offsets, max((offset + buffer.size for offset, buffer in placed), default=0)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
