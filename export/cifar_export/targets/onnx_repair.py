"""An int8 ONNX model with some of its operators in float32: which can go together, and the file with any of them so.

Every operator with multiply-accumulates forms a group with what follows it until the next one: a convolution in
float32 whose activation were int8 would gain little. What lies between two groups stays rounded unless both are in
float32, so that neighbours are tried together as well.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cifar_export.converted import Converted, IoType, Quantization
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.streams import quiet_conversion
from cifar_export.targets.onnx_int8 import StaticQuantization, onnx_int8, prepared_bytes
from cifar_runtime.formats.graph import graph_from_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Operators that go to float32 together.

    Attributes:
        title: what it is, and which one of how many.
        nodes: their names in the float graph.
        macs_share: of the model's multiply-accumulates, 0..1.
        takes: places of the groups whose outputs it takes.
    """

    title: str
    nodes: tuple[str, ...]
    macs_share: float
    takes: frozenset[int] = frozenset()


Move = tuple[Group, ...]
"""Groups that are tried in float32 together."""


class MixedPrecision:
    """One float32 model, calibrated once, that becomes int8 but for any of its groups.

    Attributes:
        moves: each group alone, then each with one that it takes from.
    """

    def __init__(
        self,
        float_model: Converted,
        feed: RepresentativeDataset,
        static: StaticQuantization,
        folder: Path,
        *,
        model_name: str,
    ) -> None:
        """Calibrates.

        Args:
            float_model: what ``onnx_float32`` returned.
            feed: calibration images.
            static: how activations become integers.
            folder: where the ranges are kept.
            model_name: for messages.

        Raises:
            ArtefactError: onnxruntime cannot quantize it.
        """
        self._float_model, self._feed, self._name = float_model, feed, model_name
        self._static = replace(static, ranges=folder / "ranges.json")
        with quiet_conversion(verbose=False):
            groups = groups_of(prepared_bytes(float_model))
        pairs = [(groups[place], group) for group in groups for place in sorted(group.takes)]
        self.moves: tuple[Move, ...] = (*((group,) for group in groups), *pairs)
        self._ends: tuple[Quantization, Quantization] | None = None
        whole = self.convert((), io="int8")
        if whole.input is None or whole.output is None:
            raise TypeError("an int8 model has integer ends")
        self._ends = whole.input, whole.output

    def convert(self, groups: Move, *, io: IoType) -> Converted:
        """The int8 model with these groups in float32.

        Raises:
            ArtefactError: onnxruntime cannot quantize it so.
        """
        floats = tuple(name for group in groups for name in group.nodes)
        static = replace(self._static, io=io, floats=floats, ends=self._ends)
        return onnx_int8(self._float_model, self._feed, static, model_name=self._name)


def groups_of(prepared: bytes) -> tuple[Group, ...]:
    """The groups of a float graph; together they are all of its nodes.

    Args:
        prepared: an ONNX file with known shapes and named nodes.
    """
    import onnx

    nodes = onnx.load_model_from_string(prepared).graph.node
    operators = graph_from_bytes(prepared, "onnx").operators
    members: list[list[Any]] = []
    macs: list[int] = []
    takes: list[set[int]] = []
    owners: dict[str, int] = {}
    for node, operator in zip(nodes, operators, strict=True):
        sources = {owners[name] for name in node.input if name in owners}
        begins = bool(operator.macs) and bool(macs) and macs[-1] > 0
        if begins or not members:
            members, macs, takes = [*members, []], [*macs, operator.macs or 0], [*takes, set()]
        own = len(members) - 1 if operator.macs else max(sources, default=0)
        members[own].append(node)
        macs[own] = macs[own] or operator.macs or 0
        takes[own] |= sources - {own}
        owners |= dict.fromkeys(node.output, own)
    total = sum(macs) or 1
    return tuple(
        Group(
            title=f"{_kind(group)} ({place} of {len(members)})",
            nodes=tuple(node.name for node in group),
            macs_share=count / total,
            takes=frozenset(taken),
        )
        for place, (group, count, taken) in enumerate(
            zip(members, macs, takes, strict=True), start=1
        )
    )


def _kind(nodes: list[Any]) -> str:
    return " + ".join(dict.fromkeys(str(node.op_type) for node in nodes))
