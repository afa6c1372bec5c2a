"""Ways to damage bytes and models, each from a generator alone."""

import functools
import pickle
from typing import Any

import numpy as np

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes after one to four of: flips, an extreme number, a cut, a doubled or a moved part."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        kind, length = int(rng.integers(0, 7)), len(changed)
        if length < 8:
            break
        # Half of the time in the head, where the structure lies.
        reach = min(length, 512) if rng.random() < 0.5 else length
        at = int(rng.integers(0, reach - 4))
        if kind <= 1:
            changed[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:
            for place in rng.integers(0, length, 16):
                changed[place] = int(rng.integers(0, 256))
        elif kind == 3:
            width = int(rng.choice([1, 2, 4]))
            order = "little" if rng.random() < 0.5 else "big"
            number = int(rng.choice(_EXTREMES)) & (256**width - 1)
            changed[at : at + width] = number.to_bytes(width, order)
        elif kind == 4:
            length = int(rng.integers(1, 64)) if rng.random() < 0.5 else len(changed)
            del changed[at : at + length]
        elif kind == 5:
            part = changed[at : at + int(rng.integers(1, 256))]
            changed[at:at] = part
        else:
            changed[at : at + 32] = rng.bytes(32)
    return bytes(changed)


def damaged_tflite(data: bytes, rng: np.random.Generator) -> bytes:
    """A .tflite after one or two changes of its structure, still a flatbuffer, so that they reach the interpreter."""
    import flatbuffers

    model = pickle.loads(_unpacked(data))  # noqa: S301 - made here; ten times as fast as unpacking
    changes = (_change_tensor, _change_operator, _change_operator, _change_buffer)
    for _ in range(int(rng.integers(1, 3))):
        changes[int(rng.integers(0, len(changes)))](model, rng)
    builder = flatbuffers.Builder(len(data) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@functools.cache
def _unpacked(data: bytes) -> bytes:
    """A model as the schema's objects, pickled."""
    from ai_edge_litert import schema_py_generated as schema

    return pickle.dumps(schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0)))


def _change_tensor(model: Any, rng: np.random.Generator) -> None:
    tensors = model.subgraphs[0].tensors
    tensor = tensors[int(rng.integers(0, len(tensors)))]
    kind = int(rng.integers(0, 5))
    if kind == 0:
        tensor.shape = [_size(rng) for _ in range(int(rng.integers(0, 6)))]
    elif kind == 1:
        tensor.type = int(rng.integers(0, 20))
    elif kind == 2:
        tensor.quantization = None
    elif kind == 3 and tensor.quantization is not None:
        tensor.quantization.scale = [float(rng.choice([0.0, -1.0, 1e30, 1e-30, np.nan, np.inf]))]
        tensor.quantization.zeroPoint = [int(rng.integers(-300, 300))]
    else:
        tensor.buffer = int(rng.integers(0, len(model.buffers) + 2))


def _change_operator(model: Any, rng: np.random.Generator) -> None:
    graph = model.subgraphs[0]
    operator = graph.operators[int(rng.integers(0, len(graph.operators)))]
    kind = int(rng.integers(0, 4))
    if kind == 0:
        code = model.operatorCodes[operator.opcodeIndex]
        code.builtinCode = int(rng.integers(0, 210))
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    elif kind == 1:
        which = "inputs" if rng.random() < 0.5 else "outputs"
        places = [int(one) for one in getattr(operator, which)]
        if places:
            place = int(rng.integers(0, len(places)))
            places[place] = int(rng.integers(-1, len(graph.tensors) + 1))
        setattr(operator, which, places)
    elif kind == 2 and operator.builtinOptions is not None:
        _change_fields(operator.builtinOptions, rng)
    else:
        graph.operators.insert(int(rng.integers(0, len(graph.operators))), operator)


def _change_buffer(model: Any, rng: np.random.Generator) -> None:
    buffer = model.buffers[int(rng.integers(0, len(model.buffers)))]
    if buffer.data is None or len(buffer.data) == 0:
        return
    data = bytearray(bytes(buffer.data))
    for place in rng.integers(0, len(data), 4):
        data[place] = int(rng.integers(0, 256))
    if rng.random() < 0.3:
        data = data[: int(rng.integers(0, len(data)))]
    buffer.data = np.frombuffer(bytes(data), np.uint8)


def _change_fields(options: Any, rng: np.random.Generator) -> None:
    """Another number in one field of an operator's options."""
    names = [name for name, value in vars(options).items() if isinstance(value, (int, float))]
    if names:
        name = names[int(rng.integers(0, len(names)))]
        setattr(options, name, type(getattr(options, name))(_size(rng) % 128))


def damaged_onnx(data: bytes, rng: np.random.Generator) -> bytes:
    """An .onnx after one or two changes of its structure, still a protobuf message."""
    import onnx

    model = onnx.load_model_from_string(data)
    for _ in range(int(rng.integers(1, 3))):
        _change_onnx(model.graph, rng)
    return bytes(model.SerializeToString())


_OPERATORS = (
    *(
        "Relu",
        "Loop",
        "If",
        "Scan",
        "Reshape",
        "Gemm",
        "Conv",
        "Expand",
        "Tile",
        "Resize",
        "MaxPool",
    ),
    *(
        "ConstantOfShape",
        "Range",
        "Concat",
        "Pad",
        "NonZero",
        "Gather",
        "TopK",
        "QLinearConv",
        "Einsum",
    ),
)


def _change_onnx(graph: Any, rng: np.random.Generator) -> None:
    node = graph.node[int(rng.integers(0, len(graph.node)))]
    kind = int(rng.integers(0, 8))
    if kind == 0:
        node.op_type = str(rng.choice(_OPERATORS))
    elif kind == 1 and node.input:
        names = [name for one in graph.node for name in (*one.input, *one.output)]
        node.input[int(rng.integers(0, len(node.input)))] = str(rng.choice([*names, "", "nowhere"]))
    elif kind == 2 and node.attribute:
        attribute = node.attribute[int(rng.integers(0, len(node.attribute)))]
        attribute.i = _size(rng)
        if attribute.ints:
            attribute.ints[int(rng.integers(0, len(attribute.ints)))] = _size(rng)
    elif kind == 3:
        node.domain = str(rng.choice(["", "ai.onnx.ml", "com.microsoft", "x"]))
    elif kind == 4:
        graph.node.add().CopyFrom(node)
    elif graph.initializer:
        tensor = graph.initializer[int(rng.integers(0, len(graph.initializer)))]
        if kind == 5 and tensor.dims:
            tensor.dims[int(rng.integers(0, len(tensor.dims)))] = _size(rng)
        elif kind == 6:
            tensor.data_type = int(rng.integers(0, 24))
        else:
            tensor.raw_data = damaged(tensor.raw_data, rng)


def _size(rng: np.random.Generator) -> int:
    return int(rng.choice([-1, 0, 1, 2, 3, 7, 32, 1000, 65536, 2**20, 2**31 - 1]))
