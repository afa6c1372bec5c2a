"""Runs the runtime as boards with 64-bit Arm Linux do, under an emulator: ``python -m cifar_maintain.arm_linux``.

A Debian root is extracted, what ``cifar-board bundle`` packs is installed into it without an index, and on each
processor the packaged model replays its golden vectors and classifies pictures. Scores must be this machine's, bit for
bit, and what is said of the pictures too, but for the last digits of a probability: NumPy's exponential rounds them
otherwise with AVX-512 than without. It needs no privileges: nothing is mounted, and no root is changed into. Times
mean nothing here. Prints lines, the same on every machine but for memory; publishes nothing.
"""

import argparse
import json
import operator
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cifar_runtime.commands.parser import Parser, positive_int, run_command, sentences_to_stderr
from cifar_runtime.errors import GateError, InputError, MissingDependencyError

PROCESSORS = ("cortex-a53", "cortex-a72", "neoverse-n1", "max,sme=off")
WITH_SME = "max"
_PROGRAM = "python -m cifar_maintain.arm_linux"
_PACKAGES = "python3-minimal,python3,libstdc++6"
_SUITE, _PYTHON = "bookworm", "3.11"
_EMULATOR = "qemu-aarch64-static"
_PHOTOGRAPH = (4000, 3000)
_PROBABILITY_TOLERANCE = 1e-12
_SCRIPT = """\
import sys
from cifar_runtime.commands.classify import main as classify
from cifar_runtime.commands.info import main as info
certificate, results, memory, *pictures = sys.argv[1:]
status = info(["--self-test", "--json", certificate])
status = status or classify([*pictures, "-q", "--json", results])
with open("/proc/self/status") as told, open(memory, "w") as kept:
    kept.write(next(line.split()[1] for line in told if line.startswith("VmHWM:")))
sys.exit(status)
"""
# LiteRT reads the processor's features here, and falls on those of another architecture.
_ARM_FILES = {
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
    "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd03\nCPU revision\t: 4\n\n",
    "sys/devices/system/cpu/possible": "0\n",
    "sys/devices/system/cpu/present": "0\n",
    "sys/devices/system/cpu/online": "0\n",
    "sys/devices/system/cpu/kernel_max": "0\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one machine made of the model and the pictures.

    Attributes:
        status: exit status of the self-test, or of the classification.
        vectors: scores of every golden vector; empty where the self-test could not run.
        results: what the pictures show, as ``cifar-classify --json`` says it; empty where the self-test failed.
        peak_bytes: memory of the process, of an emulator with it.
    """

    status: int
    vectors: tuple[tuple[float, ...], ...]
    results: tuple[Mapping[str, Any], ...]
    peak_bytes: int


def run_python(command: Sequence[str | Path], folder: Path, pictures: Sequence[Path]) -> Run:
    """What a Python makes of the packaged model and pictures.

    Args:
        command: how to start it.
        folder: for its documents.
        pictures: to classify after the self-test.
    """
    files = [folder / name for name in ("certificate.json", "results.json", "peak-kib.json")]
    for path in files:
        path.unlink(missing_ok=True)
    done = subprocess.run(  # noqa: S603 - a Python, and a program of our own
        [*map(str, command), "-c", _SCRIPT, *map(str, files), *map(str, pictures)],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    certificate, results, memory = files
    vectors = _document(certificate).get("vectors", ())
    return Run(
        status=done.returncode,
        vectors=tuple(tuple(vector["scores"]) for vector in vectors),
        results=tuple(
            {name: value for name, value in one.items() if name != "image"}
            for one in _document(results).get("results", ())
        ),
        peak_bytes=1024 * int(memory.read_text()) if memory.exists() else 0,
    )


def _document(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def verdict(processor: str, run: Run, native: Run) -> tuple[bool, str]:
    """Whether a processor gives this machine's numbers, and a line that says so."""
    vectors = _count(operator.eq, run.vectors, native.vectors)
    pictures = _count(_same_result, run.results, native.results)
    same = (vectors, pictures) == (len(native.vectors), len(native.results))
    line = (
        f"{processor:<12} golden vectors {vectors} of {len(native.vectors)} bit for bit, "
        f"pictures {pictures} of {len(native.results)}"
    )
    return same and run.status == 0, f"{line}, {run.peak_bytes / 1e6:.0f} MB with the emulator"


def _count(same: Callable[[Any, Any], bool], found: Sequence[Any], expected: Sequence[Any]) -> int:
    return sum(map(same, found, expected))


def _same_result(found: Any, expected: Any) -> bool:
    """Whether two JSON values are the same but for the last digits of probabilities."""
    if isinstance(found, float) and isinstance(expected, float):
        return abs(found - expected) <= _PROBABILITY_TOLERANCE
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        return found.keys() == expected.keys() and all(
            _same_result(found[name], expected[name]) for name in expected
        )
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_same_result, found, expected))
    return bool(found == expected)


