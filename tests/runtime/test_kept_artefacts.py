"""Artefacts of every card schema ever written still open and still give their golden scores; damaged, none opens."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_runtime.artefact import Artefact, artefact_from_bytes, card_path, open_artefact
from cifar_runtime.classifier import Classifier, default_model
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.embedded_card import NAME, document_of_card, embedded_document, sealed
from cifar_runtime.formats.protobuf import metadata_entry, with_metadata_entry
from cifar_runtime.golden import golden_from_card, replay

NUM_FLIPS = 10_000
DAMAGED = "the file changed after export. Run cifar-export again, or restore the file."
KEPT = sorted(
    path
    for suffix in ("*.tflite", "*.onnx")
    for path in (Path(__file__).parent / "artefacts").glob(f"*/{suffix}")
)
SHIPPED = [path for path in map(default_model, ("tflite", "onnx")) if path.exists()]


def name(path: Path) -> str:
    return f"{path.parent.name}-{path.name}"


@pytest.mark.parametrize("path", KEPT, ids=name)
def test_a_kept_artefact_opens_and_passes_its_self_test(path: Path) -> None:
    classifier = Classifier(path)
    result = replay(classifier)
    assert result.passed
    assert (result.num_vectors, result.decisions_kept) == (8, 8)
    assert path.stat().st_size <= 50_000


@pytest.mark.parametrize("path", SHIPPED, ids=name)
def test_a_shipped_model_passes_its_self_test(path: Path) -> None:
    assert replay(Classifier(path)).passed


@pytest.mark.parametrize("path", [*KEPT, *SHIPPED], ids=name)
def test_10000_flipped_bytes_are_all_refused(path: Path) -> None:
    data, card = bytearray(path.read_bytes()), card_path(path).read_bytes()
    artefact_from_bytes(path, bytes(data), card)
    generator = np.random.default_rng(20)
    positions = generator.integers(0, len(data), NUM_FLIPS).tolist()
    flips = generator.integers(1, 256, NUM_FLIPS).tolist()
    refused = 0
    for position, flip in zip(positions, flips, strict=True):
        data[position] ^= flip
        try:
            artefact_from_bytes(path, bytes(data), card)
        except ArtefactError as error:
            refused += str(error).endswith(DAMAGED)
        data[position] ^= flip
    assert refused == NUM_FLIPS


@pytest.mark.parametrize("path", KEPT, ids=name)
def test_a_few_hundred_flipped_bytes_in_files_are_refused(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    copy = tmp_path / path.name
    card_path(copy).write_bytes(card_path(path).read_bytes())
    generator = np.random.default_rng(21)
    for position in generator.integers(0, len(data), 300).tolist():
        flipped = bytes([data[position] ^ 1 << int(generator.integers(8))])
        copy.write_bytes(data[:position] + flipped + data[position + 1 :])
        with pytest.raises(ArtefactError, match="the file changed after export"):
            open_artefact(copy)


@pytest.mark.parametrize("path", KEPT, ids=name)
def test_no_flipped_byte_of_a_card_changes_what_it_says_unnoticed(path: Path) -> None:
    """White space between fields may become other white space; all else is refused."""
    data, card = path.read_bytes(), card_path(path).read_bytes()
    generator = np.random.default_rng(22)
    opened = 0
    for position in generator.integers(0, len(card), 2000).tolist():
        flipped = card[:position] + bytes([card[position] ^ int(generator.integers(1, 256))])
        flipped += card[position + 1 :]
        try:
            artefact_from_bytes(path, data, flipped)
        except ArtefactError:
            continue
        opened += 1
        assert json.loads(flipped) == json.loads(card)
    assert opened < 100


@pytest.mark.parametrize("path", KEPT, ids=name)
def test_the_card_and_the_document_inside_say_the_same(path: Path) -> None:
    inside: Any = embedded_document(path.read_bytes(), open_artefact(path).format)
    card = json.loads(card_path(path).read_text())
    facts = {"size_bytes", "sha256"}
    assert inside["model"].keys() | facts == card["model"].keys()
    assert {**inside, "model": None} == {**card, "model": None}


def test_an_artefact_of_each_format_is_kept() -> None:
    assert {path.suffix for path in KEPT} == {".tflite", ".onnx"}


@pytest.mark.parametrize("path", KEPT, ids=name)
def test_without_its_card_beside_a_kept_artefact_is_refused(path: Path, tmp_path: Path) -> None:
    alone = tmp_path / path.name
    alone.write_bytes(path.read_bytes())
    with pytest.raises(ArtefactError) as raised:
        open_artefact(alone)
    assert str(raised.value) == (
        f"{alone}: its card ({path.name}.json) is missing, so nothing shows that the file is undamaged. "
        "Copy the card from where the model came from, or run cifar-export again."
    )


@pytest.mark.parametrize("path", KEPT, ids=name)
def test_without_its_card_beside_its_contract_gives_its_golden_scores(
    path: Path, tmp_path: Path
) -> None:
    card = json.loads(card_path(path).read_text())
    alone, contract = tmp_path / path.name, tmp_path / "contract.json"
    alone.write_bytes(path.read_bytes())
    contract.write_text(json.dumps(card["contract"]))
    golden = golden_from_card(card)
    found = Classifier(alone, contract=contract).scores(golden.images)
    np.testing.assert_allclose(found, golden.scores, rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("path", KEPT, ids=name)
def test_a_kept_artefact_would_be_written_the_same_today(path: Path) -> None:
    """Its golden vectors read and written, its document put into the converter's bytes again: not a byte differs."""
    artefact = open_artefact(path)
    golden = golden_from_card(artefact.card).to_json()
    document = document_of_card({**artefact.card, "golden_vectors": golden})
    data, card = sealed(converted_bytes(artefact), artefact.format, document)
    assert data == path.read_bytes()
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    assert text.encode() == card_path(path).read_bytes()


def converted_bytes(artefact: Artefact) -> bytes:
    """What the converter wrote: a .tflite has the document before it, an .onnx after it."""
    if artefact.format == "tflite":
        return artefact.data[artefact.data.index(b"TFL3", 8) - 4 :]
    entry = metadata_entry(artefact.data, NAME)
    assert entry is not None
    return artefact.data.removesuffix(with_metadata_entry(b"", NAME, bytes(entry)))
