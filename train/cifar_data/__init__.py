"""Labelled images: CIFAR-10, folders of pictures, the packaged samples.

The names below are loaded on first use, so that importing the package waits for no NumPy.
"""

from typing import TYPE_CHECKING

from cifar_runtime.public_names import public_names

if TYPE_CHECKING:
    from cifar_data.cifar10.fetch import FetchRecipe as FetchRecipe
    from cifar_data.cifar10.fetch import fetch as fetch
    from cifar_data.image_folder import read_image_folder as read_image_folder
    from cifar_data.load import load_split as load_split
    from cifar_data.packaged import calibration_sample as calibration_sample
    from cifar_data.packaged import test_sample as test_sample
    from cifar_data.pictures.load import Pictures as Pictures
    from cifar_data.pictures.load import load_pictures as load_pictures
    from cifar_data.pictures.load import picture_contract as picture_contract
    from cifar_data.split import Split as Split

__getattr__, __dir__, __all__ = public_names(
    __name__,
    {
        "cifar10.fetch": (
            "FetchRecipe",
            "fetch",
        ),
        "image_folder": ("read_image_folder",),
        "load": ("load_split",),
        "packaged": (
            "calibration_sample",
            "test_sample",
        ),
        "pictures.load": ("Pictures", "load_pictures", "picture_contract"),
        "split": ("Split",),
    },
)
