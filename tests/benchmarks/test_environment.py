"""The environment explains a number and gives nobody away."""

import getpass
import json
import os
import platform
import socket
from pathlib import Path

import pytest

from cifar_bench.environment import (
    PACKAGES,
    cpu_from_cpuinfo,
    environment_from_json,
    read_environment,
)


def test_environment_holds_these_fields_and_survives_json() -> None:
    environment = read_environment()
    document = json.loads(json.dumps(environment.to_json()))
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
    assert environment_from_json(document) == environment
    assert environment.python == f"{platform.python_implementation()} {platform.python_version()}"
    assert 1 <= environment.cores <= (os.cpu_count() or 1)
    assert tuple(environment.packages) == PACKAGES
    assert environment.packages["numpy"] is not None


def test_environment_names_no_host_no_user_and_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/zaphod")
    for variable in ("USER", "LOGNAME", "USERNAME", "HOSTNAME"):
        monkeypatch.setenv(variable, "zaphod")
    text = json.dumps(read_environment().to_json())
    assert getpass.getuser() == "zaphod"
    for secret in ("zaphod", socket.gethostname(), str(Path.cwd()), str(Path(__file__).parent)):
        assert secret not in text
    values = read_environment().to_json()
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
            "processor : 0\nFeatures\t: fp asimd asimddp i8mm\n",
            (None, ("asimd", "asimddp", "i8mm")),
        ),
        ("", (None, ())),
    ],
)
def test_cpu_is_read_from_cpuinfo(text: str, expected: tuple[str | None, tuple[str, ...]]) -> None:
    assert cpu_from_cpuinfo(text) == expected
