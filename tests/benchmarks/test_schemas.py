"""What the commands write is what their shipped JSON Schema files describe, and nothing more."""

import copy
import json
import subprocess
import sysconfig
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from cifar_bench.results.report import Report
from cifar_runtime.certificates.certify import certify
from cifar_runtime.classifier import default_model

jsonschema = pytest.importorskip("jsonschema")
SCRIPTS = Path(sysconfig.get_path("scripts"))


def validator(name: str) -> Any:
    package = "cifar_bench" if name == "bench" else "cifar_eval"
    text = (resources.files(package) / "schemas" / f"{name}.schema.json").read_text()
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def written(command: str, *arguments: str | Path) -> dict[str, Any]:
    ended = subprocess.run(
        [SCRIPTS / command, *map(str, arguments), "--json", "-q"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in (0, 5), ended.stderr
    return json.loads(ended.stdout)  # type: ignore[no-any-return]


def test_bench_reports_follow_their_schema(report: Report, tiny_onnx: Path) -> None:
    validator("bench").validate(json.loads(report.to_text()))
    few = ["--limit", "20", "--runs", "10", "--max-seconds", "0", "--cold-starts", "1"]
    real = written("cifar-bench", tiny_onnx, *few, "--profile")
    validator("bench").validate(real)
    assert real["models"][0]["cold_start"]["median_ns"] > 0
    assert real["models"][0]["preprocessing"]["picture_size"] == [320, 320]


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ((), "extra", 1),
        ((), "date", "yesterday"),
        (("models", 0), "file", "models/net.keras"),
        (("models", 0, "latency"), "samples_ns", [1, 2]),
        (("models", 0, "accuracy"), "confidence_bins", []),
        (("models", 2, "flips", 0), "position", -1),
        (("roofline", "ceilings", 0), "precision", "int16"),
    ],
)
def test_the_schema_refuses_what_is_not_a_bench_report(
    report: Report, place: tuple[Any, ...], key: str, value: Any
) -> None:
    document = json.loads(report.to_text())
    part: Any = document
    for step in place:
        part = part[step]
    part[key] = value
    with pytest.raises(jsonschema.ValidationError):
        validator("bench").validate(document)


@pytest.mark.parametrize("limit", ["0", "1"])
def test_parity_reports_follow_their_schema_with_layers_and_without(
    exports: Path, limit: str
) -> None:
    models = [exports / name for name in ("net.keras", "net-float32.tflite", "net-int8.tflite")]
    gates = ["--max-accuracy-drop", "1", "--min-agreement", "0", "--min-accuracy", limit]
    document = written("cifar-parity", *models, *gates, "--limit", "50")
    validator("parity").validate(document)
    assert document["passed"] == (limit == "0")
    layers = [candidate["layers"] for candidate in document["candidates"]]
    assert [one is None for one in layers] == [limit == "0"] * 2
    if limit == "1":
        assert layers[0]["reason"] == "it is float32: there is no quantization error to find."
        assert len(layers[1]["errors"]["layers"]) == 5


def test_a_comparison_of_certificates_follows_its_schema(tmp_path: Path) -> None:
    model = default_model("tflite")
    certificate = certify(model, layers=True).to_json()
    path = tmp_path / "a.json"
    path.write_text(json.dumps(certificate))
    document = written("cifar-parity", "--certificates", path, path, "--layers")
    validator("certificate-comparison").validate(document)
    assert document["operators"]["same_before"] == document["operators"]["compared"] > 0
    for change in ({"machines": []}, {"passed": 1}, {"extra": 1}):
        assert not validator("certificate-comparison").is_valid({**document, **change})


@pytest.fixture(scope="module")
def parity_report(tiny_onnx: Path) -> dict[str, Any]:
    return written("cifar-parity", tiny_onnx, tiny_onnx, "--limit", "10")


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ((), "extra", 1),
        ((), "schema", "cifar-edge/parity/2"),
        (("split",), "num_images", 0),
        (("reference",), "file", "models/net.keras"),
        (("reference",), "sha256", "short"),
        (("limits",), "min_agreement", 97),
        (("candidates", 0, "parity"), "agreement", 1.5),
        (("candidates", 0, "gates", 0), "basis", "guess"),
    ],
)
def test_the_schema_refuses_what_is_not_a_parity_report(
    parity_report: dict[str, Any], place: tuple[Any, ...], key: str, value: Any
) -> None:
    validator("parity").validate(parity_report)
    document = copy.deepcopy(parity_report)
    part: Any = document
    for step in place:
        part = part[step]
    part[key] = value
    with pytest.raises(jsonschema.ValidationError):
        validator("parity").validate(document)
