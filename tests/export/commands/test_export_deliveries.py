"""What a command line publishes, where, and what is delivered from it."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cifar_export import pipeline
from cifar_export.commands.export import main, parse, recipe_from
from cifar_export.deliver import deliver
from cifar_export.recipe import ExportRecipe
from cifar_export.result import ExportResult
from cifar_runtime.classifier import default_model
from cifar_runtime.errors import UsageError

PROGRAM = Path(sys.executable).parent / "cifar-export"


def result_of(published: Path) -> ExportResult:
    """What an export says of a model that it published; the figures do not matter here."""
    return ExportResult(
        path=published,
        name=published.stem,
        size_bytes=1,
        sha256="0" * 64,
        accuracy=0.5,
        accuracy_drop=0.0,
        agreement=1.0,
        split="test-sample",
        num_images=1000,
    )


def test_without_options_the_file_is_int8_and_goes_to_exported() -> None:
    recipe = recipe_from(parse(["m.keras"]), checkpoint=Path("m.keras"))
    assert recipe.quantize == ExportRecipe(source=recipe.source, publish=recipe.publish).quantize
    assert recipe.quantize == ("int8",)
    assert recipe.publish.output == Path("exported")


def test_io_chooses_the_int8_file_by_what_it_takes_and_gives() -> None:
    options = parse(["m.keras", "-o", "out", "--quantize", "none,int8", "--io", "uint8"])
    recipe = recipe_from(options, checkpoint=Path("m.keras"))
    assert recipe.quantize == ("none", "int8-uint8-io")
    plain = parse(["m.keras", "-o", "out", "--quantize", "none", "--io", "float"])
    with pytest.raises(UsageError, match="--io float with --quantize none: it says what int8"):
        recipe_from(plain, checkpoint=Path("m.keras"))


def test_a_repository_for_the_hub_is_written_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The export itself is not repeated here: the packaged model stands for what it published."""
    published = default_model()
    result = result_of(published)
    monkeypatch.setattr(pipeline, "export", lambda *_, **__: (result,))
    folder = tmp_path / "hub"
    assert main(["m.keras", "-o", str(tmp_path), "-q", "--card-dir", str(folder)]) == 0
    capfd.readouterr()
    assert {"README.md", "labels.txt", published.name} <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("formats", "models", "deliveries"),
    [
        ("c", ("tflite",), ("c",)),
        ("web", ("onnx",), ("web",)),
        ("web,tflite,c", ("tflite", "onnx"), ("c", "web")),
        ("onnx,tflite", ("onnx", "tflite"), ()),
    ],
)
def test_a_delivery_brings_the_format_that_it_is_made_of(
    formats: str, models: tuple[str, ...], deliveries: tuple[str, ...]
) -> None:
    options = parse(["m.keras", "-o", "out", "--quantize", "int8", "--format", formats])
    recipe = recipe_from(options, checkpoint=Path("m.keras"))
    assert (recipe.formats, recipe.publish.deliveries) == (models, deliveries)


def test_a_delivery_without_int8_is_refused() -> None:
    options = parse(["m.keras", "-o", "out", "--quantize", "none", "--format", "c"])
    with pytest.raises(UsageError) as caught:
        recipe_from(options, checkpoint=Path("m.keras"))
    assert str(caught.value) == (
        "--format c is made of tflite int8, which is not asked for. Give --quantize int8 too."
    )


def test_c_of_a_published_artefact_lies_in_a_folder_beside_it(tmp_path: Path) -> None:
    published = default_model("tflite")
    result = result_of(published)
    options = parse(["m.keras", "-o", str(tmp_path), "--quantize", "int8", "--format", "c"])
    recipe = recipe_from(options, checkpoint=Path("m.keras"))
    (remark,) = deliver(("tflite", "int8"), result, recipe, lambda _: None)[0].remarks
    assert remark.startswith(f"{tmp_path / 'edge-s-int8-c'}: C99 without an interpreter, arena ")
    assert (tmp_path / "edge-s-int8-c" / "model.c").is_file()
    trained = replace(result, name="edge-s-int8-qat")
    (remark,) = deliver(("tflite", "int8"), trained, recipe, lambda _: None)[0].remarks
    assert remark.startswith(f"{tmp_path / 'edge-s-int8-qat-c'}: ")
    assert deliver(("onnx", "int8"), result, recipe, lambda _: None)[0].remarks == ()
