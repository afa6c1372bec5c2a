"""Writes a lowered network as one C99 file and its header: constants, the kernels that it needs, and one function.

Pure: a network and its arena in, text out. The kernels are files of their own in ``c/``; what is written here is data
and calls.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import singledispatch

from cifar_export.firmware.arena import Arena, scratch_of
from cifar_export.firmware.c_text import braced, comment, numbers, template
from cifar_export.firmware.lowering.lower import Network
from cifar_export.firmware.operators import (
    Addition,
    Block,
    Channel,
    Convolution,
    Depthwise,
    Elementwise,
    Factor,
    Lookup,
    Movement,
    Multiplication,
    Operator,
    OutputRange,
    Pooling,
    Reduction,
    Softmax,
    Window,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operator as C.

    Attributes:
        kernels: files of ``c/`` that it needs, in their order.
        constants: its definitions.
        call: its statement; ``{inputs[0]}``, ``{output}`` and ``{scratch}`` stand for places in memory.
    """

    kernels: tuple[str, ...]
    constants: tuple[str, ...]
    call: str


def model_source(network: Network, arena: Arena, *, title: str) -> str:
    """model.c.

    Args:
        network: what to compute.
        arena: where its tensors lie.
        title: what the first comment says.
    """
    steps = [_step(operator, f"step_{n}") for n, operator in enumerate(network.operators)]
    kernels = dict.fromkeys(kernel for step in steps for kernel in step.kernels)
    return "\n".join(
        [
            comment(title),
            template("model.c"),
            *(template(f"{kernel}.h") for kernel in ("arithmetic", *kernels)),
            *_constant_tensors(network),
            *(text for step in steps for text in step.constants),
            "/* The union aligns the arena for words. */",
            f"static union {{\n    int32_t words[{-(-arena.size // 4)}];\n"
            f"    int8_t bytes[{arena.size}];\n}} arena;\n",
            *_functions(network, arena, steps),
        ]
    )


def model_header(network: Network, arena: Arena, *, title: str) -> str:
    """model.h."""
    return (
        template("model.h")
        .replace("@TITLE@", comment(title))
        .replace("@INPUT_BYTES@", str(network.sizes[network.input]))
        .replace("@OUTPUT_BYTES@", str(network.sizes[network.output]))
        .replace("@ARENA_BYTES@", str(arena.size))
        .replace("@NUM_STEPS@", str(len(network.operators)))
    )


def _constant_tensors(network: Network) -> Iterator[str]:
    for index, data in network.constants.items():
        signed = [byte - 256 if byte > 127 else byte for byte in data]
        yield f"static const int8_t tensor_{index}[{len(data)}] = {numbers(signed)};\n"


def _functions(network: Network, arena: Arena, steps: Sequence[Step]) -> Iterator[str]:
    def place(tensor: int) -> str:
        if tensor in network.constants:
            return f"tensor_{tensor}"
        return f"arena.bytes + {arena.offsets[tensor]}"

    yield f"int8_t *model_input(void)\n{{\n    return {place(network.input)};\n}}\n"
    yield f"const int8_t *model_output(void)\n{{\n    return {place(network.output)};\n}}\n"
    last_writers = {operator.output: n for n, operator in enumerate(network.operators)}
    yield "void model_run(void)\n{"
    for number, (operator, step) in enumerate(zip(network.operators, steps, strict=True)):
        scratch = scratch_of(number)
        yield "    " + step.call.format(
            inputs=[place(tensor) for tensor in operator.inputs],
            output=place(operator.output),
            scratch=place(scratch) if scratch in arena.offsets else "0",
        )
        if last_writers[operator.output] == number:
            size = network.sizes[operator.output]
            yield f'    TRACE({number}, "{operator.name}", {place(operator.output)}, {size})'
    yield "}\n"


@singledispatch
def _step(operator: Operator, name: str) -> Step:
    raise TypeError(f"no C for {operator}, {name}")


@_step.register
def _convolution(operator: Convolution, name: str) -> Step:
    return Step(
        kernels=("copy", "window", "convolution"),
        constants=(
            *_weights(operator, name),
            _struct(
                "convolution",
                name,
                window=_window(operator.window),
                range=_range(operator.range),
                output_channels=len(operator.channels),
                input_zero_point=operator.input_zero_point,
                weights=f"{name}_weights",
                channels=f"{name}_channels",
            ),
        ),
        call=f"convolve(&{name}, {{inputs[0]}}, {{scratch}}, {{output}});",
    )


@_step.register
def _depthwise(operator: Depthwise, name: str) -> Step:
    return Step(
        kernels=("copy", "window", "depthwise"),
        constants=(
            *_weights(operator, name),
            _struct(
                "depthwise",
                name,
                window=_window(operator.window),
                range=_range(operator.range),
                multiplier=operator.multiplier,
                input_zero_point=operator.input_zero_point,
                weights=f"{name}_weights",
                channels=f"{name}_channels",
            ),
        ),
        call=f"depthwise_convolve(&{name}, {{inputs[0]}}, {{scratch}}, {{output}});",
    )


