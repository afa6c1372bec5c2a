"""Trains Keras classifiers on labelled images: recipes, networks, fit, evaluation.

The names below are loaded on first use, so that importing the package waits for neither NumPy nor Keras.
"""

from typing import TYPE_CHECKING

from cifar_runtime.public_names import public_names

if TYPE_CHECKING:
    from cifar_train.networks import build as build
    from cifar_train.recipe import RunOptions as RunOptions
    from cifar_train.recipe import TrainRecipe as TrainRecipe
    from cifar_train.recipes import RECIPES as RECIPES
    from cifar_train.training import train as train

__getattr__, __dir__, __all__ = public_names(
    __name__,
    {
        "networks": ("build",),
        "recipe": (
            "RunOptions",
            "TrainRecipe",
        ),
        "recipes": ("RECIPES",),
        "training": ("train",),
    },
)
