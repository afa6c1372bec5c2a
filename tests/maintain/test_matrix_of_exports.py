"""Every export of one checkpoint in one report: real exports of a small checkpoint, for a smaller matrix."""

import json
from pathlib import Path

import numpy as np
import pytest
from cifar_fixtures.recipes import changed, export_recipe

from cifar_data import packaged
from cifar_export.qat.task import QatData
from cifar_export.recipe import RUNNABLE, ExportRecipe, QatRecipe
from cifar_export.result import ExportConflictError
from cifar_export.stages import prepared
from cifar_maintain import matrix
from cifar_maintain.matrix import export_matrix, main
from cifar_maintain.tables.matrix_report import MatrixReport, matrix_from_text
from cifar_runtime.artefact import open_artefact


def recipe(checkpoint: Path, output: Path) -> ExportRecipe:
    return export_recipe(
        checkpoint=checkpoint,
        output=output,
        calibration_samples=64,
        eval_split="test-sample",
        max_accuracy_drop=0.02,
        min_agreement=0.999,  # float32 passes, int8 of a small network does not
        force=True,
    )


def test_the_parts_are_the_whole_matrix(tmp_path: Path) -> None:
    parts = matrix._parts(recipe(Path("m.keras"), tmp_path), QatRecipe())
    pairs = [(*pair, part.qat is not None) for part in parts for pair in part.pairs]
    assert len(pairs) == len(set(pairs)) == 15
    plain = {(fmt, precision, False) for fmt, all_ in RUNNABLE.items() for precision in all_}
    assert set(pairs) == plain | {("tflite", "int8", True), ("onnx", "int8", True)}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matrix")


@pytest.fixture(scope="module")
def report(checkpoint: Path, output: Path) -> MatrixReport:
    images = np.asarray(packaged.calibration_sample().images)
    data = QatData(train=images[:128], validation=images[128:192])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrix, "RUNNABLE", {"tflite": ("none", "int8"), "onnx": ("none",)})
        patch.setattr(prepared, "qat_data", lambda: data)
        return export_matrix(recipe(checkpoint, output), qat=QatRecipe(batch_size=32))


def test_every_export_is_in_the_report_whatever_its_verdict(
    report: MatrixReport, output: Path
) -> None:
    found = [(entry.model_file.file, entry.precision) for entry in report.entries]
    assert found == [
        ("small-float32.tflite", "none"),
        ("small-int8.tflite", "int8"),
        ("small-int8-qat.tflite", "int8 --qat"),
        ("small-float32.onnx", "none"),
        ("small-int8-qat.onnx", "int8 --qat"),
    ]
    assert (report.split, report.seen) == ("test-sample", 1000)
    for entry in report.entries:
        path = output / entry.model_file.file
        assert path.exists() == entry.passed
        assert path.with_name(f"{path.name}.failed.parity.json").exists() != entry.passed
        assert (entry.training is not None) == entry.precision.endswith("--qat")
        if entry.passed:
            artefact = open_artefact(path)
            assert entry.model_file.size_bytes == len(artefact.data)
            assert entry.model_file.sha256 == artefact.sha256
    assert {entry.passed for entry in report.entries} == {True, False}


def test_an_artefact_in_the_way_is_an_error_although_a_gate_failed_as_well(
    checkpoint: Path, tmp_path: Path
) -> None:
    """It has no verdict of this run: its document would be missing, or another run's."""
    target = tmp_path / "small-float32.tflite"
    target.write_bytes(b"precious")
    asked = changed(recipe(checkpoint, tmp_path), quantize=("none", "int8"), force=False)
    with pytest.raises(ExportConflictError) as caught:
        matrix._exported(asked, None)
    assert str(caught.value) == (
        f"{target}: a different artefact is there already, and was kept. Export with force, into another "
        "folder, or on other calibration images."
    )
    assert [failure.reason for failure in caught.value.failures] == ["different artefact", "gate"]
    assert target.read_bytes() == b"precious"


def test_the_refused_pair_has_its_reason(report: MatrixReport) -> None:
    (pair,) = report.refused
    assert (pair.format, pair.precision) == ("onnx", "int16x8")
    assert pair.reason == (
        "onnxruntime has no CPU kernels for 16-bit activations with 8-bit weights."
    )


def test_the_command_writes_the_report_prints_the_table_and_fails_with_the_gate(
    report: MatrixReport,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(matrix, "export_matrix", lambda *_, **__: report)
    target = tmp_path / "matrix.json"
    assert main(["m.keras", "-o", str(tmp_path), "--json", str(target)]) == 5
    assert capsys.readouterr().out.startswith("| format | precision | bytes |")
    assert matrix_from_text(target.read_text(), origin="matrix.json") == report
    assert main(["m.keras", "-o", str(tmp_path), "--json"]) == 5
    assert json.loads(capsys.readouterr().out) == json.loads(report.to_text())
