"""Every row of the table of formats names things that exist; files are told apart by suffix and signature."""

import inspect
from typing import get_args

import pytest

from cifar_runtime.formats.known_formats import (
    KNOWN_FORMATS,
    ModelFormat,
    RuntimeChoice,
    RuntimeName,
    format_from_suffix,
    has_content_of,
    load,
)


def test_every_format_has_one_row() -> None:
    assert tuple(KNOWN_FORMATS) == get_args(ModelFormat)
    assert all(known.name == name for name, known in KNOWN_FORMATS.items())
    assert {known.runtime for known in KNOWN_FORMATS.values()} == set(get_args(RuntimeName))
    assert get_args(RuntimeChoice) == ("auto", *get_args(ModelFormat))


@pytest.mark.parametrize("model_format", get_args(ModelFormat))
def test_a_row_names_what_can_be_imported(model_format: ModelFormat) -> None:
    known = KNOWN_FORMATS[model_format]
    assert list(inspect.signature(load(known.graph)).parameters) == ["data"]
    metadata = load(known.metadata)
    assert callable(metadata.metadata_entry)
    assert callable(metadata.with_metadata_entry)
    assert {"run", "close"} <= vars(load(known.session)).keys()
    assert known.module.split(".")[0] == known.package


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [(".tflite", "tflite"), (".TFLITE", "tflite"), (".onnx", "onnx"), (".keras", None), ("", None)],
)
def test_a_suffix_names_a_format(suffix: str, expected: str | None) -> None:
    assert format_from_suffix(suffix) == expected


@pytest.mark.parametrize(
    ("data", "model_format", "expected"),
    [
        (b"\x1c\x00\x00\x00TFL3rest", "tflite", True),
        (b"\x1c\x00\x00\x00TFL3rest", "onnx", False),
        (b"\x08\x08\x12\x05onnxrest", "onnx", True),
        (b"\x08\x08\x12\x05onnxrest", "tflite", False),
        (b"", "onnx", True),
        (b"", "tflite", False),
    ],
)
def test_content_bears_the_signature_of_its_format(
    data: bytes, model_format: ModelFormat, *, expected: bool
) -> None:
    assert has_content_of(data, model_format) == expected
