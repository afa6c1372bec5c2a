"""Means over all positions as ONNX' GlobalAveragePool, which onnxruntime has in int8; ReduceMean is float there."""

from typing import Any

_TO_NHWC = [0, 2, 3, 1]


def use_global_average_pool(proto: Any) -> Any:
    """The same model, changed in place: Keras' means over height and width are GlobalAveragePool.

    tf2onnx writes them as ReduceMean over axes 2 and 3 or, where Keras drops the axes, as a Transpose to NHWC and a
    ReduceMean over 1 and 2; that becomes a GlobalAveragePool and a Flatten. Other means stay.
    """
    graph = proto.graph
    makers = {name: node for node in graph.node for name in node.output}
    for node in list(graph.node):
        if node.op_type != "ReduceMean" or len(node.input) != 2:
            continue
        source = node.input[0]
        axes, keeps = _axes(graph, node.input[1]), _attribute(node, "keepdims", 1)
        if axes == [2, 3] and keeps and _rank(proto, source) == 4:
            _replace(graph, node, source=source, flat=False)
        elif axes == [1, 2] and not keeps and _turns_to_nhwc(makers.get(source)):
            _replace(graph, node, source=makers[source].input[0], flat=True)
    return proto


def _replace(graph: Any, node: Any, *, source: str, flat: bool) -> None:
    import onnx

    target = node.output[0]
    pooled = f"{target}_pooled" if flat else target
    nodes = [onnx.helper.make_node("GlobalAveragePool", [source], [pooled])]
    if flat:
        nodes.append(onnx.helper.make_node("Flatten", [pooled], [target], axis=1))
    place = list(graph.node).index(node)
    graph.node.remove(node)
    for added in reversed(nodes):
        graph.node.insert(place, added)


def _rank(proto: Any, name: str) -> int | None:
    """How many axes a tensor between two nodes has; None where that is unknown."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(proto).graph.value_info
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in inferred}
    return ranks.get(name)


def _axes(graph: Any, name: str) -> list[int] | None:
    """The values of a constant; None where it is none."""
    from onnx import numpy_helper

    found = [value for value in graph.initializer if value.name == name]
    return [int(axis) for axis in numpy_helper.to_array(found[0])] if found else None


def _turns_to_nhwc(node: Any) -> bool:
    return (
        node is not None
        and node.op_type == "Transpose"
        and list(_attribute(node, "perm", [])) == _TO_NHWC
    )


def _attribute(node: Any, name: str, default: Any) -> Any:
    import onnx

    found = [attribute for attribute in node.attribute if attribute.name == name]
    return onnx.helper.get_attribute_value(found[0]) if found else default
