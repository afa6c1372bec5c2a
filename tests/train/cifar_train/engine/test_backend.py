"""Backend, device and precision: what is chosen, and how what is not there is refused."""

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_data import packaged
from cifar_data.split import Split
from cifar_runtime.errors import CifarEdgeError, MissingDependencyError, UsageError
from cifar_train.commands.train import main
from cifar_train.engine.backend import ResolvedPrecision, has_gpu, resolve_precision, select_backend
from cifar_train.fit import fit
from cifar_train.recipe import Backend, Device, Precision
from cifar_train.recipes import EDGE_S, NOTEBOOK
from cifar_train.run.state import Epoch, RunState


@pytest.fixture
def float32_afterwards() -> Iterator[None]:
    yield
    import keras

    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("auto", "mixed_bfloat16"), ("float32", "float32"), ("mixed_bfloat16", "mixed_bfloat16")],
)
def test_only_auto_asks_whether_there_is_a_gpu(
    precision: Precision, expected: ResolvedPrecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cifar_train.engine.backend.has_gpu", lambda _backend: True)
    assert resolve_precision(replace(EDGE_S, precision=precision)) == expected
    backbone = replace(EDGE_S, precision=precision, architecture="mobilenet-v2")
    assert resolve_precision(backbone) == expected


@pytest.mark.parametrize(
    ("flags", "changes", "expected"),
    [
        ("fpu avx2 avx512f avx512_bf16 avx512_vnni", {}, "mixed_bfloat16"),
        ("fpu avx512f amx_bf16", {}, "mixed_bfloat16"),
        ("fpu avx512f avx512_bf16", {"architecture": "mobilenet-v2"}, "float32"),
        ("fpu avx512f avx512_bf16", {"backend": "jax"}, "float32"),
        ("fpu avx2 avx512f avx512_vnni", {}, "float32"),
        (None, {}, "float32"),
    ],
)
def test_auto_is_bfloat16_on_a_processor_that_multiplies_it(
    flags: str | None,
    changes: dict[str, Any],
    expected: ResolvedPrecision,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"processor : 0\nflags\t\t: {flags}\n\nprocessor : 1\n")
    monkeypatch.setattr("cifar_train.engine.backend.has_gpu", lambda _backend: False)
    monkeypatch.setattr("cifar_runtime.environment._CPUINFO", cpuinfo)
    recipe = replace(EDGE_S, **changes)
    assert resolve_precision(recipe) == expected
    assert resolve_precision(replace(recipe, precision="float32")) == "float32"


@pytest.mark.parametrize(
    ("missing", "backend", "error", "message"),
    [
        ("keras", "tensorflow", MissingDependencyError, r"training needs Keras, .*'\.\[train\]'$"),
        (
            "tensorflow",
            "tensorflow",
            MissingDependencyError,
            "training needs TensorFlow, which is not",
        ),
        ("jax", "jax", MissingDependencyError, r"training needs JAX, .*'\.\[train\]' jax$"),
        (None, "jax", UsageError, "Keras runs on tensorflow already, jax was asked for"),
    ],
)
def test_a_backend_that_cannot_be_had_is_refused(
    missing: str | None,
    backend: Backend,
    error: type[CifarEdgeError],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    select_backend("tensorflow", "auto")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else object()
    )
    with pytest.raises(error, match=message):
        select_backend(backend, "auto")


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_the_backend_that_runs_already_may_be_selected_again(device: Device) -> None:
    import keras

    select_backend("tensorflow", device)
    assert keras.backend.backend() == "tensorflow"


def test_a_gpu_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    select_backend("tensorflow", "cpu")
    assert not has_gpu("tensorflow")
    monkeypatch.setattr("cifar_train.training.training_splits", lambda _recipe: few())
    assert main(["--device", "gpu", "-o", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "cifar-train: --device gpu: the tensorflow backend sees no GPU. "
        "Use --device cpu, or install the backend with GPU support. "
        "In cifar-edge's checkout, run: pip install ./runtime '.[train-gpu]'\n"
    )


@pytest.mark.usefixtures("float32_afterwards")
def test_a_step_in_bfloat16_trains_float32_weights(tmp_path: Path) -> None:
    import keras

    policies: list[str] = []

    class Noting:
        def on_batch(self, _epoch: int, _seen: int, _total: int) -> None:
            policies.append(keras.config.dtype_policy().compute_dtype)

        def on_epoch(self, epoch: Epoch, state: RunState) -> None:
            pass

    recipe = replace(NOTEBOOK, epochs=1, batch_size=32, precision="mixed_bfloat16")
    model, state = fit(recipe, few(), tmp_path, Noting(), resume=False)
    assert policies == ["bfloat16"]
    assert np.isfinite(state.epochs[0].loss)
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}


def few() -> tuple[Split, Split]:
    sample = packaged.test_sample()
    return (
        sample.take(np.arange(32), name="few"),
        sample.take(np.arange(32, 48), name="others"),
    )


def test_without_anything_tensorflow_is_named_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for line in (["-o", str(tmp_path / "run")], ["--data", str(tmp_path / "pictures")]):
        assert main(line) == 6
        assert capsys.readouterr().err == (
            "cifar-train: training needs TensorFlow, which is not installed. "
            "In cifar-edge's checkout, run: pip install ./runtime '.[train]'\n"
        )


@pytest.mark.parametrize(
    ("missing", "name"), [("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")]
)
def test_what_the_end_of_a_run_needs_is_missed_before_it_begins(
    missing: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == missing else 1)
    assert main(["-o", str(tmp_path / "run")]) == 6
    assert capsys.readouterr().err == (
        f"cifar-train: the evaluation at the end of a run needs {name}, which is not installed. "
        "In cifar-edge's checkout, run: pip install ./runtime '.[train]'\n"
    )
    assert list(tmp_path.iterdir()) == []
