"""Writes a firmware folder from an int8 artefact; nothing is written before everything is known to work."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from cifar_export.firmware.arena import plan_arena
from cifar_export.firmware.c_text import template
from cifar_export.firmware.contract_header import contract_header
from cifar_export.firmware.emit import model_header, model_source
from cifar_export.firmware.evaluation import Evaluation, Judged, Run
from cifar_export.firmware.golden_vectors import (
    compare_with_card,
    golden_files,
    golden_inputs,
    operator_checksums,
)
from cifar_export.firmware.lowering.lower import lower
from cifar_export.firmware.operators import constant_bytes
from cifar_export.firmware.simulate import simulate
from cifar_export.firmware.tflm import measure_arena, model_without_card, run_tflm, tflm_files
from cifar_runtime.artefact import Artefact, open_artefact, refuse_independent
from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.formats.tflite_graph import tflite_graph
from cifar_runtime.golden import golden_from_card
from cifar_runtime.system.files import write_atomically

Engine = Literal["c", "tflm"]
_ONLY_THE_OTHER_WRITES = {"c": "resolver.h", "tflm": "boards/board.c"}
_BOARD_FILES = ("board.c", "board.ld", "mps2.ld", "mps3.ld", "Makefile")
_TEMPLATES = ("self_test.c", "self_test.h", *(f"boards/{name}" for name in _BOARD_FILES))


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareReport:
    """What was written.

    Attributes:
        engine: ``c`` or ``tflm``.
        files: relative to the folder.
        operators: their names, each once, in the order of the network.
        arena_bytes: memory for tensors; for ``tflm`` what its interpreter needs, measured.
        arena_lower_bound: bytes alive at the busiest step; None for ``tflm``.
        constant_bytes: weights, biases, factors and tables in flash; for ``tflm`` the whole model.
        num_vectors: golden vectors in the self-test.
        decisions_kept: of them, those that are decided as the card says, which LiteRT did.
        max_error: largest difference of their scores from the card's, in real units.
        judged: how the firmware decides the evaluation images; None where none were given.
    """

    engine: Engine
    files: tuple[str, ...]
    operators: tuple[str, ...]
    arena_bytes: int
    arena_lower_bound: int | None
    constant_bytes: int
    num_vectors: int
    decisions_kept: int
    max_error: float
    judged: Judged | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready data."""
        return asdict(self)


def write_firmware(
    model: Path, folder: Path, *, engine: Engine, evaluation: Evaluation | None = None
) -> FirmwareReport:
    """Writes a network as C into a folder, with its contract, golden vectors and self-test.

    Args:
        model: an int8 .tflite artefact with its card beside it.
        folder: made if it is not there; files of the same names are replaced.
        engine: ``c`` for C99 without an interpreter, ``tflm`` for TensorFlow Lite Micro.
        evaluation: what the firmware's decisions are judged on first; None: its golden vectors only.

    Raises:
        GateError: its decisions miss a limit of the evaluation.
        ArtefactError: the model is damaged, not int8, has no golden vectors, or has an operator that
            the engine does not compute; the message names it.
        MissingDependencyError: engine ``tflm`` without tflite-micro.
        InputError: the folder cannot be written, or holds the other engine's firmware.
    """
    artefact = open_artefact(model)
    refuse_independent(artefact)
    if artefact.format != "tflite" or artefact.contract.input.dtype != "int8":
        raise ArtefactError(
            f"{model}: is {artefact.format} with {artefact.contract.input.dtype} input, "
            "expected an int8 .tflite file.",
            hint="Export it with cifar-export --format int8.",
        )
    other = folder / _ONLY_THE_OTHER_WRITES[engine]
    if other.exists():
        raise InputError(
            f"{other}: is of the other engine's firmware, expected a folder without it.",
            hint="Remove the folder, or give another.",
        )
    files, report, run = (_c_firmware if engine == "c" else _tflm_firmware)(artefact)
    judged = None if evaluation is None else evaluation.judge(artefact, run)
    _write(folder, files)
    return replace(report, judged=judged)


_Firmware = tuple[Mapping[str, str], FirmwareReport, Run]


def _c_firmware(artefact: Artefact) -> _Firmware:
    network = lower(artefact.data)
    arena = plan_arena(network)
    golden = golden_from_card(artefact.card)
    inputs = golden_inputs(artefact, golden)
    scores = simulate(network, inputs)
    kept, max_error = compare_with_card(artefact, golden, scores)
    title = _title(artefact, "C99")
    files = {
        "model.c": model_source(network, arena, title=title),
        "model.h": model_header(network, arena, title=title),
        "contract.h": contract_header(artefact),
        **golden_files(golden.images, scores, operator_checksums(network, inputs[0])),
        **{name: template(name) for name in _TEMPLATES},
    }
    report = FirmwareReport(
        engine="c",
        files=tuple(sorted(files)),
        operators=tuple(dict.fromkeys(operator.name for operator in network.operators)),
        arena_bytes=arena.size,
        arena_lower_bound=arena.lower_bound,
        constant_bytes=sum(map(constant_bytes, network.operators)),
        num_vectors=len(golden.images),
        decisions_kept=kept,
        max_error=max_error,
    )
    return files, report, partial(simulate, network)


def _tflm_firmware(artefact: Artefact) -> _Firmware:
    golden = golden_from_card(artefact.card)
    data = model_without_card(artefact.data)
    inputs = golden_inputs(artefact, golden)
    scores = run_tflm(data, inputs)
    kept, max_error = compare_with_card(artefact, golden, scores)
    arena_bytes = measure_arena(data, inputs[0])
    operators = tuple(tflite_graph(data).operator_counts)
    files = {
        **tflm_files(
            data,
            (inputs[0].size, scores.shape[1]),
            operators,
            arena_bytes,
            title=_title(artefact, "TensorFlow Lite Micro"),
        ),
        "contract.h": contract_header(artefact),
        **golden_files(golden.images, scores),
    }
    report = FirmwareReport(
        engine="tflm",
        files=tuple(sorted(files)),
        operators=operators,
        arena_bytes=arena_bytes,
        arena_lower_bound=None,
        constant_bytes=len(data),
        num_vectors=len(golden.images),
        decisions_kept=kept,
        max_error=max_error,
    )
    return files, report, partial(run_tflm, data)


def _title(artefact: Artefact, kind: str) -> str:
    return (
        f"{artefact.name} for {kind}, made by cifar-export from {artefact.path.name},\n"
        f"sha256 {artefact.sha256}."
    )


def _write(folder: Path, files: Mapping[str, str]) -> None:
    try:
        for name, text in files.items():
            write_atomically(folder / name, text.encode())
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written: {error.strerror}.",
            hint="Check the folder and its free space, or give another folder.",
        ) from error
