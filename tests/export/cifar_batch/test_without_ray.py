"""What cifar-batch is without Ray: importable, and one line that says what to install."""

import subprocess
import sys

import pytest

import cifar_batch
from cifar_batch.cluster import check_ray
from cifar_runtime import MissingDependencyError


def test_every_public_name_is_there() -> None:
    for name in cifar_batch.__all__:
        assert getattr(cifar_batch, name).__doc__, name


@pytest.mark.parametrize("module", ["cifar_batch", "cifar_batch.commands.batch"])
def test_importing_imports_nothing_slow(module: str) -> None:
    code = f"import {module}, sys; sys.exit(bool({{'numpy', 'ray', 'pyarrow'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_ray_the_message_is_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError) as caught:
        check_ray()
    assert str(caught.value) == (
        "Ray Data is not installed: ray and pyarrow not found. "
        "In cifar-edge's checkout, run: pip install ./runtime '.[ray]'"
    )
