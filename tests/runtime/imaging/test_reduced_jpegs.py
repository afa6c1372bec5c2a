"""JPEGs are decoded at the scale that a contract asks for, alike by everything that opens a picture's file."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import Classifier, default_model
from cifar_runtime.contract import InputContract, pixel_contract
from cifar_runtime.errors import InputError
from cifar_runtime.imaging.image import decode_image, read_image
from cifar_runtime.imaging.preprocess import fit_picture

FULL = pixel_contract((32, 32, 3), "bicubic")


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    smooth = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    return smooth.filter(ImageFilter.GaussianBlur(1))


def encoded(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((4000, 3000), (500, 375)),
        ((512, 513), (64, 65)),  # libjpeg rounds up
        ((511, 4000), (128, 1000)),
        ((256, 256), (64, 64)),
        ((255, 300), (128, 150)),
        ((128, 128), (64, 64)),
        ((127, 128), (127, 128)),
        ((32, 32), (32, 32)),
        ((5000, 40), (5000, 40)),
    ],
)
def test_both_sides_keep_64_pixels(size: tuple[int, int], expected: tuple[int, int]) -> None:
    data = encoded(Image.new("RGB", size, (200, 10, 30)))
    assert decode_image(data, name="x", least_jpeg_side=64).size == expected
    assert decode_image(data, name="x").size == size


@pytest.mark.parametrize("shape", [(32, 32, 3), (16, 32, 3), (32, 8, 3)])
def test_the_longer_side_of_the_input_counts(shape: tuple[int, int, int]) -> None:
    assert pixel_contract(shape, "bicubic", jpeg_decoding="reduced").least_jpeg_side == 128
    assert pixel_contract(shape, "bicubic").least_jpeg_side is None


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_pixels_are_those_of_pillows_decoder_at_that_scale(
    scale: int, mode: str, progressive: bool
) -> None:
    data = encoded(photograph(64 * scale + 3, 64 * scale).convert(mode), progressive=progressive)
    expected = Image.open(io.BytesIO(data))
    expected.draft(expected.mode, (64, 64))
    found = decode_image(data, name="x", least_jpeg_side=64)
    assert found.size == expected.size != (64 * scale + 3, 64 * scale)
    assert found.tobytes() == expected.convert("RGB").tobytes()


def test_what_is_no_jpeg_is_decoded_in_full() -> None:
    picture = photograph(640, 480)
    for kind in ("PNG", "WEBP", "TIFF", "BMP"):
        data = encoded(picture, kind)
        assert decode_image(data, name="x", least_jpeg_side=64).size == (640, 480)


def test_a_photograph_on_its_side_stands_upright_at_the_same_scale() -> None:
    exif = Image.Exif()
    exif[274] = 6
    data = encoded(photograph(1024, 512), exif=exif.tobytes())
    assert decode_image(data, name="x", least_jpeg_side=64).size == (64, 128)


def test_the_first_picture_of_two_in_one_file_is_reduced_too() -> None:
    """As phones write them."""
    stream = io.BytesIO()
    photograph(640, 480).save(stream, "MPO", save_all=True, append_images=[photograph(320, 240)])
    assert decode_image(stream.getvalue(), name="x", least_jpeg_side=64).size == (160, 120)


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_data_that_end_before_the_picture_does_are_refused_at_any_scale(keep: float) -> None:
    data = encoded(photograph(1024, 1024))
    cut = data[: int(len(data) * keep)] + b"\xff\xd9"
    with pytest.raises(InputError, match="its data end before the picture does"):
        decode_image(cut, name="x", least_jpeg_side=64)


def test_a_reduced_picture_fits_nearly_as_the_whole_does() -> None:
    data = encoded(photograph(1600, 1200), quality=90)
    whole = fit_picture(decode_image(data, name="x"), FULL).astype(int)
    reduced = fit_picture(decode_image(data, name="x", least_jpeg_side=64), FULL).astype(int)
    assert 0 < abs(whole - reduced).max() <= 6


def expected_pixels(path: Path) -> np.ndarray:
    opened = Image.open(path)
    opened.draft("RGB", (128, 128))
    return fit_picture(opened.convert("RGB"), FULL)


def with_decoding(contract: InputContract) -> Classifier:
    artefact = open_artefact(default_model("tflite"))
    return Classifier(replace(artefact, contract=replace(artefact.contract, input=contract)))


def test_a_classifier_decodes_files_as_its_contract_says(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    photograph(1600, 1200).save(path, quality=60)
    contract = open_artefact(default_model("tflite")).contract.input
    reduced = with_decoding(replace(contract, jpeg_decoding="reduced"))
    full = with_decoding(replace(contract, jpeg_decoding="full"))
    assert reduced.classify(path) == full.classify(expected_pixels(path))
    assert full.classify(path) == full.classify(read_image(path))
