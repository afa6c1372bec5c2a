"""Float files that others are made from are made once of each model."""

from typing import Any

import pytest

from cifar_export.converted import Converted
from cifar_export.targets import known_targets
from cifar_export.targets.known_targets import Conversion, float_file
from cifar_runtime.formats.known_formats import ModelFormat


@pytest.mark.parametrize("model_format", ["tflite", "onnx"])
def test_a_second_conversion_of_a_model_takes_the_first_ones_file(
    monkeypatch: pytest.MonkeyPatch, model_format: ModelFormat
) -> None:
    converted: list[Any] = []

    def make(model: Any, *, verbose: bool) -> Converted:
        del verbose
        converted.append(model)
        return Converted(data=model.encode(), input=None, output=None, conversion={})

    monkeypatch.setattr(known_targets, f"{model_format}_float32", make)
    kept: dict[str, Converted] = {}
    found = [
        float_file(
            Conversion(model="first", feed=None, model_name="first", kept=kept), model_format
        )
        for _ in range(2)
    ]
    other = float_file(Conversion(model="other", feed=None, model_name="other"), model_format)
    assert [one.data for one in (*found, other)] == [b"first", b"first", b"other"]
    assert converted == ["first", "other"]
