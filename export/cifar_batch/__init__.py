"""Classifies more pictures than one process can wait for, on the cores of one machine or of a Ray cluster.

It holds what is listed, handed out and written; pixels and answers are the runtime's, picture by picture.
"""

from typing import TYPE_CHECKING

from cifar_runtime.public_names import public_names

if TYPE_CHECKING:
    from cifar_batch.pipeline import BatchOutcome as BatchOutcome
    from cifar_batch.pipeline import classify_all as classify_all
    from cifar_batch.recipe import BatchRecipe as BatchRecipe

__getattr__, __dir__, __all__ = public_names(
    __name__,
    {"pipeline": ("classify_all", "BatchOutcome"), "recipe": ("BatchRecipe",)},
)
