"""The report on every export of a checkpoint: it survives JSON, fits its schema, and draws README's table."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from cifar_bench.results.report import Report
from cifar_eval.models.protocols import ModelFile
from cifar_eval.parity.counts import Parity
from cifar_eval.parity.limits import Limits
from cifar_maintain import readme
from cifar_maintain.tables.matrix_report import (
    MatrixEntry,
    MatrixReport,
    RefusedPair,
    markdown_matrix,
    matrix_from_text,
)
from cifar_runtime.errors import InputError


def entry(file: str, precision: str, *, agreeing: int, lost: int, limit: float) -> MatrixEntry:
    return MatrixEntry(
        model_file=ModelFile(
            file=file,
            format="onnx" if file.endswith(".onnx") else "tflite",
            size_bytes=397_432,
            sha256="ab" * 32,
        ),
        precision=precision,
        parity=Parity(
            reference_correct=8200,
            candidate_correct=8200 - lost,
            agreeing=agreeing,
            flips_to_wrong=lost,
            flips_to_right=0,
            seen=10_000,
            max_score_error=0.0 if agreeing == 10_000 else 0.125,
            mean_score_error=0.0,
            sqnr_db=None if agreeing == 10_000 else 31.25,
        ),
        limits=Limits(max_accuracy_drop=0.005, min_agreement=limit),
        training={"backend": "keras"} if precision.endswith("--qat") else None,
        tools={"keras": "3.15.1"},
    )


@pytest.fixture
def matrix(report: Report) -> MatrixReport:
    return MatrixReport(
        environment=report.environment,
        checkpoint=ModelFile(
            file="seed-cnn.keras", format="keras", size_bytes=1_580_828, sha256="cd" * 32
        ),
        split="test",
        entries=(
            entry("s-float32.tflite", "none", agreeing=10_000, lost=0, limit=0.999),
            entry("s-int8.tflite", "int8", agreeing=9_600, lost=100, limit=0.97),
            entry("s-int8-qat.onnx", "int8 --qat", agreeing=9_900, lost=5, limit=0.97),
        ),
        refused=(RefusedPair(format="onnx", precision="int16x8", reason="no kernels."),),
    )


def test_the_table_has_every_pair_and_says_how_it_was_judged(matrix: MatrixReport) -> None:
    lines = markdown_matrix(matrix).splitlines()
    # The Tango interval of 100, 5 and 0 lost of 10,000, by an independent bisection of its score equation.
    assert lines[2:] == [
        "| tflite | none | 397,432 | 82.00 | 0.00 (-0.04 to 0.04) | 100.00 | 0 | 0 | exact | pass |",
        "| tflite | int8 | 397,432 | 81.00 | 1.00 (0.82 to 1.21) | 96.00 | 100 | 0 | 31.2 | "
        "FAIL: accuracy drop, agreement |",
        "| onnx | int8 --qat | 397,432 | 81.95 | 0.05 (0.01 to 0.12) | 99.00 | 5 | 0 | 31.2 | pass |",
        "| onnx | int16x8 | - | - | - | - | - | - | - | refused |",
        "",
        "Against seed-cnn.keras, 82.00 % of 10,000 images of test; lost and gained: turned wrong, turned "
        "right. Limits: drop 0.50 points, judged at the upper end of its paired 95 % interval; agreement "
        "97.00 %, 99.90 % for none. onnx int16x8: no kernels. Versions: keras 3.15.1.",
    ]


def test_a_training_that_kept_its_start_says_so(matrix: MatrixReport) -> None:
    *others, trained = matrix.entries
    said = "onnx int8 --qat kept the prepared start: no trained state was nearer."
    for step, is_said in ((0, True), (25, False)):
        entries = (*others, replace(trained, training={"kept_step": step}))
        assert (said in markdown_matrix(replace(matrix, entries=entries))) == is_said


def test_a_report_survives_json(matrix: MatrixReport) -> None:
    assert matrix_from_text(matrix.to_text(), origin="m.json") == matrix


def test_an_edited_figure_does_not_survive(matrix: MatrixReport) -> None:
    document = json.loads(matrix.to_text())
    document["artefacts"][1]["passed"] = True
    document["artefacts"][1]["parity"]["agreement"] = 1.0
    assert matrix_from_text(json.dumps(document), origin="m.json") == matrix
    document["artefacts"][1]["parity"]["candidate_correct"] = 8200
    with pytest.raises(InputError, match=r"m\.json: is not a matrix report"):
        matrix_from_text(json.dumps(document), origin="m.json")


def test_the_document_fits_its_schema(matrix: MatrixReport) -> None:
    jsonschema, referencing = pytest.importorskip("jsonschema"), pytest.importorskip("referencing")
    schemas: dict[str, Any] = {
        name: json.loads((resources.files(package) / "schemas" / f"{name}.schema.json").read_text())
        for package, name in (("cifar_maintain", "matrix"), ("cifar_eval", "parity"))
    }
    registry = referencing.Registry().with_resources(
        (schema["$id"], referencing.Resource.from_contents(schema)) for schema in schemas.values()
    )
    validator = jsonschema.Draft202012Validator(schemas["matrix"], registry=registry)
    document = json.loads(matrix.to_text())
    validator.validate(document)
    for place, wrong in (("schema", "cifar-edge/matrix/2"), ("artefacts", []), ("surprise", 1)):
        assert not validator.is_valid({**document, place: wrong})


def test_readme_draws_it(matrix: MatrixReport, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("<!-- table: matrix -->\n<!-- /table -->\n")
    (tmp_path / "matrix.json").write_text(matrix.to_text())
    assert readme.main([str(page), "--reports", str(tmp_path)]) == 0
    assert markdown_matrix(matrix) in page.read_text()
