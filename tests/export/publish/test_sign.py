"""A signature covers model, card and verdict: a change of any, another key, or another model's signature is refused."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cifar_export.commands.export import main as export_main
from cifar_export.publish.sign import sign_artefact, verdict_statement
from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import default_model
from cifar_runtime.commands.info import main
from cifar_runtime.errors import ArtefactError, InputError, MissingDependencyError
from cifar_runtime.inspection.signature import verify_signature

needs_signing = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the keys")


def make_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """A private and a public key, by openssl."""
    private, public = folder / f"{name}.pem", folder / f"{name}-public.pem"
    made = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private)]
    subprocess.run(made, check=True)
    derived = ["openssl", "ec", "-in", str(private), "-pubout", "-out", str(public)]
    subprocess.run(derived, check=True, capture_output=True)
    return private, public


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    """A signed copy of the packaged model, and the public key."""
    pytest.importorskip("model_signing", reason="pip install model-signing: --sign uses it")
    packaged = default_model("tflite")
    model = Path(shutil.copy(packaged, tmp_path))
    shutil.copy(f"{packaged}.json", tmp_path)
    private, public = make_keys(tmp_path, "key")
    sign_artefact(model, private)
    return model, public


@needs_signing
def test_what_was_signed_verifies_in_another_folder(
    signed: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, public = signed
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in tmp_path.glob(f"{model.name}*"):
        shutil.copy(path, moved)
    (moved / "other.txt").write_text("unsigned")
    assert main([str(moved / model.name), "--verify-signature", str(public)]) == 0
    assert capsys.readouterr().err == (
        f"cifar-info: key-public.pem signed {model.name}, {model.name}.intoto.json, {model.name}.json\n"
    )


@needs_signing
@pytest.mark.parametrize("suffix", ["", ".json", ".intoto.json", ".sig"])
def test_a_change_of_any_file_is_refused(signed: tuple[Path, Path], suffix: str) -> None:
    model, public = signed
    path = model.with_name(model.name + suffix)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtefactError, match=r"its signature does not hold for key-public\.pem: "):
        verify_signature(model, public)


@needs_signing
def test_another_key_is_refused(signed: tuple[Path, Path], tmp_path: Path) -> None:
    _, other = make_keys(tmp_path, "other")
    with pytest.raises(ArtefactError, match=r"does not hold for other-public\.pem"):
        verify_signature(signed[0], other)


@needs_signing
def test_the_signature_of_another_model_is_refused(signed: tuple[Path, Path]) -> None:
    model, public = signed
    other = model.with_name("other.tflite")
    shutil.copy(default_model("tflite"), other)
    shutil.copy(f"{model}.sig", f"{other}.sig")
    with pytest.raises(
        ArtefactError, match=r"expected other\.tflite and other\.tflite\.json among"
    ):
        verify_signature(other, public)


@needs_signing
def test_a_model_without_a_signature_is_refused(signed: tuple[Path, Path]) -> None:
    model, public = signed
    Path(f"{model}.sig").unlink()
    assert main([str(model), "--verify-signature", str(public)]) == 4


@needs_signing
def test_a_key_that_is_none_is_an_input_error(signed: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pem: is not there"):
        verify_signature(signed[0], tmp_path / "none.pem")
    (tmp_path / "text.pem").write_text("no key")
    with pytest.raises(InputError, match=r"text\.pem: cannot sign: "):
        sign_artefact(signed[0], tmp_path / "text.pem")
    assert export_main(["--sign", str(tmp_path / "none.pem"), "-o", str(tmp_path / "out")]) == 3
    assert not (tmp_path / "out").exists()


def test_without_model_signing_the_message_is_the_pip_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"'\.\[sign\]'"):
        verify_signature(default_model("tflite"), tmp_path / "key.pem")


def test_the_verdict_is_an_in_toto_test_result() -> None:
    artefact = open_artefact(default_model("tflite"))
    statement = verdict_statement(artefact.card, "m.tflite", artefact.sha256)
    assert statement["subject"] == [{"name": "m.tflite", "digest": {"sha256": artefact.sha256}}]
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    predicate = statement["predicate"]
    assert predicate["result"] == "PASSED"
    assert predicate["passedTests"] == [
        f"{name} on 10000 images of test" for name in ("accuracy_drop", "agreement")
    ]
    failed = verdict_statement({}, "m.tflite", artefact.sha256)
    assert failed["predicate"]["result"] == "FAILED"
