"""Which operators of an int8 model go to float32 together, of any format.

Every operator with multiply-accumulates forms a group with what follows it until the next one: a convolution in
float32 whose activation were int8 would gain little. What lies between two groups stays rounded unless both are in
float32, so that neighbours are tried together as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cifar_export.converted import Converted, IoType
from cifar_runtime.formats.graph import Graph, GraphOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Operators that go to float32 together.

    Attributes:
        title: what it is, and which one of how many.
        nodes: their names, as the quantizer takes them.
        macs_share: of the model's multiply-accumulates, 0..1.
        takes: places of the groups whose outputs it takes.
    """

    title: str
    nodes: tuple[str, ...]
    macs_share: float
    takes: frozenset[int] = frozenset()


Move = tuple[Group, ...]
"""Groups that are tried in float32 together."""


class MixedPrecision(Protocol):
    """One float32 model, calibrated once, that becomes int8 but for any of its groups."""

    @property
    def moves(self) -> tuple[Move, ...]:
        """Each group alone, then each with one that it takes from."""

    def convert(self, groups: Move, *, io: IoType) -> Converted:
        """The int8 model with these groups in float32.

        Raises:
            ArtefactError: it cannot be quantized so.
        """


def groups_of(graph: Graph, names: Sequence[str]) -> tuple[Group, ...]:
    """The groups of a float graph; together they are all of its operators.

    Args:
        graph: with known shapes.
        names: of its operators, in their order.
    """
    members: list[list[tuple[str, GraphOperator]]] = []
    macs: list[int] = []
    takes: list[set[int]] = []
    owners: dict[int, int] = {}
    for name, operator in zip(names, graph.operators, strict=True):
        sources = {owners[index] for index in operator.inputs if index in owners}
        begins = bool(operator.macs) and bool(macs) and macs[-1] > 0
        if begins or not members:
            members, macs, takes = [*members, []], [*macs, operator.macs or 0], [*takes, set()]
        own = len(members) - 1 if operator.macs else max(sources, default=0)
        members[own].append((name, operator))
        macs[own] = macs[own] or operator.macs or 0
        takes[own] |= sources - {own}
        owners |= dict.fromkeys(operator.outputs, own)
    total = sum(macs) or 1
    return tuple(
        Group(
            title=f"{_kind(operator for _, operator in group)} ({place} of {len(members)})",
            nodes=tuple(name for name, _ in group),
            macs_share=count / total,
            takes=frozenset(taken),
        )
        for place, (group, count, taken) in enumerate(
            zip(members, macs, takes, strict=True), start=1
        )
    )


def moves_of(groups: Sequence[Group]) -> tuple[Move, ...]:
    """Each group alone, then each with one that it takes from."""
    pairs = [(groups[place], group) for group in groups for place in sorted(group.takes)]
    return *((group,) for group in groups), *pairs


def float_names(groups: Move) -> tuple[str, ...]:
    """The names of all operators of these groups."""
    return tuple(name for group in groups for name in group.nodes)


def _kind(operators: Iterable[GraphOperator]) -> str:
    return " + ".join(dict.fromkeys(operator.name for operator in operators))
