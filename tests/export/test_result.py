"""What an export says when some artefacts were published and others were not."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cifar_eval.parity.gate import Gate
from cifar_export import deliver, pipeline
from cifar_export.commands import export
from cifar_export.result import ExportFailure, ExportResult
from cifar_runtime.documents import to_document
from cifar_runtime.errors import (
    ArtefactError,
    CifarEdgeError,
    GateError,
    InputError,
    MissingDependencyError,
)

GATE = Gate(name="agreement", value=0.9, limit=0.97, passed=False, passing_limit=0.9)


def result(name: str) -> ExportResult:
    return ExportResult(
        path=Path("out") / name,
        name=Path(name).stem,
        size_bytes=7,
        sha256="00",
        accuracy=0.5,
        accuracy_drop=0.0,
        agreement=1.0,
        split="test-sample",
        num_images=1000,
    )


def failure(name: str, reason: Any) -> ExportFailure:
    return ExportFailure(
        name=name,
        quantize="fp16",
        reason=reason,
        sentence=f"{name}: {reason}",
        split="test-sample",
        num_images=1000,
        gates=(to_document(GATE),),
        layers=None,
    )


OUTCOMES = {
    "none": failure("net-float32.tflite", "different artefact"),
    "fp16": failure("net-fp16.tflite", "gate"),
    "dynamic": result("net-dynamic.tflite"),
    "int8": result("net-int8.tflite"),
}


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports end as ``OUTCOMES`` says, without a checkpoint."""

    def open_source(recipe: Any, _progress: Any) -> Any:
        return SimpleNamespace(
            recipe=recipe,
            checkpoint=None,
            pictures=None,
            split=None,
            reference=None,
            judge=SimpleNamespace(threshold=None),
        )

    monkeypatch.setattr(pipeline, "open_source", open_source)
    monkeypatch.setattr(pipeline, "ready_models", lambda *_: dict.fromkeys(OUTCOMES))
    monkeypatch.setattr(pipeline, "_export_one", lambda _request, key, *_: OUTCOMES[key[1]])


def run(folder: Path, pairs: str, *options: str) -> int:
    return export.main(["net.keras", "-o", str(folder), "--quantize", pairs, "-q", *options])


@pytest.mark.usefixtures("outcomes")
@pytest.mark.parametrize(
    ("pairs", "code", "says"),
    [
        (
            "none,dynamic",
            4,
            "net-float32.tflite: different artefact. Give --force to replace it, or another -o DIR.",
        ),
        (
            "none,fp16,dynamic",
            5,
            "net-float32.tflite: different artefact; net-fp16.tflite: gate; not published. Export another "
            "precision, or accept it by --max-accuracy-drop and --min-agreement.",
        ),
    ],
)
def test_what_was_published_is_printed_and_a_failed_gate_decides_the_code(
    pairs: str, code: int, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, pairs) == code
    out, err = capfd.readouterr()
    assert out.startswith("out/net-dynamic.tflite  7 bytes  top-1 50.00%")
    assert err == f"cifar-export: {says}\n"


@pytest.mark.usefixtures("outcomes")
def test_json_of_a_failed_export_holds_results_gates_and_the_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "fp16,dynamic", "--json") == 5
    out, err = capfd.readouterr()
    document = json.loads(out)
    assert (document["schema"], err) == ("cifar-edge/export/1", "")
    assert [artefact["name"] for artefact in document["artefacts"]] == ["net-dynamic"]
    (failed,) = document["failures"]
    assert (failed["name"], failed["reason"]) == ("net-fp16.tflite", "gate")
    assert failed["gates"] == [to_document(GATE)]
    assert (document["error"]["code"], document["error"]["exit_code"]) == ("gate", 5)

    target = tmp_path / "result.json"
    assert run(tmp_path, "fp16,dynamic", "--json", str(target)) == 5
    out, err = capfd.readouterr()
    assert json.loads(target.read_text()) == document
    assert out.startswith("out/net-dynamic.tflite")
    assert err.startswith("cifar-export: net-fp16.tflite: gate; not published.")


@pytest.mark.usefixtures("outcomes")
@pytest.mark.parametrize(
    ("error", "pairs", "ends"),
    [
        (
            ArtefactError("net-int8.tflite: has a GATHER.", hint="Replace it."),
            "int8",
            (
                4,
                "out/net-int8.tflite was published, but net-int8-c was not written: net-int8.tflite: has a GATHER. "
                "Replace it.",
            ),
        ),
        (
            GateError("net-int8.tflite as firmware: failed.", hint="Export it with --qat."),
            "int8",
            (
                5,
                "out/net-int8.tflite was published, but net-int8-c was not written: net-int8.tflite as firmware: "
                "failed. Export it with --qat.",
            ),
        ),
        (
            InputError("npm: is offline.", hint="Connect it."),
            "dynamic,int8",
            (
                3,
                "out/net-int8.tflite was published, but net-int8-c was not written: npm: is offline. Connect it.",
            ),
        ),
        (
            MissingDependencyError("no tflite-micro.", hint="pip install it."),
            "int8",
            (
                6,
                "out/net-int8.tflite was published, but net-int8-c was not written: no tflite-micro. pip install it.",
            ),
        ),
        (
            ArtefactError("has a GATHER.", hint="Replace it."),
            "fp16,int8",
            (
                5,
                "net-fp16.tflite: gate; not published. out/net-int8.tflite was published, but net-int8-c was not "
                "written: has a GATHER (Replace it). Export another precision, or accept it by --max-accuracy-drop and "
                "--min-agreement.",
            ),
        ),
    ],
)
def test_a_folder_that_cannot_be_written_hides_neither_results_nor_failures(
    error: CifarEdgeError,
    pairs: str,
    ends: tuple[int, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise error

    code, says = ends
    monkeypatch.setattr(deliver, "_written", refuse)
    assert run(tmp_path, pairs, "--format", "tflite,c") == code
    out, err = capfd.readouterr()
    assert "out/net-int8.tflite  7 bytes" in out
    assert err == f"cifar-export: {says}\n"
    assert run(tmp_path, pairs, "--format", "tflite,c", "--json") == code
    document = json.loads(capfd.readouterr().out)
    assert document["failures"][-1]["reason"] == "cannot be delivered"
