"""What cifar-info prints of a model, and how it exits."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cifar_runtime.artefact import card_path
from cifar_runtime.commands.info import InfoRecipe, main, parse
from cifar_runtime.errors import UsageError
from cifar_runtime.formats.embedded_card import document_of_card, sealed

V1 = Path(__file__).parents[1] / "artefacts" / "v1"
TABLE = """\
model       tiny-int8, tflite, 16,464 bytes
sha256      {sha256}
input       int8 16x16x3 NHWC RGB, real = pixel * 1 + 0, scale 1, zero point -128
            centre-crop, then antialiased bicubic to that size
output      probabilities, int8 of 10, scale 0.00390625, zero point -128
labels      airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck
made from   tiny.keras (sha256 084c8c741edd96155f886e7dec3fc0b209f795e998e31ddbfbe81abf0efeee8f)
calibrated  on 512 images (sha256 5a6b05f1c7ce13b9dfc92e6e982651806c99ece6de4b212c3bf02e48c4f461eb)
accuracy    26.50% of 1,000 images of test-sample at 16x16
licence     Apache-2.0
golden      8 vectors, scores within 0.0195 on other machines
parameters  1,230 in 1,320 bytes; multiply-accumulates an image: 64,056
operators   CONV_2D 2, MAX_POOL_2D 2, FULLY_CONNECTED 1, SOFTMAX 1
"""


@pytest.fixture
def model() -> Path:
    return V1 / "tiny-int8.tflite"


def rewritten(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The kept .onnx artefact with another card, inside the file and beside it."""
    source = V1 / "tiny-float32.onnx"
    card = json.loads(card_path(source).read_text())
    change(card)
    onnx = pytest.importorskip("onnx")
    bare = onnx.load_from_string(source.read_bytes())
    del bare.metadata_props[:]
    data, new_card = sealed(bare.SerializeToString(), "onnx", document_of_card(card))
    path = folder / source.name
    path.write_bytes(data)
    card_path(path).write_text(json.dumps(new_card))
    return path


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """An artefact whose golden scores are not those that its model gives."""

    def spoil(card: dict[str, Any]) -> None:
        card["golden_vectors"]["scores"][3][0] += 0.5

    return rewritten(tmp_path, spoil)


@pytest.mark.parametrize(
    ("argv", "changes"),
    [
        ([], {}),
        (["m.onnx"], {"model": Path("m.onnx")}),
        (
            ["m.tflite", "--self-test", "--layers", "--json", "-"],
            {"self_test": True, "layers": True, "json": "-", "model": Path("m.tflite")},
        ),
        (["--serial-log", "boot.txt"], {"serial_log": Path("boot.txt")}),
        (
            ["m.onnx", "--self-test", "-v"],
            {"model": Path("m.onnx"), "self_test": True, "verbose": True},
        ),
        (["m.onnx", "--json"], {"model": Path("m.onnx"), "json": "-"}),
        (["--json", "--full"], {"json": "-", "full": True}),
        (["--json", "o.json"], {"json": "o.json"}),
        (["m.tflite", "--contract", "c"], {"model": Path("m.tflite"), "contract": "c"}),
    ],
)
def test_a_command_line_is_a_recipe(argv: list[str], changes: dict[str, Any]) -> None:
    plain: dict[str, Any] = {"model": None, "contract": None, "self_test": False, "layers": False}
    plain |= {"serial_log": None, "verify_signature": None}
    assert parse(argv) == InfoRecipe(
        **{
            **plain,
            "serial_log": None,
            "verify_signature": None,
            "json": None,
            "full": False,
            "verbose": False,
            **changes,
        }
    )


def test_json_never_writes_over_a_model() -> None:
    with pytest.raises(UsageError, match=r"expected a name that ends in \.json"):
        parse(["--json", "model.tflite"])


