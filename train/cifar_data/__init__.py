"""Labelled images: CIFAR-10, folders of pictures, the packaged samples.

The names below are loaded on first use, so that importing the package waits for no NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cifar_data.cifar10.fetch import FetchRecipe as FetchRecipe
    from cifar_data.cifar10.fetch import fetch as fetch
    from cifar_data.image_folder import read_image_folder as read_image_folder
    from cifar_data.load import load_split as load_split
    from cifar_data.packaged import calibration_sample as calibration_sample
    from cifar_data.packaged import test_sample as test_sample
    from cifar_data.split import Split as Split

_MODULES = {
    "FetchRecipe": "cifar_data.cifar10.fetch",
    "Split": "cifar_data.split",
    "calibration_sample": "cifar_data.packaged",
    "fetch": "cifar_data.cifar10.fetch",
    "load_split": "cifar_data.load",
    "read_image_folder": "cifar_data.image_folder",
    "test_sample": "cifar_data.packaged",
}
__all__ = [
    "FetchRecipe",
    "Split",
    "calibration_sample",
    "fetch",
    "load_split",
    "read_image_folder",
    "test_sample",
]


def __getattr__(name: str) -> Any:
    """A public name, from the module that holds it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
