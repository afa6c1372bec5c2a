"""What travels to a board and comes back: a recipe with its files, framed in bytes, and an answer."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from cifar_bench.recipe import QUICK, BenchRecipe, Effort
from cifar_bench.remote.board import answered, framed, received
from cifar_bench.remote.bundle import pack, unpack
from cifar_bench.results.report import report_from_text
from cifar_runtime.errors import ArtefactError


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "request.json"
    }


def test_models_travel_with_their_cards_each_in_a_folder_of_its_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.tflite").write_bytes(name.encode())
    (tmp_path / "a" / "m.tflite.json").write_bytes(b"card of a")
    recipe = BenchRecipe(
        models=(tmp_path / "a" / "m.tflite", tmp_path / "b" / "m.tflite"),
        split="test",
        limit=3,
        effort=Effort(runs=7, batch_sizes=(1, 2)),
    )
    bundle = pack(recipe, command=["cifar-bench", "m.tflite"])
    there = tmp_path / "there"
    there.mkdir()
    recipe_there, command = unpack(bundle.data, there)
    assert recipe_there == BenchRecipe(
        models=(there / "sent-0" / "m.tflite", there / "sent-1" / "m.tflite"),
        split="test",
        limit=3,
        effort=Effort(runs=7, batch_sizes=(1, 2)),
    )
    assert command == ("cifar-bench", "m.tflite")
    assert contents(there) == {
        "sent-0/m.tflite": b"a",
        "sent-0/m.tflite.json": b"card of a",
        "sent-1/m.tflite": b"b",
    }
    assert bundle.typed == {
        "sent-0/m.tflite": str(tmp_path / "a" / "m.tflite"),
        "sent-1/m.tflite": str(tmp_path / "b" / "m.tflite"),
    }


def test_a_contract_travels_by_name_or_as_a_file(tmp_path: Path) -> None:
    contract = tmp_path / "mine.json"
    contract.write_bytes(b"{}")
    there = tmp_path / "there"
    there.mkdir()
    by_name = BenchRecipe(contract="cifar10-unit", limit=25)
    assert unpack(pack(by_name).data, there) == (by_name, ())
    as_file = BenchRecipe(contract=str(contract))
    as_file_there = BenchRecipe(contract=str(there / "sent-0" / "mine.json"))
    assert unpack(pack(as_file).data, there) == (as_file_there, ())
    assert contents(there) == {"sent-0/mine.json": b"{}"}


def test_a_folder_of_images_travels_whole(tmp_path: Path) -> None:
    (tmp_path / "images" / "cat").mkdir(parents=True)
    (tmp_path / "images" / "cat" / "1.png").write_bytes(b"one")
    there = tmp_path / "there"
    there.mkdir()
    recipe, _ = unpack(pack(BenchRecipe(eval_data=tmp_path / "images")).data, there)
    assert recipe == BenchRecipe(eval_data=there / "sent-0" / "images")
    assert contents(there) == {"sent-0/images/cat/1.png": b"one"}


def test_a_model_that_is_not_here_is_not_sent() -> None:
    with pytest.raises(ArtefactError, match=r"missing\.tflite: cannot be read"):
        pack(BenchRecipe(models=(Path("missing.tflite"),)))


class Slow(io.BytesIO):
    """A stream that gives one byte at a time, as a slow line may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(1, size or 0))


@pytest.mark.parametrize("bundle", [b"", b"x", b"\n12\nabc" * 50])
def test_a_framed_bundle_is_received_and_no_byte_more(bundle: bytes) -> None:
    stream = Slow(framed(bundle) + b"rest")
    assert received(stream) == bundle
    assert stream.getvalue()[stream.tell() :] == b"rest"


@pytest.mark.parametrize("sent", [b"", b"1", b"3\n", b"3\nab"])
def test_a_line_that_breaks_is_an_interrupt(sent: bytes) -> None:
    with pytest.raises(KeyboardInterrupt):
        received(io.BytesIO(sent))


def test_a_bundle_is_answered_with_a_report(tiny_onnx: Path) -> None:
    said: list[str] = []
    recipe = BenchRecipe(models=(tiny_onnx,), limit=10, effort=replace(QUICK, runs=10))
    answer = answered(pack(recipe, command=["cifar-bench", "x"]).data, progress=said.append)
    report = report_from_text(answer["report"], origin="answer")
    assert [model.name for model in report.models] == ["tiny-float32"]
    assert report.command == ("cifar-bench", "x")
    assert "scoring 10 images with tiny-float32" in said


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("m.txt", "artefact", "sent-0/m.txt: is not a model this runs"),
        ("m.onnx", "artefact", "sent-0/m.onnx: the model file is damaged"),
    ],
)
def test_an_error_is_answered_without_the_name_of_the_folder_there(
    name: str, code: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"no model")
    answer = answered(pack(BenchRecipe(models=(tmp_path / name,))).data)
    assert answer["error"]["code"] == code
    assert answer["error"]["message"].startswith(message)


def test_a_bundle_that_is_none_is_an_unexpected_error() -> None:
    answer = answered(b"no archive")
    assert (answer["error"]["code"], answer["error"]["exit_code"]) == ("unexpected", 1)
    assert answer["error"]["message"].startswith("unexpected BadZipFile: ")
