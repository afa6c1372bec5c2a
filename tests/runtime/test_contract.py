"""A contract survives JSON, and a wrong one is refused by the name of its field."""

import json
from pathlib import Path
from typing import Any

import pytest

from cifar_runtime.artefact import open_artefact
from cifar_runtime.contract import contract_from_json
from cifar_runtime.errors import ArtefactError


@pytest.fixture
def document(any_model: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads(any_model.with_name(any_model.name + ".json").read_text())
    contract: dict[str, Any] = card["contract"]
    return contract


def test_a_contract_survives_json(any_model: Path) -> None:
    contract = open_artefact(any_model).contract
    assert contract_from_json(json.loads(json.dumps(contract.to_json()))) == contract
    assert contract_from_json(contract.to_json()) == contract


def test_temperature_and_threshold_survive_json_and_older_cards_lack_them(
    document: dict[str, Any],
) -> None:
    score = "generalized-entropy"
    document["output"] |= {
        "temperature": 1.5, "abstention_threshold": 0.4, "abstention_score": score,
    }  # fmt: skip
    calibrated = contract_from_json(document)
    assert (calibrated.output.temperature, calibrated.output.abstention_threshold) == (1.5, 0.4)
    assert calibrated.output.abstention_score == score
    assert contract_from_json(json.loads(json.dumps(calibrated.to_json()))) == calibrated
    for field in ("temperature", "abstention_threshold", "abstention_score"):
        del document["output"][field]
    plain = contract_from_json(document).output
    assert plain.temperature is plain.abstention_threshold is None
    assert plain.abstention_score == "probability"


def test_how_jpegs_are_decoded_survives_json_and_older_cards_mean_in_full(
    document: dict[str, Any],
) -> None:
    assert "jpeg_decoding" not in document["input"]
    plain = contract_from_json(document)
    assert plain.input.jpeg_decoding == "full"
    assert plain.to_json()["input"].keys() == document["input"].keys()
    document["input"]["jpeg_decoding"] = "reduced"
    reduced = contract_from_json(document)
    assert reduced != plain
    assert contract_from_json(json.loads(json.dumps(reduced.to_json()))) == reduced


def test_pixels_that_are_left_out_are_not_averaged_while_decoding(document: dict[str, Any]) -> None:
    document["input"] |= {"resize_filter": "bilinear-no-antialias", "jpeg_decoding": "reduced"}
    with pytest.raises(ArtefactError, match=r"input.jpeg_decoding is 'reduced', expected one of"):
        contract_from_json(document)


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("input", "jpeg_decoding", "half"),
        ("input", "shape", [6, 8]),
        ("input", "shape", [6, 8, 1]),
        ("input", "shape", [6, 0, 3]),
        ("input", "shape", [6.0, 8, 3]),
        ("input", "dtype", "int16"),
        ("input", "multiplier", 0),
        ("input", "multiplier", float("nan")),
        ("input", "multiplier", "1"),
        ("input", "offset", float("inf")),
        ("input", "offset", True),
        ("input", "resize_filter", "nearest"),
        ("input", "zero_point", 1000),
        ("input", "scale", -1.0),
        ("output", "kind", "scores"),
        ("output", "dtype", "float64"),
        ("output", "zero_point", 0.5),
        ("output", "temperature", 0),
        ("output", "temperature", "1"),
        ("output", "temperature", float("inf")),
        ("output", "abstention_threshold", 1.01),
        ("output", "abstention_threshold", -0.1),
        ("output", "abstention_threshold", True),
        ("output", "abstention_score", "entropy"),
        ("output", "surprise", 1),
        (None, "labels", "red"),
        (None, "labels", ["red"]),
        (None, "labels", ["red", "red"]),
        (None, "labels", [1, 2]),
        (None, "labels", ["red", ""]),
        (None, "labels", ["red", " \t"]),
        (None, "labels", ["red", "green\nblue  99.99 %"]),
        (None, "labels", ["red", "\x1b[2Jgreen"]),
        (None, "labels", ["red", "\x9b2Jgreen"]),
        (None, "labels", ["red", "\ud800"]),
        (None, "labels", ["red", "\u2028"]),
        (None, "labels", ["red", "\u202egreen"]),
        (None, "labels", ["red", "x" * 201]),
        ("input", "shape", [6, 4097, 3]),
        ("input", "multiplier", 1e308),
        ("input", "multiplier", 5e-324),
        ("input", "offset", -1e308),
        ("output", "temperature", 5e-324),
        ("output", "temperature", 1001.0),
        (None, "input", None),
        (None, "output", 3),
    ],
)
def test_a_wrong_field_is_refused(
    document: dict[str, Any], part: str | None, field: str, value: object
) -> None:
    target = document if part is None else document[part]
    target[field] = value
    with pytest.raises(ArtefactError, match="contract"):
        contract_from_json(document)


@pytest.mark.parametrize("label", ["crème brûlée", "nbsp\u00a0here", "👩\u200d🌾", "Ω < 5"])
def test_labels_of_every_language_are_kept(document: dict[str, Any], label: str) -> None:
    assert contract_from_json({**document, "labels": ["a", label, "c"]}).labels[1] == label


def test_a_refusal_never_prints_a_whole_value(document: dict[str, Any]) -> None:
    with pytest.raises(ArtefactError) as caught:
        contract_from_json({**document, "labels": ["red", "x" * 1_000_000]})
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("field", ["input", "output", "labels"])
def test_a_missing_field_is_refused(document: dict[str, Any], field: str) -> None:
    del document[field]
    with pytest.raises(ArtefactError) as caught:
        contract_from_json(document)
    assert str(caught.value) == (
        f"the contract is incomplete or has an unknown field: '{field}'. "
        "Export the model again with cifar-export."
    )


def test_independent_probabilities_have_a_threshold_and_nothing_of_one_label(
    document: dict[str, Any],
) -> None:
    document["output"] |= {"kind": "independent-probabilities"}
    contract = contract_from_json(document)
    assert contract.output.label_threshold == 0.5
    assert contract_from_json(json.loads(json.dumps(contract.to_json()))) == contract
    document["output"]["kind"] = "logits"
    assert "label_threshold" not in contract_from_json(document).to_json()["output"]
    for kind, field, value in (
        ("independent-probabilities", "label_threshold", 0.0),
        ("independent-probabilities", "label_threshold", 1.5),
        ("independent-probabilities", "temperature", 2.0),
        ("independent-probabilities", "abstention_threshold", 0.5),
        ("probabilities", "label_threshold", 0.5),
    ):
        wrong = {**document, "output": {**document["output"], "kind": kind, field: value}}
        with pytest.raises(ArtefactError, match=f"output.{field} is {value}"):
            contract_from_json(wrong)
