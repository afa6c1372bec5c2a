"""What a model file computes with, as data: operators, tensors, parameters, multiply-accumulates.

It is filled in by ``tflite_graph`` and ``onnx_graph``, which read files without running them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cifar_runtime.documents import OMITTED
from cifar_runtime.formats.known_formats import KNOWN_FORMATS, ModelFormat, load

_FLOATS = ("float32", "float16", "bfloat16", "float64")
_SMALL_INTEGERS = ("int8", "uint8", "int16", "int4", "uint4", "int2")
# Types that hold learned values; int32 and int64 constants are shapes, axes or, by position, biases.
PARAMETER_DTYPES = _FLOATS + _SMALL_INTEGERS


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTensor:
    """One tensor of a model file.

    Attributes:
        name: as the converter gave it.
        dtype: element type, as numpy names it where numpy has it.
        shape: one size per axis, None where the file leaves it open; None: the file does not say.
        constant_bytes: size of its data in the file; None for one that is computed.
        scales: real units per integer step; one, or one per channel; empty: not quantized.
        zero_points: integers that stand for real 0, one for each scale.
        axis: the channel axis of per-channel scales.
        constant: its data in the file, not copied; None for one that is computed, and where a reader
            leaves it out.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    constant_bytes: int | None = None
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int | None = None
    constant: memoryview | None = field(default=None, compare=False, repr=False, metadata=OMITTED)

    @property
    def num_elements(self) -> int | None:
        """How many elements one image has of it (an open axis counts once); None when unknown."""
        if self.shape is None:
            return None
        count = 1
        for size in self.shape:
            count *= 1 if size is None else size
        return count


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOperator:
    """One step of the computation.

    Attributes:
        name: operator, as its format names it: CONV_2D or Conv.
        inputs: indices of tensors; -1 for an optional one that is left out.
        outputs: indices of tensors.
        parameters: indices of those inputs that hold learned values, if they are constants.
        macs: multiply-accumulates for one image; None where they are not known.
        activations: numbers that one with multiply-accumulates reads and writes for one image besides
            its parameters; 0 for others, None where they are not known.
        options: its settings by name, such as ``stride_h``; empty where a reader leaves them out.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    parameters: tuple[int, ...]
    macs: int | None
    activations: int | None
    options: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A whole model file, subgraphs included.

    Attributes:
        operators: in the order of the file.
        tensors: what operators' indices point to.
        inputs: indices of the model's inputs.
        outputs: indices of its outputs.
    """

    operators: tuple[GraphOperator, ...]
    tensors: tuple[GraphTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def operator_counts(self) -> dict[str, int]:
        """How often each operator occurs, the most frequent first, then by name."""
        counts = Counter(operator.name for operator in self.operators)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def parameters(self) -> tuple[GraphTensor, ...]:
        """The constants that hold learned values: weights and biases, each once."""
        used = {index for operator in self.operators for index in operator.parameters}
        tensors = [self.tensors[index] for index in sorted(used)]
        return tuple(tensor for tensor in tensors if tensor.constant_bytes is not None)

    @property
    def num_parameters(self) -> int:
        """How many learned values there are."""
        return sum(tensor.num_elements or 0 for tensor in self.parameters)

    @property
    def parameter_bytes(self) -> int:
        """What they take in the file."""
        return sum(tensor.constant_bytes or 0 for tensor in self.parameters)

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of convolutions and dense layers for one image; None when unknown."""
        return _sum_or_none(operator.macs for operator in self.operators)

    @property
    def activations(self) -> int | None:
        """Numbers that these read and write for one image besides parameters; None when unknown."""
        return _sum_or_none(operator.activations for operator in self.operators)


def graph_from_bytes(data: bytes, model_format: ModelFormat) -> Graph:
    """What a model file computes.

    Raises:
        ArtefactError: the file is damaged.
    """
    graph: Graph = load(KNOWN_FORMATS[model_format].graph)(data)
    return graph


def _sum_or_none(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total
