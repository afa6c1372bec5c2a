"""The boards' tables say what the report holds, beside TensorFlow Lite Micro's figures; no board boots here."""

import json
from pathlib import Path
from typing import Any

import pytest

import cifar_maintain
from cifar_maintain.boards import boards_table, parse
from cifar_runtime.errors import InputError, UsageError

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "benchmarks" / "reports" / "boards.json"
SCHEMA = Path(cifar_maintain.__file__).parent / "schemas" / "boards.schema.json"


def boot(board: str, instructions: int) -> dict[str, Any]:
    return {
        "board": board,
        "text_bytes": 6_000,
        "rodata_bytes": 130_000,
        "ram_bytes": 30_400,
        "stack_bytes": 400 if board == "m55" else 300,
        "instructions": instructions,
    }


@pytest.fixture
def document() -> dict[str, Any]:
    model = {
        "name": "edge-s-int8",
        "input_shape": [32, 32, 3],
        "constant_bytes": 108_136,
        "golden_bytes": 24_656,
        "arena_bytes": 30_400,
        "tflm_arena_bytes": 45_680,
        "boots": [boot("m3", 30_540_000), boot("m7", 23_900_000), boot("m55", 5_100_000)],
    }
    return {"schema": "cifar-edge/boards/1", "models": [model]}


def test_a_network_has_a_row(document: dict[str, Any]) -> None:
    lines = boards_table(json.dumps(document), "networks", origin="b.json").splitlines()
    assert lines[2] == (
        "| `edge-s-int8` | 32x32 | 6,000 | 108,136 | 30,400 | 45,680 | 400 | 30.5 M | 23.9 M | 5.1 M |"
    )
    assert len(lines) == 3


def test_edge_s_stands_beside_tensorflow_lite_micro(document: dict[str, Any]) -> None:
    lines = boards_table(json.dumps(document), "tflm", origin="b.json").splitlines()
    # 292,008 bytes of text without 99,488 of weights and 48,451 of our card.
    assert lines[2] == "| Cortex-M3 | TFLM, reference | 144 kB | 43,940 | 95.7 M |"
    # 6,000 + 130,000 - 24,656 - 99,488 = 11,856.
    assert lines[3] == "|  | **`cifar-export --format c`** | **12 kB** | **30,400** | **30.5 M** |"
    assert len(lines) == 8
    rows = boards_table(json.dumps(document), "beside-tflm", origin="b.json").splitlines()
    assert rows[2] == "| Cortex-M3 | 12 kB | 144 kB | 30,400 | 43,940 | 30.5 M | 95.7 M |"
    assert len(rows) == 5


@pytest.mark.parametrize("text", ["{", "{}", '{"models": [{"name": "edge-s-int8"}]}'])
@pytest.mark.parametrize("name", ["networks", "tflm", "beside-tflm"])
def test_another_document_is_refused(text: str, name: str) -> None:
    with pytest.raises(InputError, match=r"^b\.json: is no cifar-edge/boards/1 document"):
        boards_table(text, name, origin="b.json")


def test_an_unknown_table_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="One of: networks, tflm, beside-tflm"):
        boards_table(json.dumps(document), "flash", origin="b.json")


def test_the_committed_report_follows_its_schema_and_keeps_the_goals() -> None:
    """Issue 21's: instructions at most half of TFLM's reference kernels on M3, within 1.3 of CMSIS-NN's on M7."""
    jsonschema = pytest.importorskip("jsonschema")
    report = json.loads(REPORT.read_text())
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(report)
    models = {model["name"]: model for model in report["models"]}
    assert set(models) == {
        f"{name}-int8" for name in ("edge-xs", "edge-s", "resnet8", "seed-cnn", "mobilenet")
    }
    m3, m7, _ = models["edge-s-int8"]["boots"]
    assert m3["instructions"] <= 95_700_000 / 2
    assert m7["instructions"] <= 1.3 * 25_400_000
    for model in models.values():
        assert model["arena_bytes"] <= model["tflm_arena_bytes"]
        assert all(one["text_bytes"] < 40_000 for one in model["boots"])


def test_a_report_goes_into_a_json_file() -> None:
    assert parse(["m.tflite"]).json == "benchmarks/reports/boards.json"
    with pytest.raises(UsageError):
        parse(["m.tflite", "--json", "m.tflite"])
