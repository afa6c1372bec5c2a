"""Boots int8 models as stand-alone C on three emulated boards: ``python -m cifar_maintain.boards``.

A board's scores must be those of TensorFlow Lite Micro, whose wheel is the oracle, or nothing is recorded. The figures
go to ``benchmarks/reports/boards.json``, from which ``cifar_maintain.readme`` draws the tables; nothing is published.
"""

import argparse
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from cifar_eval.formatting import markdown_rows
from cifar_runtime.commands.parser import Parser, run_command, sentences_to_stderr
from cifar_runtime.commands.result_file import check_result_file, write_document
from cifar_runtime.documents import to_document
from cifar_runtime.errors import GateError, InputError, MissingDependencyError, json_error_reason

BOARDS_SCHEMA = "cifar-edge/boards/1"
BOARDS: Mapping[str, str] = {"m3": "Cortex-M3", "m7": "Cortex-M7", "m55": "Cortex-M55"}
_PROGRAM = "python -m cifar_maintain.boards"
_TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "make")
_SECONDS = 300
_EXAMPLES = """\
  python -m cifar_maintain.boards exported/edge-s-int8.tflite exported/resnet8-int8.tflite
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """One model on one board.

    Attributes:
        board: m3, m7 or m55.
        text_bytes: code, self-test and start-up included.
        rodata_bytes: constants, golden vectors included.
        ram_bytes: .data and .bss: the arena and a few words.
        stack_bytes: the most that was used.
        instructions: of one inference, under ``-icount shift=0``; not cycles.
    """

    board: str
    text_bytes: int
    rodata_bytes: int
    ram_bytes: int
    stack_bytes: int
    instructions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BootedModel:
    """One model on all boards.

    Attributes:
        name: of the model.
        sha256: of its file.
        operators: their names, each once.
        input_shape: height, width, channels.
        constant_bytes: weights, biases, factors and tables.
        golden_bytes: the self-test's images and scores, which a product leaves out.
        golden_vectors: how many gave the oracle's scores, bit for bit, on every board: all.
        arena_bytes: memory for tensors.
        tflm_arena_bytes: what TensorFlow Lite Micro's interpreter uses, as its wheel measures it on this machine.
        boots: one a board.
    """

    name: str
    sha256: str
    operators: tuple[str, ...]
    input_shape: tuple[int, int, int]
    constant_bytes: int
    golden_bytes: int
    golden_vectors: int
    arena_bytes: int
    tflm_arena_bytes: int
    boots: tuple[Boot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What TensorFlow Lite Micro took for edge-s on an emulated board."""

    kernels: str
    text_bytes: int
    arena_bytes: int
    instructions: int


# Source: docs/log.md, a probe outside this repository: QEMU 7.2, TensorFlow Lite Micro's own sources. Its text holds
# the model, weights and card.
_WEIGHT_BYTES, _CARD_BYTES = 99_488, 48_451
_COSTS = ("flash beside weights", "arena", "instructions")
TFLM_EDGE_S: Mapping[str, Published] = {
    "m3": Published(
        kernels="reference", text_bytes=292_008, arena_bytes=43_940, instructions=95_700_000
    ),
    "m7": Published(
        kernels="CMSIS-NN", text_bytes=332_944, arena_bytes=44_004, instructions=25_400_000
    ),
    "m55": Published(
        kernels="CMSIS-NN, vectors", text_bytes=320_848, arena_bytes=48_468, instructions=4_800_000
    ),
}


