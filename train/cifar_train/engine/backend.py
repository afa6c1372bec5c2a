"""Chooses Keras' backend, device and precision before Keras is imported; the only place that touches their settings."""

import importlib.util
import os
from collections.abc import Mapping
from typing import Literal

from cifar_eval.models.keras import imported_keras
from cifar_runtime.environment import read_environment
from cifar_runtime.errors import MissingDependencyError, UsageError
from cifar_runtime.install_hints import install_hint
from cifar_train.networks.backbones import BACKBONES
from cifar_train.recipe import Backend, Device, TrainRecipe

ResolvedPrecision = Literal["float32", "mixed_bfloat16"]

_NAMES: Mapping[Backend, str] = {"tensorflow": "TensorFlow", "jax": "JAX"}
# Linux's names of the instructions that multiply bfloat16; without them it is emulated, and slower than float32.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def select_backend(backend: Backend, device: Device) -> None:
    """Makes the process use ``backend`` on ``device``.

    Raises:
        MissingDependencyError: Keras or the backend is not installed.
        UsageError: Keras runs on another backend already, or there is no GPU where one was asked for.
    """
    check_backend(backend)
    if device == "cpu" and backend == "jax":
        os.environ["JAX_PLATFORMS"] = "cpu"
    imported_keras(backend)
    if device == "cpu" and backend == "tensorflow":
        _hide_gpus_from_tensorflow()
    if device == "gpu" and not has_gpu(backend):
        install = (
            install_hint("train", "'jax[cuda]'") if backend == "jax" else install_hint("train-gpu")
        )
        raise UsageError(
            f"--device gpu: the {backend} backend sees no GPU.",
            hint=f"Use --device cpu, or install the backend with GPU support. {install}",
        )


def check_backend(backend: Backend) -> None:
    """Checks for what training runs on, and imports nothing.

    Raises:
        MissingDependencyError: Keras or the backend is not installed.
    """
    for package, name in ((backend, _NAMES[backend]), ("keras", "Keras")):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(
                f"training needs {name}, which is not installed.",
                hint=install_hint("train", *(["jax"] if package == "jax" else [])),
            )


def has_gpu(backend: Backend) -> bool:
    """Whether the chosen backend sees an accelerator."""
    if backend == "jax":
        import jax

        return any(device.platform != "cpu" for device in jax.devices())
    import tensorflow as tf

    # Not the logical ones: asking for those starts the runtime, after which workers cannot find each other.
    return bool(tf.config.get_visible_devices("GPU"))


def make_deterministic(backend: Backend) -> None:
    """Makes this process compute the same bits every time, for good; JAX does on a CPU anyway."""
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def resolve_precision(recipe: TrainRecipe) -> ResolvedPrecision:
    """The dtype policy that the recipe's ``precision`` means here: ``auto`` is whichever trains faster."""
    if recipe.precision == "auto":
        return "mixed_bfloat16" if _is_faster_in_bfloat16(recipe) else "float32"
    return recipe.precision


def _is_faster_in_bfloat16(recipe: TrainRecipe) -> bool:
    """Whether it runs on a GPU, or as dense convolutions in TensorFlow on a processor with instructions for bfloat16.

    Backbones are mostly depthwise convolutions, whose gradients oneDNN has in float32 faster (docs/log.md).
    """
    if has_gpu(recipe.backend):
        return True
    if recipe.backend != "tensorflow" or recipe.architecture in BACKBONES:
        return False
    return not _BFLOAT16_FLAGS.isdisjoint(read_environment().isa_flags)


def _hide_gpus_from_tensorflow() -> None:
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
