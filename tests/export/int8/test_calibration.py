"""Calibration images come from training images or a folder, by seed, and reach both ends of the pixel range."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.recipes import export_recipe
from PIL import Image

from cifar_data import packaged
from cifar_data.choose import stratified_sample
from cifar_export.contracts import quantized_contract
from cifar_export.converted import Quantization
from cifar_export.int8.calibration import load_calibration, reaching_both_ends, refuse_judged_images
from cifar_export.recipe import ExportRecipe
from cifar_runtime.contract import pixel_contract
from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.imaging.preprocess import input_table


def _recipe(**changes: object) -> ExportRecipe:
    return export_recipe(checkpoint=Path("m.keras"), output=Path("out"), **changes)  # type: ignore[arg-type]


CONTRACT = pixel_contract((32, 32, 3), "bicubic")


def test_a_stratified_sample_has_equal_shares_and_follows_its_seed() -> None:
    classes = np.array([0] * 50 + [1] * 30 + [2] * 3)
    chosen = stratified_sample(classes, 23, seed=1)
    assert np.bincount(classes[chosen]).tolist() == [10, 10, 3]
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, stratified_sample(classes, 23, seed=1))
    assert not np.array_equal(chosen, stratified_sample(classes, 23, seed=2))


def test_the_default_is_the_shipped_sample_of_the_train_split() -> None:
    calibration = load_calibration(_recipe(), CONTRACT)
    sample = packaged.calibration_sample()
    assert (calibration.source, calibration.added) == ("train", ())
    assert calibration.ids == tuple(sample.ids.tolist())
    np.testing.assert_array_equal(calibration.images, sample.images)


def test_more_than_shipped_needs_the_data_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path))
    with pytest.raises(InputError) as caught:
        load_calibration(_recipe(calibration_samples=513), CONTRACT)
    assert str(caught.value) == (
        "513 calibration images were asked for, 512 come with the package. "
        "Run cifar-data fetch, or give --calibration-samples 512."
    )


def test_a_folder_of_class_folders_is_sampled_evenly_and_resized(tmp_path: Path) -> None:
    for name, level in (("cat", 10), ("dog", 200)):
        (tmp_path / name).mkdir()
        for index in range(4):
            Image.new("RGB", (40, 50), (level, index, 0)).save(tmp_path / name / f"{index}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    calibration = load_calibration(
        _recipe(calibration_data=tmp_path, calibration_samples=4), CONTRACT
    )
    assert [str(name).split("/")[0] for name in calibration.ids] == ["cat", "cat", "dog", "dog"]
    assert calibration.images.shape == (5, 32, 32, 3)
    assert calibration.added == (255,)
    assert calibration.images[-1].min() == 255


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_without_images_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=name):
        load_calibration(_recipe(calibration_data=tmp_path / name), CONTRACT)


def test_plain_images_are_added_only_where_an_end_is_missing() -> None:
    images = np.full((2, 4, 4, 3), 7, dtype=np.uint8)
    with_both, added = reaching_both_ends(images)
    assert (added, with_both.min(), with_both.max(), len(with_both)) == ((0, 255), 0, 255, 4)
    assert reaching_both_ends(with_both)[1] == ()


@pytest.mark.parametrize(("dtype", "lowest"), [("int8", -128), ("uint8", 0)])
@pytest.mark.parametrize(
    ("multiplier", "offset"), [(1.0, 0.0), (1 / 64, -2.0), (1 / 255, 0.0), (1 / 127.5, -1.0)]
)
def test_a_quantized_contract_maps_every_pixel_to_its_own_integer(
    multiplier: float, offset: float, dtype: Any, lowest: int
) -> None:
    scale = float(np.float32(multiplier))
    zero_point = round(lowest - offset / scale)
    quantization = Quantization(scale=scale, zero_point=zero_point, dtype=dtype)
    contract = quantized_contract(CONTRACT, quantization, multiplier=multiplier, offset=offset)
    table = input_table(contract)
    assert table.dtype == dtype
    np.testing.assert_array_equal(table, np.arange(lowest, lowest + 256))
    real = np.arange(256) * contract.multiplier + contract.offset
    assert np.abs(real - (np.arange(256) * multiplier + offset)).max() <= 0.5001 * multiplier


def test_a_range_that_is_not_the_pixels_is_refused() -> None:
    with pytest.raises(
        ArtefactError,
        match=r"scale 0\.5 and zero point -128, expected 1\.0 a pixel",
    ):
        quantized_contract(
            CONTRACT, Quantization(scale=0.5, zero_point=-128), multiplier=1.0, offset=0.0
        )


def test_a_calibration_image_that_the_gate_measures_is_refused(tmp_path: Path) -> None:
    judged = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    other = 255 - judged[0]
    Image.fromarray(other).save(tmp_path / "a.png")
    recipe = _recipe(calibration_data=tmp_path)
    calibration = load_calibration(recipe, CONTRACT)
    refuse_judged_images(calibration, tmp_path, judged, split="test")
    Image.fromarray(judged[2]).save(tmp_path / "b.png")
    calibration = load_calibration(recipe, CONTRACT)
    with pytest.raises(InputError, match=r"b\.png: is one of the images of test, which the export"):
        refuse_judged_images(calibration, tmp_path, judged, split="test")
