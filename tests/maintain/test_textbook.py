"""README's table of the usual conversion: three ways, same images, as counts that the shares follow from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cifar_maintain
from cifar_data.packaged import test_sample as packaged_sample
from cifar_maintain.textbook import int8_decisions, parse, textbook_table
from cifar_runtime import Classifier
from cifar_runtime.classifier import default_model
from cifar_runtime.errors import InputError, UsageError

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "benchmarks" / "reports" / "textbook.json"


def document(*rows: tuple[str, int, int, int]) -> dict[str, Any]:
    names = ("name", "size_bytes", "correct", "agreeing")
    models = [{**dict(zip(names, row, strict=True)), "seen": 400} for row in rows]
    split = {"name": "test-sample", "num_images": 400}
    return {"checkpoint": {"file": "net.keras"}, "split": split, "models": models}


def test_the_table_shows_shares_with_their_intervals() -> None:
    counts = document(
        ("keras", 2000, 300, 400), ("textbook", 500, 40, 60), ("cifar-export", 510, 299, 390)
    )
    lines = textbook_table(json.dumps(counts), origin="t.json").splitlines()
    # Wilson's interval of 300 in 400, z = 1.959964: 0.747622 plus or minus 0.042299.
    assert lines[2] == "| the Keras model, float32 | 75.00 (70.53 to 78.99) | - | 2,000 |"
    assert lines[3].startswith("| `tf.lite.TFLiteConverter`, int8 | 10.00 (")
    assert lines[3].endswith(" | 15.00 | 500 |")
    assert lines[4].endswith(" | 97.50 | 510 |")
    assert lines[-1].startswith("`models/net.keras`, 400 images of CIFAR-10's test-sample split.")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": [{"name": "keras"}]}'])
def test_what_is_no_such_report_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match=r"t\.json: is no cifar-edge/textbook/1 document"):
        textbook_table(text, origin="t.json")


def test_a_file_is_fed_by_its_own_scale_as_the_runtime_feeds_it() -> None:
    images = np.asarray(packaged_sample().images)[::20]
    model = default_model("tflite")
    taken = Classifier(model).artefact.contract.input
    # The packaged model takes pixel - 128: its scale and zero point are of what the network takes after its Rescaling.
    whole = np.round((images * taken.multiplier + taken.offset) / taken.scale) + taken.zero_point
    assert np.array_equal(whole, images.astype(np.int64) - 128)
    shifted = (images * np.float32(taken.multiplier) + np.float32(taken.offset)).astype(np.float32)
    expected = Classifier(model).scores(images).argmax(axis=1)
    assert np.array_equal(int8_decisions(model.read_bytes(), shifted), expected)


def test_the_recorded_report_fits_its_schema_and_says_why_this_project_exists() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    folder = Path(cifar_maintain.__file__).parent / "schemas"
    recorded = json.loads(REPORT.read_text())
    jsonschema.validate(recorded, json.loads((folder / "textbook.schema.json").read_text()))
    keras, textbook, ours = (entry["correct"] / entry["seen"] for entry in recorded["models"])
    assert recorded["split"] == {"name": "test", "num_images": 10_000}
    assert textbook < 0.2
    assert abs(ours - keras) < 0.005


def test_the_report_is_a_json_file() -> None:
    with pytest.raises(UsageError, match=r"expected a name that ends in \.json"):
        parse(["--json", "models/notebook.keras"])
    assert parse([]).checkpoint == Path("models/notebook.keras")
