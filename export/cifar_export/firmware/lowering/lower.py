"""Turns an int8 .tflite file into the operators that firmware runs, or refuses it with the operator's name.

RESHAPE and its like cost nothing: their output is their input. It never plans memory and writes no C.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cifar_export.firmware.lowering import arithmetic, convolutions, movements
from cifar_export.firmware.lowering.quantized_graph import QuantizedGraph, refuse
from cifar_export.firmware.operators import Operator
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.graph import GraphOperator
from cifar_runtime.formats.tflite_graph import tflite_graph

_Lower = Callable[[QuantizedGraph, GraphOperator], Operator | tuple[Operator, ...]]
_LOWER: Mapping[str, _Lower] = {
    "ADD": arithmetic.addition,
    "AVERAGE_POOL_2D": convolutions.pooling,
    "CONCATENATION": movements.concatenation,
    "CONV_2D": convolutions.convolution,
    "DEPTHWISE_CONV_2D": convolutions.depthwise,
    "FULLY_CONNECTED": convolutions.fully_connected,
    "HARD_SWISH": arithmetic.lookup,
    "LEAKY_RELU": arithmetic.lookup,
    "LOGISTIC": arithmetic.lookup,
    "MAX_POOL_2D": convolutions.pooling,
    "MEAN": arithmetic.reduction,
    "MUL": arithmetic.multiplication,
    "PAD": movements.pad,
    "PADV2": movements.pad,
    "QUANTIZE": arithmetic.lookup,
    "RELU": arithmetic.lookup,
    "RELU6": arithmetic.lookup,
    "SLICE": movements.cut,
    "SOFTMAX": arithmetic.softmax,
    "STRIDED_SLICE": movements.cut,
    "SUM": arithmetic.reduction,
    "TANH": arithmetic.lookup,
    "TRANSPOSE": movements.transpose,
}
_WITH_BIAS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_ALIASES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network ready to be planned and written.

    Attributes:
        operators: in the order in which they run; inputs and outputs are tensors by index.
        sizes: bytes of each tensor that is computed or fed.
        constants: bytes of each constant that an operator reads as a tensor.
        input: the tensor that the caller fills.
        output: the tensor with the scores.
    """

    operators: tuple[Operator, ...]
    sizes: Mapping[int, int]
    constants: Mapping[int, bytes]
    input: int
    output: int


def lower(data: bytes) -> Network:
    """The network in the bytes of a .tflite file.

    Raises:
        ArtefactError: the file is damaged, has not one int8 input and output, or has an operator
            that is not here; the message names it.
    """
    try:
        return _lower(QuantizedGraph(graph=tflite_graph(data)))
    except (IndexError, KeyError, ValueError, ArithmeticError) as error:
        raise ArtefactError(
            f"the model is not a valid .tflite file: an operator's tensors or settings: {error}.",
            hint="Restore the file, or export it again.",
        ) from error


def _lower(graph: QuantizedGraph) -> Network:
    if len(graph.graph.inputs) != 1 or len(graph.graph.outputs) != 1:
        raise refuse("the model", f"it has {len(graph.graph.inputs)} inputs", "one, and one output")
    for index in (graph.graph.inputs[0], graph.graph.outputs[0]):
        graph.scale("the model", index)
    _check_names(graph)
    _check_tensors(graph)
    aliases: dict[int, int] = {}
    operators: list[Operator] = []
    for operator in graph.graph.operators:
        if operator.name in _ALIASES:
            aliases[operator.outputs[0]] = operator.inputs[0]
            continue
        lowered = _LOWER[operator.name](graph, operator)
        operators.extend(lowered if isinstance(lowered, tuple) else (lowered,))
    return _network(graph, operators, aliases)


def _check_names(graph: QuantizedGraph) -> None:
    known = {*_LOWER, *_ALIASES}
    unknown = sorted({operator.name for operator in graph.graph.operators} - known)
    if unknown:
        raise ArtefactError(
            f"the model has operators that the C engine does not compute: {', '.join(unknown)}; "
            f"expected only {', '.join(sorted(known))}.",
            hint="Use the tflm engine, or replace these layers.",
        )


def _check_tensors(graph: QuantizedGraph) -> None:
    """Only a bias may be left out, and every tensor is written once, before it is read."""
    known = {graph.graph.inputs[0]}
    known |= {n for n, one in enumerate(graph.graph.tensors) if one.constant is not None}
    for operator in graph.graph.operators:
        read = operator.inputs if operator.name not in _WITH_BIAS else operator.inputs[:2]
        if not read or not known.issuperset(read) or len(operator.outputs) != 1:
            raise refuse(
                operator.name, "it reads a tensor that nothing writes", "one that is there"
            )
        if operator.outputs[0] in known:
            raise refuse(operator.name, "it writes a tensor that is there already", "a new one")
        known.add(operator.outputs[0])
    if graph.graph.outputs[0] not in known:
        raise refuse("the model", "nothing writes its output", "an operator that does")


def _network(graph: QuantizedGraph, operators: list[Operator], aliases: dict[int, int]) -> Network:
    def resolve(index: int) -> int:
        while index in aliases:
            index = aliases[index]
        return index

    resolved = tuple(
        replace(operator, inputs=tuple(map(resolve, operator.inputs))) for operator in operators
    )
    used = {index for operator in resolved for index in (*operator.inputs, operator.output)}
    constants = {index for index in used if graph.tensor(index).constant is not None}
    return Network(
        operators=resolved,
        sizes={index: graph.size(index) for index in sorted(used - constants)},
        constants={
            index: bytes(graph.tensor(index).constant or b"") for index in sorted(constants)
        },
        input=resolve(graph.graph.inputs[0]),
        output=resolve(graph.graph.outputs[0]),
    )
