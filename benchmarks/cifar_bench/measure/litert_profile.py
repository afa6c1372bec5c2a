"""Finds out how long each operator of a .tflite model takes, which LiteRT's Python interface does not tell.

The model is cut off behind each operator in turn, and what one more operator costs is the time of the longer model less
that of the shorter, run in turns. XNNPACK is in both, with the fusions that it makes across the operators so far.
"""

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from cifar_bench.measure.sampling import sample_calls
from cifar_bench.results.conditions import Clock
from cifar_bench.results.cost import OperatorTime
from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.graph import GraphOperator, GraphTensor
from cifar_runtime.formats.known_formats import TFLITE_SIGNATURE
from cifar_runtime.formats.tflite_graph import tflite_graph
from cifar_runtime.plain_text import reason_of
from cifar_runtime.sessions.interpreters import import_litert
from cifar_runtime.sessions.litert import native_interpreter

_BLOCK = 10
_WARMUP = 2
_KERNEL_AXES = 4


def profile_of(
    artefact: Artefact, inputs: Sequence[Any], *, runs: int, xnnpack: bool, clock: Clock
) -> tuple[OperatorTime, ...]:
    """The time of each operator in ``runs`` inferences on one thread, in the order of the file.

    The first one's includes what a call costs by itself, a few microseconds.

    Args:
        artefact: a .tflite model.
        inputs: ready tensors of one image.
        runs: of each cut-off model, in blocks; the median block counts.
        xnnpack: run what it takes over in XNNPACK, as the measured session does.
        clock: nanoseconds.

    Raises:
        ArtefactError: LiteRT cannot run the model cut off.
    """
    graph, litert = tflite_graph(artefact.data), import_litert()
    shorter: Any = None
    times = []
    try:
        for place, (operator, data) in enumerate(
            zip(graph.operators, cut_off(artefact.data), strict=True), start=1
        ):
            longer = native_interpreter(litert, data, threads=1, xnnpack=xnnpack)
            step = _difference(longer, shorter, inputs, runs=runs, clock=clock)
            times.append(
                OperatorTime(
                    operator=_title(place, operator, graph.tensors),
                    calls=runs,
                    total_ns=max(0, round(step * runs)),
                    macs=operator.macs,
                )
            )
            shorter = longer
    except (RuntimeError, ValueError) as error:
        raise ArtefactError(
            f"{artefact.path}: LiteRT cannot profile it: {reason_of(error)}.",
            hint="Measure without --profile.",
        ) from error
    return tuple(times)


def cut_off(data: bytes) -> Iterator[bytes]:
    """The model up to its first operator, up to its second, and so on to the whole."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
    model.signatureDefs, model.metadata = None, None
    graph = model.subgraphs[0]
    operators, outputs = graph.operators, set(graph.outputs)
    for end in range(1, len(operators) + 1):
        done, left = operators[:end], operators[end:]
        wanted = outputs | {tensor for operator in left for tensor in operator.inputs}
        graph.operators = done
        graph.outputs = [
            tensor for operator in done for tensor in operator.outputs if tensor in wanted
        ]
        builder = flatbuffers.Builder(len(data))
        builder.Finish(model.Pack(builder), TFLITE_SIGNATURE)
        yield bytes(builder.Output())


def _difference(
    longer: Any, shorter: Any, inputs: Sequence[Any], *, runs: int, clock: Clock
) -> float:
    """The nanoseconds that one run of ``longer`` takes beyond one of ``shorter``, or of nothing."""
    pair = [longer] if shorter is None else [longer, shorter]
    blocks: list[list[float]] = [[] for _ in pair]
    for first in range(0, runs, _BLOCK):
        for interpreter, medians in zip(pair, blocks, strict=True):
            samples = sample_calls(
                _call(interpreter),
                inputs,
                runs=range(first, min(first + _BLOCK, runs)),
                warmup=_WARMUP,
                clock=clock,
            )
            medians.append(statistics.median(samples))
    mine, *others = (statistics.median(medians) for medians in blocks)
    return mine - sum(others)


def _call(interpreter: Any) -> Any:
    index = interpreter.get_input_details()[0]["index"]

    def call(tensor: Any) -> None:
        interpreter.set_tensor(index, tensor)
        interpreter.invoke()

    return call


def _title(place: int, operator: GraphOperator, tensors: Sequence[GraphTensor]) -> str:
    """Such as ``2 CONV_2D 3x3, 32x32x16 to 16x16x32``."""
    weights = operator.parameters[:1] if operator.macs else ()
    shapes = [tensors[index].shape or () for index in weights]
    kernel = [f" {_sizes(shape[1:3])}," for shape in shapes if len(shape) == _KERNEL_AXES]
    ends = [
        _sizes((tensors[index].shape or ())[1:])
        for index in (*operator.inputs[:1], *operator.outputs[:1])
    ]
    return f"{place} {operator.name}{''.join(kernel)} {' to '.join(ends)}"


def _sizes(shape: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)
