"""The environment explains a number and gives nobody away."""

import getpass
import json
import os
import platform
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from cifar_runtime.documents import from_document, to_document
from cifar_runtime.environment import (
    PACKAGES,
    Environment,
    cpu_from_cpuinfo,
    read_environment,
)


def test_environment_holds_these_fields_and_survives_json() -> None:
    environment = read_environment()
    document = json.loads(json.dumps(to_document(environment)))
    assert list(document) == [
        "os",
        "machine",
        "cpu_model",
        "isa_flags",
        "cores",
        "load_average",
        "governor",
        "python",
        "packages",
    ]
    assert from_document(Environment, document) == environment
    assert environment.python == f"{platform.python_implementation()} {platform.python_version()}"
    assert 1 <= environment.cores <= (os.cpu_count() or 1)
    assert tuple(environment.packages) == PACKAGES
    assert environment.packages["numpy"] is not None


def test_environment_names_no_host_no_user_and_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/zaphod")
    for variable in ("USER", "LOGNAME", "USERNAME", "HOSTNAME"):
        monkeypatch.setenv(variable, "zaphod")
    text = json.dumps(to_document(read_environment()))
    assert getpass.getuser() == "zaphod"
    for secret in ("zaphod", socket.gethostname(), str(Path.cwd()), str(Path(__file__).parent)):
        assert secret not in text
    values = to_document(read_environment())
    assert not [value for value in values.values() if isinstance(value, str) and "/" in value[:1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "processor : 0\nmodel name\t: AMD EPYC 9R14\nflags\t\t: fpu avx2 fma avx512_vnni\n\n"
            "processor : 1\nmodel name\t: another\nflags : sse4_2\n",
            ("AMD EPYC 9R14", ("avx2", "fma", "avx512_vnni")),
        ),
        (
            "processor : 0\ncpu family\t: 23\nmodel\t\t: 49\nmodel name\t: AMD EPYC\n",
            ("AMD EPYC (family 23, model 49)", ()),
        ),
        (
            "processor : 0\nFeatures\t: fp asimd asimddp i8mm\n",
            (None, ("asimd", "asimddp", "i8mm")),
        ),
        (
            "processor : 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n",
            ("implementer 0x41 part 0xd08", ("asimd",)),
        ),
        (
            "CPU implementer\t: 0x41\nCPU part\t: 0xd03\n\nHardware\t: BCM2835\n",
            ("BCM2835, implementer 0x41 part 0xd03", ()),
        ),
        (
            "processor : 0\nmodel name\t: ARMv7 Processor rev 4 (v7l)\n\n"
            "Model\t\t: Raspberry Pi 3 Model B Rev 1.2\n",
            ("Raspberry Pi 3 Model B Rev 1.2", ()),
        ),
        ("", (None, ())),
    ],
)
def test_cpu_is_read_from_cpuinfo(text: str, expected: tuple[str | None, tuple[str, ...]]) -> None:
    assert cpu_from_cpuinfo(text) == expected


def cpuinfo_of_a_pi(part: str, model: str) -> str:
    """What 64-bit Raspberry Pi OS shows of one core, and of the board."""
    return (
        "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
        f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {part}\n"
        f"CPU revision\t: 3\n\nHardware\t: BCM2835\nRevision\t: c03114\nModel\t\t: {model}\n"
    )


def test_a_pi_3_and_a_pi_4_are_different_machines() -> None:
    pi_3, pi_4 = (
        replace(read_environment(), cpu_model=str(name), isa_flags=flags)
        for name, flags in (
            cpu_from_cpuinfo(cpuinfo_of_a_pi("0xd03", "Raspberry Pi 3 Model B Rev 1.2")),
            cpu_from_cpuinfo(cpuinfo_of_a_pi("0xd08", "Raspberry Pi 4 Model B Rev 1.4")),
        )
    )
    from cifar_bench.results.conditions import machine_differences

    assert machine_differences(pi_3, pi_4) == (
        "processor Raspberry Pi 3 Model B Rev 1.2 and Raspberry Pi 4 Model B Rev 1.4",
    )