def boot_model(model: Path, *, progress: Callable[[str], None]) -> BootedModel:
    """A model on all boards.

    Args:
        model: an int8 .tflite artefact with its card beside it.
        progress: takes a sentence whenever one begins.

    Raises:
        ArtefactError: it cannot become firmware.
        GateError: a board's scores are not the oracle's.
        MissingDependencyError: a compiler, an emulator or tflite-micro is not installed.
    """
    from cifar_export.firmware.golden_vectors import golden_inputs
    from cifar_export.firmware.tflm import measure_arena, model_without_card, run_tflm
    from cifar_export.firmware.write import write_firmware
    from cifar_runtime.artefact import open_artefact
    from cifar_runtime.golden import golden_from_card

    artefact = open_artefact(model)
    golden = golden_from_card(artefact.card)
    data, inputs = model_without_card(artefact.data), golden_inputs(artefact, golden)
    oracle = run_tflm(data, inputs)
    with tempfile.TemporaryDirectory() as folder:
        written = write_firmware(model, Path(folder), engine="c")
        boots = []
        for board, name in BOARDS.items():
            progress(f"{artefact.name} on {name}")
            boots.append(_boot(Path(folder) / "boards", board, oracle.tolist()))
    return BootedModel(
        name=artefact.name,
        sha256=artefact.sha256,
        operators=written.operators,
        input_shape=artefact.contract.input.shape,
        constant_bytes=written.constant_bytes,
        golden_bytes=int(golden.images.nbytes + oracle.nbytes),
        golden_vectors=len(oracle),
        arena_bytes=written.arena_bytes,
        tflm_arena_bytes=measure_arena(data, np.asarray(inputs[0])),
        boots=tuple(boots),
    )