def test_the_description_for_people(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = json.loads(card_path(model).read_text())
    assert main([str(model)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (TABLE.format(sha256=card["model"]["sha256"]), "")


@pytest.mark.parametrize(
    ("score", "word"), [("probability", "probability"), ("generalized-entropy", "certainty")]
)
def test_what_was_calibrated_is_described(
    publish: Any, capsys: pytest.CaptureFixture[str], score: str, word: str
) -> None:
    contract = publish.calibrated(temperature=1.25, threshold=0.5, score=score)
    assert main([str(publish.onnx(contract=contract))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"            temperature 1.25, unsure below a {word} of 0.5" in lines


def test_what_was_measured_beyond_accuracy_is_described(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = {"coverage": 0.95, "selective_accuracy": 0.8, "ece_before": 0.04, "ece_after": 0.01}
    confidence = {
        "images": {"split": "validation", "num_images": 5000},
        "measured": measured,
        "false_acceptance": [{"source": "noise", "seen": 500, "accepted": 20}],
    }
    robustness = {
        "images": {"split": "validation[:300]", "num_images": 300},
        "artefact": {"corrupted_accuracy": 0.6, "clean_accuracy": 0.75, "corruptions": [{}] * 6},
    }
    found = {"confidence": confidence, "robustness": robustness}
    path = rewritten(tmp_path, lambda card: card["provenance"].update(found))
    assert main([str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("confidence"))
    assert lines[first : first + 4] == [
        "confidence  answers 95.00% of 5,000 images of validation, 80.00% of them right",
        "            calibration error 4.00%, with the temperature 1.00%",
        "            answers 20 of 500 images of noise, wrongly",
        "robustness  60.00% under 6 corruptions of 300 images of validation[:300]; undamaged 75.00%",
    ]


@pytest.mark.parametrize("found", [{}, {"measured": 3}, [], "much"])
def test_a_card_of_another_version_is_described_without_what_it_says_otherwise(
    found: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = {"confidence": found, "robustness": found}
    path = rewritten(tmp_path, lambda card: card["provenance"].update(evidence))
    assert main([str(path)]) == 0
    assert "robustness" not in capsys.readouterr().out


def test_the_self_test_says_bit_for_bit(
    artefact_of_this_version: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(artefact_of_this_version), "--self-test"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("self-test   passed: ")


def test_a_failed_self_test_is_5(spoilt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(spoilt), "--self-test"]) == 5
    assert capsys.readouterr().out.splitlines()[-1] == (
        "self-test   FAILED: scores differ by up to 0.5, allowed are 0.002; 8 of 8 decisions kept"
    )
    assert main([str(spoilt), "--self-test", "--json"]) == 5
    assert json.loads(capsys.readouterr().out)["self_test"]["passed"] is False


def test_v_lists_every_tensor(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(model), "-v"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heading = next(number for number, line in enumerate(lines) if line.startswith("tensor "))
    assert "int8      1x16x16x3          scale 1, zero point -128" in lines[heading + 1]
    assert any("12 scales " in line and "along axis 0" in line for line in lines[heading:])


def test_json_holds_card_and_content(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(model), "--json", "--full", "--self-test"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "cifar-edge/info/1"
    assert document["card"] == json.loads(card_path(model).read_text())
    assert (document["content"]["parameters"], document["content"]["macs"]) == (1230, 64_056)
    assert document["self_test"]["num_vectors"] == 8


def test_json_without_full_counts_what_is_long(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = json.loads(card_path(model).read_text())
    assert main([str(model), "--json"]) == 0
    short = json.loads(capsys.readouterr().out)
    assert main([str(model), "--json", "--full"]) == 0
    full = json.loads(capsys.readouterr().out)
    golden = card["golden_vectors"]
    expected = {"count": 8, "tolerance": golden["tolerance"], "shape": golden["shape"]}
    assert short["card"]["golden_vectors"] == expected
    assert "ids" not in short["card"]["provenance"]["calibration"]
    for tensor, whole in zip(short["content"]["tensors"], full["content"]["tensors"], strict=True):
        assert tensor["name"] == whole["name"]
        if len(whole["scales"]) > 1:
            assert (tensor["num_scales"], "scales" in tensor) == (len(whole["scales"]), False)
        else:
            assert tensor == whole
    assert any("num_scales" in tensor for tensor in short["content"]["tensors"])


def test_a_foreign_model_is_described_by_the_users_contract(
    publish: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(publish.tflite_bytes())
    contract = tmp_path / "c.json"
    stated = {"shape": [6, 8, 3], "multiplier": 1 / 64, "offset": -2, "resize_filter": "bilinear"}
    contract.write_text(json.dumps({"input": stated, "labels": ["r", "g", "b"]}))
    assert main([str(path), "--contract", str(contract)]) == 0
    out = capsys.readouterr().out
    assert "card        none: the contract is the one that was stated" in out
    assert "output      logits, int8 of 3, scale 0.03125, zero point 0" in out
    assert main([str(path), "--contract", str(contract), "--self-test"]) == 4
    assert "has no golden vectors" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_4(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["none.tflite"]) == 4
    assert capsys.readouterr().err.startswith("cifar-info: none.tflite: cannot be read")


def test_describing_imports_no_interpreter_and_nothing_heavy(model: Path) -> None:
    code = (
        "import sys; from cifar_runtime.commands.info import main; main(sys.argv[1:]);"
        "sys.stderr.write(' '.join({name.split('.')[0] for name in sys.modules}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=True
    )
    heavy = {"tensorflow", "keras", "onnx", "onnxruntime", "ai_edge_litert", "flatbuffers", "PIL"}
    assert set(found.stderr.split()) & heavy == set()


def test_reduced_decoding_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def reduce(card: dict[str, Any]) -> None:
        card["contract"]["input"]["jpeg_decoding"] = "reduced"

    assert main([str(rewritten(tmp_path, reduce))]) == 0
    assert (
        "bicubic to that size\n"
        "            JPEGs decoded at the smallest of 1/8, 1/4, 1/2 and 1 that leaves both sides 64 pixels\n"
    ) in capsys.readouterr().out
