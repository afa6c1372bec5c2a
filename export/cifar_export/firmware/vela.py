"""Compiles an int8 model for Arm's Ethos-U accelerators with Vela, and reads what Vela estimates; it runs no model.

Vela's figures are estimates of its own performance model, and are called so wherever they are shown.
"""

import csv
import importlib.util
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cifar_export.firmware.contract_header import contract_header
from cifar_export.firmware.tflm import model_without_card
from cifar_export.recipe import Accelerator
from cifar_runtime.artefact import open_artefact
from cifar_runtime.errors import ArtefactError, InputError, MissingDependencyError
from cifar_runtime.install_hints import install_hint
from cifar_runtime.plain_text import shortened
from cifar_runtime.system.files import write_atomically

_ON_THE_CPU = re.compile(r"^CPU operators = (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class VelaReport:
    """What was compiled, and what Vela estimates of it.

    Attributes:
        path: the compiled .tflite file.
        accelerator: what it is for.
        cpu_operators: operators that the accelerator does not run.
        inferences_per_second: estimated.
        sram_bytes: estimated, the most at once.
        flash_bytes: estimated.
    """

    path: Path
    accelerator: Accelerator
    cpu_operators: int
    inferences_per_second: float
    sram_bytes: int
    flash_bytes: int


def compile_for(accelerator: Accelerator, model: Path, folder: Path) -> VelaReport:
    """Writes the model as Vela compiles it, without our card, and contract.h beside it.

    Args:
        accelerator: such as ethos-u55-128; the system and the memory are Vela's defaults for it.
        model: an int8 .tflite artefact with its card beside it.
        folder: made if it is not there; files of the same names are replaced.

    Raises:
        ArtefactError: Vela refuses the model, or does not say what it estimates.
        InputError: the folder cannot be written.
        MissingDependencyError: Vela is not installed.
    """
    if importlib.util.find_spec("ethosu") is None:
        raise MissingDependencyError(
            "--format vela compiles with Vela, which is not installed.", hint=install_hint("ethos")
        )
    artefact = open_artefact(model)
    with tempfile.TemporaryDirectory() as scratch:
        bare, output = Path(scratch) / f"{artefact.name}.tflite", Path(scratch) / "output"
        bare.write_bytes(model_without_card(artefact.data))
        said = _run_vela(accelerator, bare, output)
        (compiled,) = output.glob("*_vela.tflite")
        estimates = _estimates(output, model)
        on_the_cpu = _ON_THE_CPU.search(said)
        if on_the_cpu is None:
            raise _silent(model)
        data = compiled.read_bytes()
    path = folder / f"{artefact.name}-{accelerator}.tflite"
    try:
        write_atomically(path, data)
        write_atomically(folder / "contract.h", contract_header(artefact).encode())
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written: {error.strerror}.",
            hint="Check the folder and its free space, or give another folder.",
        ) from error
    return VelaReport(
        path=path,
        accelerator=accelerator,
        cpu_operators=int(on_the_cpu[1]),
        inferences_per_second=estimates["inferences_per_second"],
        sram_bytes=round(1024 * estimates["sram_memory_used"]),
        flash_bytes=round(1024 * estimates["off_chip_flash_memory_used"]),
    )


def _run_vela(accelerator: Accelerator, model: Path, output: Path) -> str:
    """What Vela prints."""
    options = ["--accelerator-config", accelerator, "--output-dir", str(output)]
    done = subprocess.run(  # noqa: S603 - Vela, of this environment
        [sys.executable, "-m", "ethosu.vela", str(model), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or not list(output.glob("*_vela.tflite")):
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise ArtefactError(
            f"Vela refuses {model.stem} for {accelerator}: {shortened(lines[-1] if lines else 'no reason')}.",
            hint="Choose another accelerator, or use --format c.",
        )
    return done.stdout


def _estimates(output: Path, model: Path) -> dict[str, float]:
    names = ("inferences_per_second", "sram_memory_used", "off_chip_flash_memory_used")
    try:
        (summary,) = output.glob("*_summary_*.csv")
        (row,) = csv.DictReader(summary.read_text().splitlines())
        return {name: float(row[name]) for name in names}
    except (ValueError, KeyError, TypeError) as error:
        raise _silent(model) from error


def _silent(model: Path) -> ArtefactError:
    return ArtefactError(
        f"{model}: Vela compiled it, but does not say what it estimates, as 5.2.0 does.",
        hint="Install the version of ethos-u-vela that constraints.txt names.",
    )
