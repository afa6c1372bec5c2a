"""Reads what an exported model costs out of its file: parameters, multiply-accumulates, precision."""

from cifar_bench.results.cost import Cost
from cifar_runtime.artefact import Artefact
from cifar_runtime.formats.graph import Graph
from cifar_runtime.inspection.info import graph_of

_INTEGERS = ("int8", "uint8")
_ACTIVATION_BYTES = {"float32": 4, "int8": 1}


def cost_of(artefact: Artefact) -> Cost:
    """The cost of one inference of one image, from the file alone.

    Raises:
        ArtefactError: the file is damaged.
    """
    graph = graph_of(artefact)
    precision = precision_of(graph)
    return Cost(
        precision=precision,
        parameters=graph.num_parameters,
        macs=graph.macs,
        weight_bytes=graph.parameter_bytes,
        operators=graph.operator_counts,
        moved_bytes=_moved_bytes(graph, precision),
    )


def _moved_bytes(graph: Graph, precision: str) -> int | None:
    """None for float16 weights and ``mixed``: what type the activations have is the runtime's choice."""
    size, activations = _ACTIVATION_BYTES.get(precision), graph.activations
    if size is None or activations is None:
        return None
    return activations * size + graph.parameter_bytes


def precision_of(graph: Graph) -> str:
    """What the network computes in: float32, float16, int8, or ``mixed`` where weights and values differ.

    Most weights' type decides, and for integer weights the values they are multiplied with.
    """
    weights: dict[str, int] = {}
    for tensor in graph.parameters:
        weights[tensor.dtype] = weights.get(tensor.dtype, 0) + (tensor.num_elements or 0)
    if not weights:
        return "mixed"
    dtype = max(weights, key=lambda name: weights[name])
    if dtype not in _INTEGERS:
        return dtype
    return "int8" if _values_are_int8(graph) else "mixed"


def _values_are_int8(graph: Graph) -> bool:
    """ONNX quantizes values by operators of their own, TFLite types them."""
    operators = graph.operator_counts
    if "QuantizeLinear" in operators or "QLinearConv" in operators:
        return True
    multiplied = [
        graph.tensors[operator.inputs[0]].dtype for operator in graph.operators if operator.macs
    ]
    return bool(multiplied) and all(dtype in _INTEGERS for dtype in multiplied)