@_step.register
def _pooling(operator: Pooling, name: str) -> Step:
    kernel = "max_pool" if operator.name == "MAX_POOL_2D" else "average_pool"
    return Step(
        kernels=("copy", "window", "pooling", kernel),
        constants=(
            _struct(
                "pooling",
                name,
                window=_window(operator.window),
                lowest=operator.range.lowest,
                highest=operator.range.highest,
            ),
        ),
        call=f"{kernel}(&{name}, {{inputs[0]}}, {{output}});",
    )


@_step.register
def _addition(operator: Addition, name: str) -> Step:
    one, other = operator.factors
    return Step(
        kernels=("elementwise", "add"),
        constants=(
            _struct(
                "addition",
                name,
                operands=_operands(operator),
                multiplier_a=one.multiplier,
                shift_a=one.shift,
                multiplier_b=other.multiplier,
                shift_b=other.shift,
                **_factor(operator.factor),
            ),
        ),
        call=f"add(&{name}, {{inputs[0]}}, {{inputs[1]}}, {{output}});",
    )


@_step.register
def _multiplication(operator: Multiplication, name: str) -> Step:
    return Step(
        kernels=("elementwise", "multiply"),
        constants=(
            _struct(
                "multiplication", name, operands=_operands(operator), **_factor(operator.factor)
            ),
        ),
        call=f"multiply(&{name}, {{inputs[0]}}, {{inputs[1]}}, {{output}});",
    )


@_step.register
def _reduction(operator: Reduction, name: str) -> Step:
    return Step(
        kernels=("reduce",),
        constants=(
            _struct(
                "reduction",
                name,
                outer=operator.outer,
                reduced=operator.reduced,
                inner=operator.inner,
                offset=operator.offset,
                **_factor(operator.factor),
                range=_range(operator.range),
            ),
        ),
        call=f"reduce(&{name}, {{inputs[0]}}, {{output}});",
    )


@_step.register
def _lookup(operator: Lookup, name: str) -> Step:
    return Step(
        kernels=("lookup",),
        constants=(f"static const int8_t {name}[256] = {numbers(operator.table)};\n",),
        call=f"lookup({name}, {{inputs[0]}}, {operator.count}, {{output}});",
    )


@_step.register
def _softmax(operator: Softmax, name: str) -> Step:
    return Step(
        kernels=("softmax",),
        constants=(
            f"static const int32_t {name}_exponentials[256] = {numbers(operator.exponentials)};\n",
            _struct(
                "softmax",
                name,
                rows=operator.rows,
                classes=operator.classes,
                exponentials=f"{name}_exponentials",
            ),
        ),
        call=f"softmax(&{name}, {{inputs[0]}}, {{output}});",
    )


@_step.register
def _movement(operator: Movement, name: str) -> Step:
    fill = ""
    if operator.fill is not None:
        fill = f"fill_run({operator.fill}, {operator.output_bytes}, {{output}});\n    "
    return Step(
        kernels=("copy", "move") if fill else ("move",),
        constants=(
            _struct(
                "movement",
                name,
                shape=braced(operator.shape),
                **_block(operator.source, "from", "source_strides"),
                **_block(operator.target, "to", "target_strides"),
            ),
        ),
        call=f"{fill}move(&{name}, {{inputs[0]}}, {{output}});",
    )


def _weights(operator: Convolution | Depthwise, name: str) -> tuple[str, str]:
    flat = operator.weights.ravel().tolist()
    rows = ", ".join(_channel(channel) for channel in operator.channels)
    return (
        f"static const int8_t {name}_weights[{len(flat)}] = {numbers(flat)};\n",
        f"static const struct channel {name}_channels[{len(operator.channels)}] = {{{rows}}};\n",
    )


def _channel(channel: Channel) -> str:
    return braced((channel.bias, channel.factor.multiplier, channel.factor.shift))


def _struct(kind: str, name: str, **fields: object) -> str:
    lines = "".join(f"    .{field} = {value},\n" for field, value in fields.items())
    return f"static const struct {kind} {name} = {{\n{lines}}};\n"


def _operands(operator: Elementwise) -> str:
    one, other = operator.strides
    return (
        f"{{{braced(operator.shape)}, {braced(one)}, {braced(other)}, "
        f"{operator.zero_points[0]}, {operator.zero_points[1]}, {_range(operator.range)}}}"
    )


def _factor(factor: Factor) -> dict[str, int]:
    return {"multiplier": factor.multiplier, "shift": factor.shift}


def _block(block: Block, start: str, strides: str) -> dict[str, object]:
    return {start: block.start, strides: braced(block.strides)}


def _range(output: OutputRange) -> str:
    return braced((output.zero_point, output.lowest, output.highest))


def _window(window: Window) -> str:
    fields: Iterable[tuple[int, ...]] = (
        window.input_size,
        (window.channels,),
        window.size,
        window.strides,
        window.dilations,
        window.padding,
        window.output_size,
    )
    return braced(number for pair in fields for number in pair)
