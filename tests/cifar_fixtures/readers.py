"""The environment with other tools that open our files: its Python, where there is one."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def readers_python() -> Callable[[str], Path]:
    """Gives the Python of the environment with a package, or skips the test."""

    def python_with(package: str) -> Path:
        python = Path(
            os.environ.get("CIFAR_EDGE_READERS_PYTHON", _ROOT / ".venv-readers" / "bin" / "python")
        )
        command = [str(python), "-c", f"import {package}"]
        if (
            not python.exists()
            or subprocess.run(command, check=False, capture_output=True).returncode != 0
        ):
            pytest.skip(
                f"no {package}: run make readers, or name a Python in CIFAR_EDGE_READERS_PYTHON"
            )
        return python

    return python_with
