"""A board's certificate is read from what its firmware printed, or refused in words."""

import json
from pathlib import Path

import numpy as np
import pytest

from cifar_runtime.artefact import open_artefact
from cifar_runtime.certificates.serial_log import read_serial_log
from cifar_runtime.commands.info import main
from cifar_runtime.errors import ArtefactError, InputError

MODEL = Path(__file__).parents[1] / "artefacts" / "v1" / "tiny-int8.tflite"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """What a board would print whose scores are the card's."""
    artefact = open_artefact(MODEL)
    output = artefact.contract.output
    recorded = np.float32(artefact.card["golden_vectors"]["scores"])
    quantized = np.round(recorded / output.scale + output.zero_point).astype(int)
    labels = artefact.contract.labels
    return [
        f"model {artefact.name} sha256 {artefact.sha256}",
        "device a board",
        "kernels C99",
        "operator 1 CONV_2D same tensor 17 crc32 0123abcd",
        *(
            f"vector {n} same {labels[row.argmax()]} scores {' '.join(map(str, row))}"
            for n, row in enumerate(quantized, start=1)
        ),
        "self-test passed",
    ]


def write(folder: Path, lines: list[str], *, end: str = "\n") -> Path:
    path = folder / "boot.txt"
    path.write_bytes("".join(f"{line}{end}" for line in lines).encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_last_self_test_of_a_log_becomes_a_certificate(
    lines: list[str], end: str, tmp_path: Path
) -> None:
    log = ["U-Boot 2026", *lines[:5], "reset", *lines, "instructions 5"]
    certificate = read_serial_log(write(tmp_path, log, end=end), open_artefact(MODEL))
    assert (certificate.device, certificate.kernels) == ("a board", "C99")
    assert certificate.passed
    assert certificate.self_test.bit_exact
    assert len(certificate.vectors) == certificate.self_test.num_vectors == 8
    assert certificate.operators is not None
    (operator,) = certificate.operators.outputs
    assert (operator.operator, operator.tensor, operator.crc32) == ("CONV_2D", 17, "0123abcd")


def test_a_vector_that_differs_fails_the_certificate(
    lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = [line.replace("vector 2 same", "vector 2 differs") for line in lines[:-1]]
    log = write(tmp_path, [*failed, "self-test failed: vector 2 is the first that differs"])
    assert main([str(MODEL), "--serial-log", str(log), "--json"]) == 5
    document = json.loads(capsys.readouterr().out)
    assert document["self_test"]["passed"] is False
    assert [vector["verdict"] for vector in document["vectors"]][:3] == ["same", "differs", "same"]


def test_without_json_it_is_told_in_four_lines(
    lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(MODEL), "--serial-log", str(write(tmp_path, lines))]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "device      a board",
        "kernels     C99",
        "self-test   passed there; 8 of 8 decisions are the card's, scores within 0 of its",
    ]


def test_a_log_of_another_model_is_refused(lines: list[str], tmp_path: Path) -> None:
    other = [lines[0].rpartition(" ")[0] + " " + "0" * 64, *lines[1:]]
    with pytest.raises(ArtefactError, match=r"the board ran .* of sha256 0{64}, expected "):
        read_serial_log(write(tmp_path, other), open_artefact(MODEL))


@pytest.mark.parametrize(
    ("kept", "found"),
    [
        (slice(0, 0), "it has no line 'model ... sha256 ...' with an end"),
        (slice(0, -1), "it has no line 'model ... sha256 ...' with an end"),
        (slice(1, None), "it has no line 'model ... sha256 ...' with an end"),
    ],
)
def test_an_incomplete_log_is_refused(
    lines: list[str], kept: slice, found: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        read_serial_log(write(tmp_path, lines[kept]), open_artefact(MODEL))
    assert found in caught.value.message


@pytest.mark.parametrize("lost", ["vector 3 ", "operator"])
def test_a_lost_vector_is_missed_and_a_lost_operator_is_not(
    lines: list[str], lost: str, tmp_path: Path
) -> None:
    log = write(tmp_path, [line for line in lines if not line.startswith(lost)])
    if lost == "operator":
        assert read_serial_log(log, open_artefact(MODEL)).operators is None
        return
    with pytest.raises(InputError, match=r"it has vectors \[1, 2, 4, 5, 6, 7, 8\], expected 8, of"):
        read_serial_log(log, open_artefact(MODEL))


def test_a_score_of_more_than_eight_bits_is_refused(lines: list[str], tmp_path: Path) -> None:
    garbled = [
        line.rpartition(" ")[0] + " 999" if line.startswith("vector 1 ") else line for line in lines
    ]
    with pytest.raises(InputError, match="expected int8 scores"):
        read_serial_log(write(tmp_path, garbled), open_artefact(MODEL))
