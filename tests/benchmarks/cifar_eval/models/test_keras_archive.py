"""A damaged ``.keras`` archive is refused in words, whatever zipfile and json raise on it. No keras is imported."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from cifar_eval.models.keras_archive import read_checkpoint, refuse_custom_objects
from cifar_runtime.errors import ArtefactError


@pytest.fixture
def archive() -> bytes:
    """What keras writes, but for the weights."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as stored:
        stored.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        stored.writestr(
            "config.json", json.dumps({"class_name": "Dense", "module": "keras", "config": {}})
        )
    return stream.getvalue()


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_read_or_refused(archive: bytes, mask: int, tmp_path: Path) -> None:
    path, refused = tmp_path / "model.keras", 0
    for position in range(len(archive)):
        damaged = bytearray(archive)
        damaged[position] ^= mask
        path.write_bytes(damaged)
        try:
            refuse_custom_objects(read_checkpoint(path), path=path)
        except ArtefactError:
            refused += 1
    assert refused > 50


def test_a_cut_archive_is_refused(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    for length in range(len(archive)):
        path.write_bytes(archive[:length])
        with pytest.raises(ArtefactError, match="is not a Keras archive"):
            read_checkpoint(path)


def test_an_encrypted_member_is_refused(archive: bytes, tmp_path: Path) -> None:
    """Zipfile raises RuntimeError and asks for a password."""
    damaged = bytearray(archive)
    at = damaged.rindex(b"PK\x01\x02") + 8
    damaged[at] |= 1
    path = tmp_path / "model.keras"
    path.write_bytes(damaged)
    with pytest.raises(ArtefactError) as caught:
        refuse_custom_objects(read_checkpoint(path), path=path)
    assert str(caught.value) == (
        f"{path}: has no readable config.json: File 'config.json' is encrypted, password required "
        "for extraction. Save the model again."
    )
