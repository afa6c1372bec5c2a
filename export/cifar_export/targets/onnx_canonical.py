"""One canonical form for an ONNX graph, so that equal models are equal bytes whatever order a converter walked in.

tf2onnx and onnxruntime's quantizer name and order nodes by sets of strings, which change with every process.
"""

from typing import Any


def canonical(proto: Any) -> Any:
    """The same model with nodes in the order the output needs them, and names by that order.

    The names of inputs and outputs stay. A graph with subgraphs is returned as it is.
    """
    import onnx

    graph = proto.graph
    if any(
        attribute.type == onnx.AttributeProto.GRAPH
        for node in graph.node
        for attribute in node.attribute
    ):
        return proto
    nodes = _in_order(graph)
    kept = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {"": ""} | {name: name for name in kept}
    for index, node in enumerate(nodes):
        node.name = f"{node.op_type}_{index}"
        node.attribute.sort(key=lambda attribute: str(attribute.name))
        for name in node.input:
            names.setdefault(name, f"constant_{len(names)}")
        for name in node.output:
            names.setdefault(name, f"value_{len(names)}")
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
