"""The public names of cifar_export are what they say, cost nothing to import, and their examples run."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import cifar_export
from cifar_export import pipeline


def test_every_public_name_is_there() -> None:
    for name in cifar_export.__all__:
        assert getattr(cifar_export, name).__doc__, name
    assert set(cifar_export.__all__) <= set(dir(cifar_export))
    with pytest.raises(AttributeError, match="has no attribute 'exports'"):
        _ = cifar_export.exports


def test_importing_the_package_imports_nothing_slow() -> None:
    code = "import cifar_export, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_example_of_export_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder(recurse=False).find(pipeline.export, "export")
    result = doctest.DocTestRunner().run(example)
    assert (result.failed, result.attempted) == (0, 5)
    assert (tmp_path / "exported" / "edge-s-int8.tflite").is_file()
