"""From a folder of the user's pictures to a certified model: checks, trains, exports and measures, each by its package.

It holds the order of the steps and what was done of them; everything else is the packages' below.
"""

from typing import TYPE_CHECKING

from cifar_runtime.public_names import public_names

if TYPE_CHECKING:
    from cifar_make.pipeline import Made as Made
    from cifar_make.pipeline import make as make
    from cifar_make.planning import Plan as Plan
    from cifar_make.planning import plan as plan
    from cifar_make.recipe import MakeRecipe as MakeRecipe

__getattr__, __dir__, __all__ = public_names(
    __name__,
    {
        "pipeline": ("make", "Made"),
        "planning": ("plan", "Plan"),
        "recipe": ("MakeRecipe",),
    },
)
