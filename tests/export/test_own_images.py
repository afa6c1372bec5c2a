"""Images that an export needs and does not have, or cannot decode."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cifar_fixtures.recipes import export_recipe

from cifar_export.pipeline import export
from cifar_runtime.errors import InputError, UsageError

Save = Callable[[Any, Path], None]


def test_a_model_of_another_size_needs_labels_and_images(save: Save, tmp_path: Path) -> None:
    import keras
    from keras import layers

    path = tmp_path / "large.keras"
    save(keras.Sequential([keras.Input((96, 96, 3)), layers.Flatten(), layers.Dense(5)]), path)
    with pytest.raises(UsageError) as caught:
        export(export_recipe(checkpoint=path, output=tmp_path))
    assert str(caught.value) == (
        f"{path}: takes (96, 96, 3) and gives 5 scores, not (32, 32, 3) and 10 as CIFAR-10, so there "
        "are no images to verify the export on. Give --eval-data DIR (class folders), and --labels FILE if "
        "the scores are not in their sorted order."
    )


def test_a_calibration_folder_that_does_not_decode_is_refused(
    checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "cat.png").write_bytes(b"no picture")
    recipe = export_recipe(
        checkpoint=checkpoint,
        output=tmp_path / "out",
        quantize=("int8",),
        calibration_data=tmp_path,
        eval_split="test-sample",
    )
    with pytest.raises(InputError, match=r"cat\.png"):
        export(recipe)
    assert list((tmp_path / "out").iterdir()) == []
