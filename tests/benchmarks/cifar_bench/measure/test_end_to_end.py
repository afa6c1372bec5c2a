"""Classifying is compared with bare code that answers the same, and a missed limit is exit code 5."""

import json
import os
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_bench.commands.bench import main, parse
from cifar_bench.measure import end_to_end
from cifar_bench.measure.end_to_end import (
    BareLoop,
    Comparison,
    compare_end_to_end,
    end_to_end_document,
)
from cifar_bench.tables.end_to_end import end_to_end_markdown
from cifar_data import packaged
from cifar_runtime.classifier import Classifier, default_model
from cifar_runtime.errors import InputError, UsageError

pytest.importorskip("ai_edge_litert")
pytest.importorskip("onnxruntime")
jsonschema = pytest.importorskip("jsonschema")

TABLE = """\
              us    bare us      ratio       goal      limit
array          5          4       1.25       1.25       1.25
start      1,210      1,000       1.21       1.00       1.20  missed
"""


def comparison(what: str, ours_ns: int, bare_ns: int, goal: float, limit: float) -> Comparison:
    return Comparison(what=what, ours_ns=ours_ns, bare_ns=bare_ns, goal=goal, limit=limit)


def test_the_bare_code_answers_as_the_classifier_does(tmp_path: Path) -> None:
    classifier = Classifier(default_model("tflite"))
    bare = BareLoop(classifier)
    for number, pixels in enumerate(packaged.test_sample().images[:8]):
        assert bare.array(pixels) == classifier.classify(pixels).index
        for size, suffix in (((32, 32), "png"), ((90, 70), "jpg")):
            path = tmp_path / f"{number}.{suffix}"
            Image.fromarray(np.asarray(pixels)).resize(size).save(path)
            assert bare.file(path) == classifier.classify(path).index


def test_each_way_is_compared(tmp_path: Path) -> None:
    # The packaged int8 file stands for the float32 one, which is not in the package.
    compared = compare_end_to_end(tmp_path, runs=2, starts=1, float32=default_model("onnx"))
    assert [one.what for one in compared if "processes" not in one.what] == [
        *("array", "batch of 64 arrays", "32x32 PNG", "640x480 JPEG", "4000x3000 JPEG"),
        *("4000x3000 JPEG, reduced", "onnxruntime, int8 beside float32", "start"),
    ]
    assert any(one.what == "2 processes beside one" for one in compared) == (
        (os.cpu_count() or 1) > 1
    )
    assert all(min(one.ours_ns, one.bare_ns) > 0 for one in compared)
    document = json.loads(json.dumps(end_to_end_document(compared)))
    schema = json.loads(
        (resources.files("cifar_bench") / "schemas" / "end-to-end.schema.json").read_text()
    )
    jsonschema.validate(document, schema)
    table = end_to_end_markdown(json.dumps(document), origin="x").splitlines()
    assert len(table) == len(compared) + 4
    assert table[2].startswith(f"| array | {compared[0].ours_ns / 1000:,.0f} |")


def test_the_table_is_printed_and_a_missed_limit_is_5(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compared = [comparison("array", 5000, 4000, 1.25, 1.25)]
    monkeypatch.setattr(end_to_end, "compare_end_to_end", lambda *_, **__: compared)
    assert main(["--end-to-end"]) == 0
    capsys.readouterr()
    compared.append(comparison("start", 1_210_000, 1_000_000, 1.0, 1.2))
    assert main(["--end-to-end"]) == 5
    assert capsys.readouterr().out == TABLE


@pytest.mark.parametrize(
    "line", ["--quick", "a.tflite", "a.onnx b.onnx", "--csv x.csv", "a.onnx --against b.keras"]
)
def test_nothing_else_is_measured_with_it(line: str) -> None:
    with pytest.raises(UsageError, match="--end-to-end measures the packaged models and nothing"):
        parse(["--end-to-end", *line.split()])


def test_a_report_and_a_float32_file_go_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compared = (comparison("array", 5000, 4000, 1.25, 1.25),)
    given: list[Path | None] = []

    def compare(*_: object, float32: Path | None, **__: object) -> tuple[Comparison, ...]:
        given.append(float32)
        return compared

    monkeypatch.setattr(end_to_end, "compare_end_to_end", compare)
    path = tmp_path / "report.json"
    assert main(["--end-to-end", "edge-s-float32.onnx", "--json", str(path)]) == 0
    assert capsys.readouterr().out == TABLE[: TABLE.index("start")].replace(
        "array     ", "array     "
    )
    assert main(["--end-to-end", "--json"]) == 0
    assert (
        json.loads(capsys.readouterr().out)["compared"] == json.loads(path.read_text())["compared"]
    )
    assert given == [Path("edge-s-float32.onnx"), None]


def test_another_document_is_no_such_table() -> None:
    with pytest.raises(InputError, match=r"x.json: is no cifar-edge/end-to-end/1 document"):
        end_to_end_markdown("{}", origin="x.json")