def _boot(folder: Path, board: str, oracle: list[list[int]]) -> Boot:
    done = subprocess.run(  # noqa: S603 - a Makefile that was just written
        [_tool("make"), "-s", f"run-{board}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    rows = re.findall(r"^vector \d+ same .*? scores((?: -?\d+)+)$", done.stdout, re.MULTILINE)
    scores = [[int(score) for score in row.split()] for row in rows]
    if done.returncode != 0 or scores != oracle:
        raise GateError(
            f"{board}: its scores are not those of TensorFlow Lite Micro: exit status {done.returncode}, "
            f"{sum(map(scores.__contains__, oracle))} of {len(oracle)} rows the same.",
            hint=f"Run make run-{board} in a folder of cifar-export --format c.",
        )
    return Boot(
        board=board,
        text_bytes=_number(r"\.text", done.stdout),
        rodata_bytes=_number(r"\.rodata", done.stdout),
        ram_bytes=_number(r"\.data", done.stdout) + _number(r"\.bss", done.stdout),
        stack_bytes=_number("stack bytes", done.stdout),
        instructions=_number("instructions", done.stdout),
    )


def _number(title: str, text: str) -> int:
    found = re.search(rf"^{title}\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingDependencyError(
            f"{name} is not installed, which boots the boards.",
            hint="apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm make",
        )
    return path


def measure(models: Sequence[Path], *, progress: Callable[[str], None]) -> dict[str, Any]:
    """All models on all boards, as a document of schema ``cifar-edge/boards/1``.

    Raises:
        CifarEdgeError: as :func:`boot_model` raises.
    """
    from cifar_runtime.environment import read_environment

    versions = {name: _version_line(_tool(name)) for name in _TOOLS}
    booted = [boot_model(model, progress=progress) for model in models]
    return {
        "schema": BOARDS_SCHEMA,
        "environment": to_document(read_environment()),
        "tools": versions | {"tflite-micro": importlib.metadata.version("tflite-micro")},
        "models": [to_document(one) for one in booted],
    }


def _version_line(tool: str) -> str:
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)  # noqa: S603 - a tool on PATH
    return done.stdout.splitlines()[0]


def boards_table(text: str, name: str, *, origin: str) -> str:
    """One of the report's tables, with a last newline.

    Args:
        text: a document that :func:`measure` gave.
        name: ``networks``, every network on every board; of edge-s beside TensorFlow Lite Micro ``tflm``, a row for
            each, or ``beside-tflm``, a row for each board.
        origin: where it was read, for the message.

    Raises:
        InputError: it is no such document, or there is no table of that name.
    """
    tables = {"networks": _networks_table, "tflm": _tflm_table, "beside-tflm": _beside_tflm_table}
    if name not in tables:
        raise InputError(f"boards {name!r} is no table.", hint=f"One of: {', '.join(tables)}.")
    try:
        rows = tables[name](json.loads(text)["models"])
    except (ValueError, KeyError, TypeError, StopIteration) as cause:
        raise InputError(
            f"{origin}: is no {BOARDS_SCHEMA} document with edge-s: {json_error_reason(cause)}.",
            hint=f"Measure again with {_PROGRAM}.",
        ) from cause
    return "\n".join(rows) + "\n"


def _networks_table(models: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    header = (
        *("network", "input", "code", "constants", "arena", "TFLM's arena", "stack"),
        *(f"{name} instructions" for name in BOARDS.values()),
    )
    return markdown_rows(header, [_network_row(model) for model in models])


def _network_row(model: Mapping[str, Any]) -> list[str]:
    boots = model["boots"]
    height, width, _ = model["input_shape"]
    return [
        f"`{model['name']}`",
        f"{height}x{width}",
        f"{max(boot['text_bytes'] for boot in boots):,}",
        f"{model['constant_bytes']:,}",
        f"{model['arena_bytes']:,}",
        f"{model['tflm_arena_bytes']:,}",
        f"{max(boot['stack_bytes'] for boot in boots):,}",
        *(_millions(boot["instructions"]) for boot in boots),
    ]


def _tflm_table(models: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    rows = []
    for board, kernels, theirs, ours in _beside_tflm(models):
        rows += [
            [board, f"TFLM, {kernels}", *theirs],
            ["", "**`cifar-export --format c`**", *(f"**{figure}**" for figure in ours)],
        ]
    return markdown_rows(("board", "firmware", *_COSTS), rows, text_columns=2)


def _beside_tflm_table(models: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    header = ("board", *(f"{cost}{whose}" for cost in _COSTS for whose in ("", ", TFLM")))
    rows = [
        [board, *chain.from_iterable(zip(ours, theirs, strict=True))]
        for board, _, theirs, ours in _beside_tflm(models)
    ]
    return markdown_rows(header, rows)


def _beside_tflm(
    models: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[str, str, Sequence[str], Sequence[str]]]:
    """edge-s: board, TFLM's kernels, its costs and ours; flash without weights and golden vectors."""
    model = next(one for one in models if one["name"] == "edge-s-int8")
    for boot in model["boots"]:
        probe = TFLM_EDGE_S[boot["board"]]
        theirs = probe.text_bytes - _WEIGHT_BYTES - _CARD_BYTES
        ours = boot["text_bytes"] + boot["rodata_bytes"] - model["golden_bytes"] - _WEIGHT_BYTES
        yield (
            BOARDS[boot["board"]],
            probe.kernels,
            _costs(theirs, probe.arena_bytes, probe.instructions),
            _costs(ours, model["arena_bytes"], boot["instructions"]),
        )


def _costs(flash_bytes: int, arena_bytes: int, instructions: int) -> Sequence[str]:
    return f"{flash_bytes / 1000:.0f} kB", f"{arena_bytes:,}", _millions(instructions)


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace.

    Raises:
        UsageError: it makes no sense.
    """
    parser = Parser(
        prog=_PROGRAM,
        description="Boot int8 models as stand-alone C on three emulated boards, and record what they take.",
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add("models", nargs="+", type=Path, metavar="MODEL", help="int8 .tflite files with their cards")
    add("--json", default="benchmarks/reports/boards.json", metavar="FILE", help="the report")
    options = parser.parse_args(argv)
    check_result_file("--json", options.json, suffix=".json", program=_PROGRAM, operands="MODEL")
    return options


def _run(argv: Sequence[str]) -> int:
    options = parse(argv)
    document = measure(options.models, progress=sentences_to_stderr(_PROGRAM))
    text = json.dumps(document, indent=1) + "\n"
    write_document(options.json, text)
    if options.json != "-":
        sys.stdout.write(boards_table(text, "networks", origin=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())
