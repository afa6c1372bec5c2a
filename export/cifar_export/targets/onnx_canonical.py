"""One canonical form for an ONNX graph, so that equal models are equal bytes whatever order a converter walked in.

tf2onnx and onnxruntime's quantizer name and order nodes by sets of strings, which change with every process.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cifar_eval.layers.onnx_layers import ACTIVATIONS, takes_bias


def canonical(proto: Any) -> Any:
    """The same model with nodes in the order the output needs them, and names by that order.

    The names of inputs and outputs stay. A graph with subgraphs is returned as it is.
    """
    graph = proto.graph
    if _has_subgraphs(graph):
        return proto
    nodes = _in_order(graph)
    names = _names(graph, nodes)
    for index, node in enumerate(nodes):
        node.name = f"{node.op_type}_{index}"
        node.attribute.sort(key=lambda attribute: str(attribute.name))
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    constants = [value for value in graph.initializer if value.name in names]
    for value in constants:
        value.name = names[value.name]
    constants.sort(key=lambda value: str(value.name))
    for field, values in ((graph.node, nodes), (graph.initializer, constants)):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        del field[:]
        field.extend(copies)
    del graph.value_info[:]
    graph.doc_string = ""  # tf2onnx writes the number of conversions that this process has made
    return proto


def layers_by_name(proto: Any, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a converter calls the layer that gives each value, by the name that ``canonical`` will give the value.

    A bias or an activation is named with the layer before it, as TFLite's converter does: ``net/relu/Relu;net/conv``.

    Args:
        proto: the model before it gets canonical names.
        known: layers by the names that values have in ``proto``; None: its nodes have the converter's names.
    """
    graph = proto.graph
    if _has_subgraphs(graph):
        return {}
    nodes = _in_order(graph)
    if known is None:
        known = _layers(nodes)
    return {new: known[old] for old, new in _names(graph, nodes).items() if old in known}


def _layers(nodes: Sequence[Any]) -> dict[str, str]:
    makers: dict[str, Any] = {}
    found: dict[str, str] = {}
    for node in nodes:
        # Without the number of the output, and of the names that this process has made.
        name = re.sub(r"(:\d\w*|__\d+)$", "", node.name or node.output[0])
        made = [value for value in node.input if value in makers]
        is_bias = node.op_type == "Add" and len(made) == 1 and takes_bias(makers[made[0]])
        if made and (is_bias or node.op_type in ACTIVATIONS):
            name = f"{name};{found[made[0]]}"
        makers |= dict.fromkeys(node.output, node)
        found |= dict.fromkeys(node.output, name)
    return found


def _has_subgraphs(graph: Any) -> bool:
    import onnx

    return any(
        attribute.type == onnx.AttributeProto.GRAPH
        for node in graph.node
        for attribute in node.attribute
    )


def _names(graph: Any, nodes: Iterable[Any]) -> dict[str, str]:
    """The canonical name of every name."""
    kept = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {"": ""} | {name: name for name in kept}
    for node in nodes:
        for name in node.input:
            names.setdefault(name, f"constant_{len(names)}")
        for name in node.output:
            names.setdefault(name, f"value_{len(names)}")
    return names


def _in_order(graph: Any) -> list[Any]:
    """Nodes that the outputs need, each behind those it needs, followed from the outputs backward."""
    makers = {name: node for node in graph.node for name in node.output}
    ordered: list[Any] = []
    seen: set[int] = set()
    waiting = [(makers[value.name], False) for value in graph.output if value.name in makers]
    while waiting:
        node, has_inputs = waiting.pop()
        if has_inputs:
            ordered.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((node, True))
            waiting.extend((makers[name], False) for name in reversed(node.input) if name in makers)
    return ordered