def prepare_root(folder: Path, *, progress: Callable[[str], None]) -> Path:
    """A Debian root for arm64 with the runtime installed from its offline bundle; kept from an earlier run.

    Raises:
        InputError: Debian's mirror or pip fails.
        MissingDependencyError: mmdebstrap or the emulator is not installed.
    """
    from cifar_bench.remote.wheels import write_offline_bundle

    root = folder / "root"
    if not (root / "usr" / "bin" / f"python{_PYTHON}").exists():
        progress(f"a Debian {_SUITE} root for arm64")
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--variant=extract", "--architectures=arm64", "--skip=check/qemu"]
        _call([_tool("mmdebstrap"), *options, f"--include={_PACKAGES}", _SUITE, root])
    for name, text in _ARM_FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    progress("the offline bundle")
    bundle = write_offline_bundle(folder / "board.zip", machine="aarch64", python=_PYTHON)
    with zipfile.ZipFile(bundle.path) as archive:
        archive.extractall(folder / "bundle")
    site = root / "opt" / "site"
    shutil.rmtree(site, ignore_errors=True)
    progress("installing it without an index")
    _call(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--target", site),
            *("--find-links", folder / "bundle" / "wheels", "--only-binary=:all:"),
            *(f"--platform={glibc}_aarch64" for glibc in ("manylinux_2_28", "manylinux_2_27")),
            *("--platform=manylinux2014_aarch64", f"--python-version={_PYTHON}"),
            "cifar-edge-runtime",
        ]
    )
    return root


def _call(command: Sequence[str | Path]) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)  # noqa: S603 - as written above
    if done.returncode != 0:
        raise InputError(
            f"{Path(command[0]).name} failed: {done.stderr.strip().splitlines()[-1:]}.",
            hint="It needs a Debian mirror and a package index.",
        )


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingDependencyError(
            f"{name} is not installed, which the emulated board needs.",
            hint="apt-get install mmdebstrap qemu-user-static",
        )
    return path


def emulated_python(root: Path, processor: str) -> list[str]:
    """How to start the root's Python on a processor."""
    environment = (
        f"PYTHONPATH={root.absolute() / 'opt' / 'site'}",
        "LD_LIBRARY_PATH=/usr/lib/aarch64-linux-gnu",
        "OPENBLAS_NUM_THREADS=1",
    )
    exported = [part for pair in environment for part in ("-E", pair)]
    python = root.absolute() / "usr" / "bin" / f"python{_PYTHON}"
    return [_tool(_EMULATOR), "-cpu", processor, "-L", str(root.absolute()), *exported, str(python)]


def write_photograph(path: Path) -> None:
    """A 12 megapixel JPEG."""
    from PIL import Image

    width, height = _PHOTOGRAPH
    row, column = np.mgrid[:height, :width]
    pixels = np.stack([column * 255 // width, row * 255 // height, (row + column) % 256], axis=-1)
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)


def measure(folder: Path, *, limit: int, progress: Callable[[str], None]) -> tuple[bool, list[str]]:
    """Whether all processors give this machine's numbers, and the lines that say so.

    Raises:
        CifarEdgeError: as :func:`prepare_root` raises.
    """
    from cifar_data.load import load_split
    from cifar_data.pictures.write_folder import write_picture_folder

    emulator = _tool(_EMULATOR)
    root = prepare_root(folder, progress=progress)
    shutil.rmtree(folder / "pictures", ignore_errors=True)
    write_picture_folder(load_split("test-sample", limit=limit), folder / "pictures")
    pictures = sorted((folder / "pictures").rglob("*.png"))
    progress("this machine")
    native = run_python([sys.executable], folder, pictures)
    write_photograph(folder / "photograph.jpg")
    photograph = run_python([sys.executable], folder, [folder / "photograph.jpg"])
    lines, passed = [], native.status == 0
    for processor in PROCESSORS:
        progress(f"{Path(emulator).name} -cpu {processor}")
        run = run_python(emulated_python(root, processor), folder, pictures)
        same, line = verdict(processor, run, native)
        lines.append(line)
        passed = passed and same
    lines.append(
        f"one classification of a 12 megapixel JPEG, this machine without an emulator: "
        f"{photograph.peak_bytes / 1e6:.0f} MB at its peak"
    )
    return passed, lines


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace.

    Raises:
        UsageError: it makes no sense.
    """
    parser = Parser(
        prog=_PROGRAM, description="Run the runtime as boards with 64-bit Arm Linux do, emulated."
    )
    add = parser.add_argument
    add("--folder", type=Path, default=Path(".board"), metavar="DIR", help="kept for the next run")
    add("--limit", type=positive_int, default=200, metavar="N", help="pictures (default: 200)")
    return parser.parse_args(argv)


def _run(argv: Sequence[str]) -> int:
    options = parse(argv)
    passed, lines = measure(
        options.folder, limit=options.limit, progress=sentences_to_stderr(_PROGRAM)
    )
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0 if passed else GateError.exit_code


if __name__ == "__main__":
    sys.exit(main())
