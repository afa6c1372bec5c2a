"""A model is opened with the card that describes its very bytes, or refused with exit code 4."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cifar_runtime.artefact import card_path, open_artefact
from cifar_runtime.errors import ArtefactError


def refusal(path: Path) -> str:
    with pytest.raises(ArtefactError) as caught:
        open_artefact(path)
    assert caught.value.exit_code == 4
    return str(caught.value)


def test_an_artefact_holds_the_file_and_its_card(any_model: Path) -> None:
    artefact = open_artefact(any_model)
    assert artefact.data == any_model.read_bytes()
    assert artefact.format == any_model.suffix[1:]
    assert artefact.name == f"tiny-{artefact.format}"
    assert artefact.contract.labels == ("red", "green", "blue")


def test_the_card_lies_beside_the_model() -> None:
    assert card_path(Path("a/model.tflite")) == Path("a/model.tflite.json")


def test_every_flipped_byte_is_refused(publish: Any) -> None:
    path = publish.tflite()
    data = path.read_bytes()
    for position in range(0, len(data), 7):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        assert "the file changed after export" in refusal(path)


def test_the_digest_message_says_both_and_what_to_do(publish: Any) -> None:
    path = publish.onnx(model={"format": "onnx", "sha256": "a1"})
    found = "sha256 is "
    message = refusal(path)
    assert message.startswith(f"{path}: {found}")
    assert message.endswith(
        ", its card says a1: the file changed after export. "
        "Run cifar-export again, or restore the file."
    )


def test_a_lost_card_is_refused(any_model: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(any_model, tmp_path))
    assert refusal(path) == (
        f"{path}: its card ({path.name}.json) is missing, so nothing shows that the file is "
        "undamaged. Copy the card from where the model came from, or run cifar-export again."
    )


def test_a_foreign_model_is_refused(publish: Any) -> None:
    path = publish.folder / "foreign.onnx"
    path.write_bytes(publish.onnx_bytes())
    assert refusal(path) == (
        f"{path}: has no card (foreign.onnx.json), so its labels and preprocessing are unknown. "
        "Put the card that cifar-export wrote beside the model, or state the contract of a model "
        "from elsewhere: --contract FILE.json."
    )


def test_a_model_whose_contract_was_taken_out_is_refused(publish: Any) -> None:
    """Even when the card was given the digest of what is left."""
    path = publish.onnx()
    data = publish.onnx_bytes()
    path.write_bytes(data)
    card = json.loads(card_path(path).read_text())
    card["model"] |= {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    card_path(path).write_text(json.dumps(card))
    assert refusal(path) == (
        f"{path}: carries no contract inside, although its card says that cifar-export wrote it. "
        "Run cifar-export again."
    )


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (("contract", "labels"), ["green", "red", "blue"], "contract"),
        (("contract", "input", "multiplier"), 1.0, "contract"),
        (("name",), "another", "name"),
        (("licence",), "MIT", "licence"),
        (("provenance",), {"parity": {"seen": 10_000}}, "provenance"),
        (("surprise",), 1, "surprise"),
        (("model", "file"), "other.tflite", "model"),
    ],
)
def test_an_edited_card_is_refused(
    any_model: Path, tmp_path: Path, keys: tuple[str, ...], value: object, named: str
) -> None:
    path = Path(shutil.copy(any_model, tmp_path))
    card: Any = json.loads(card_path(any_model).read_text())
    target = card
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = value
    card_path(path).write_text(json.dumps(card))
    assert refusal(path) == (
        f"{card_path(path)}: cannot be used: its {named} is not what the model carries inside. "
        "Run cifar-export again, or restore the card."
    )


def test_another_size_in_the_card_is_refused(publish: Any) -> None:
    path = publish.tflite()
    card = json.loads(card_path(path).read_text())
    card["model"]["size_bytes"] += 1
    card_path(path).write_text(json.dumps(card))
    assert f"its model.size_bytes is not {path.stat().st_size}" in refusal(path)


def test_a_card_that_is_only_laid_out_differently_opens(publish: Any) -> None:
    path = publish.tflite()
    card = json.loads(card_path(path).read_text())
    card_path(path).write_text(json.dumps(card, indent=4, sort_keys=True))
    assert open_artefact(path).name == "tiny-tflite"


@pytest.mark.parametrize(
    ("card", "what"),
    [
        ("", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[]", "its schema is None, expected 'cifar-edge/artefact/1'"),
        ('{"schema": "cifar-edge/artefact/9"}', "its schema is 'cifar-edge/artefact/9'"),
        ('{"schema": "cifar-edge/artefact/1"}', "it states no model.sha256"),
        ('{"schema": "cifar-edge/artefact/1", "model": {"sha256": "a"}}', "it states no name"),
        (
            '{"schema": "cifar-edge/artefact/1", "model": {"sha256": "a"}, "name": "x"}',
            "it states no contract",
        ),
    ],
)
def test_a_damaged_card_is_refused(publish: Any, card: str, what: str) -> None:
    path = publish.tflite()
    card_path(path).write_text(card)
    message = refusal(path)
    assert what in message
    assert message.endswith("Run cifar-export again, or restore the card.")


def test_a_card_of_bytes_that_are_no_text_is_refused(publish: Any) -> None:
    path = publish.tflite()
    card_path(path).write_bytes(b"\xff\xfe\x00{")
    assert "is not valid JSON" in refusal(path)


def test_a_renamed_suffix_is_refused(publish: Any) -> None:
    tflite, onnx = publish.tflite(), publish.folder / "renamed.onnx"
    tflite.rename(onnx)
    card_path(tflite).rename(card_path(onnx))
    assert refusal(onnx) == (
        f"{onnx}: its card says the format is 'tflite', its name says 'onnx'. "
        "Give the file the suffix it was exported with."
    )


def test_content_of_the_other_format_is_refused(publish: Any) -> None:
    assert "its content is not tflite" in refusal(publish.tflite(data=publish.onnx_bytes()))


def test_missing_models_folders_fifos_and_other_suffixes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.tflite").mkdir()
    os.mkfifo(tmp_path / "pipe.tflite")
    (tmp_path / "seed.keras").write_bytes(b"PK")
    for name, what in [
        ("none.tflite", "cannot be read: No such file or directory"),
        ("folder.tflite", "is not a regular file"),
        ("pipe.tflite", "is not a regular file"),
        ("seed.keras", "Convert a Keras checkpoint with cifar-export first."),
    ]:
        assert what in refusal(tmp_path / name)
