"""Trains Keras classifiers on labelled images: recipes, networks, fit, evaluation.

The names below are loaded on first use, so that importing the package waits for neither NumPy nor Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cifar_train.networks import build as build
    from cifar_train.recipe import RunOptions as RunOptions
    from cifar_train.recipe import TrainRecipe as TrainRecipe
    from cifar_train.recipes import RECIPES as RECIPES
    from cifar_train.training import train as train

_MODULES = {
    "RECIPES": "cifar_train.recipes",
    "RunOptions": "cifar_train.recipe",
    "TrainRecipe": "cifar_train.recipe",
    "build": "cifar_train.networks",
    "train": "cifar_train.training",
}
__all__ = ["RECIPES", "RunOptions", "TrainRecipe", "build", "train"]


def __getattr__(name: str) -> Any:
    """A public name, from the module that holds it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
