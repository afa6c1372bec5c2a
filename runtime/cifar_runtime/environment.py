"""The machine and the software a measurement was taken with: what explains a number, nothing that names a person.

No host name, no user name, no path. Versions are read from package metadata; nothing heavy is
imported.
"""

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cifar_runtime.certificates.processor import cpuinfo_fields, processor_name

PACKAGES = (
    "cifar-edge",
    "numpy",
    "pillow",
    "ai-edge-litert",
    "onnxruntime",
    "tensorflow",
    "keras",
    "jax",
)
ISA_FLAGS = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
)
"""The instruction sets that decide how fast a network runs in int8, bfloat16 or float32 (Linux's names)."""

_CPUINFO = Path("/proc/cpuinfo")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where and with what a report was measured.

    Attributes:
        os: operating system and its release.
        machine: processor architecture.
        cpu_model: the processor's own name, or the architecture where it cannot be read.
        isa_flags: those of ``ISA_FLAGS`` that the processor has; empty where they cannot be read.
        cores: logical processors this process may use.
        load_average: running processes over the last 1, 5 and 15 minutes; None where unknown.
        governor: frequency governor of the first processor; None where unknown.
        python: implementation and version.
        packages: version of each of ``PACKAGES``; None where it is not installed.
    """

    os: str
    machine: str
    cpu_model: str
    isa_flags: tuple[str, ...]
    cores: int
    load_average: tuple[float, float, float] | None
    governor: str | None
    python: str
    packages: Mapping[str, str | None]


def read_environment() -> Environment:
    """The environment of this process, now."""
    cpu_model, isa_flags = cpu_from_cpuinfo(_text_or_none(_CPUINFO) or "")
    return Environment(
        os=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cpu_model=cpu_model or platform.processor() or platform.machine(),
        isa_flags=isa_flags,
        cores=_usable_cores(),
        load_average=_load_average(),
        governor=_text_or_none(_GOVERNOR),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={name: _version_or_none(name) for name in PACKAGES},
    )


def cpu_from_cpuinfo(text: str) -> tuple[str | None, tuple[str, ...]]:
    """The processor's name and its known ISA flags from the text of Linux's /proc/cpuinfo."""
    fields = cpuinfo_fields(text)
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    return processor_name(fields), tuple(flag for flag in ISA_FLAGS if flag in flags)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _load_average() -> tuple[float, float, float] | None:
    try:
        one, five, fifteen = os.getloadavg()
    except (AttributeError, OSError):
        return None
    return round(one, 2), round(five, 2), round(fifteen, 2)


def _text_or_none(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _version_or_none(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
