"""The public names of cifar_make are what they say, and cost nothing to import."""

import subprocess
import sys

import pytest

import cifar_make


def test_every_public_name_is_there() -> None:
    for name in cifar_make.__all__:
        assert getattr(cifar_make, name).__doc__, name
    assert set(cifar_make.__all__) <= set(dir(cifar_make))
    with pytest.raises(AttributeError, match="has no attribute 'makes'"):
        _ = cifar_make.makes


@pytest.mark.parametrize("module", ["cifar_make", "cifar_make.commands.make"])
def test_importing_imports_nothing_slow(module: str) -> None:
    code = f"import {module}, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
