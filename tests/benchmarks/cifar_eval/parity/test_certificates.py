"""Two machines are compared by their certificates: scores, decisions, and the first operator that differs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cifar_eval.commands.parity import main
from cifar_eval.parity.certificates import compare_certificates, comparison_lines
from cifar_runtime.certificates.certificate import (
    Certificate,
    CertifiedModel,
    OperatorOutput,
    OperatorOutputs,
    Vector,
)
from cifar_runtime.errors import ArtefactError, InputError
from cifar_runtime.golden import Replay

DESK = Certificate(
    model=CertifiedModel(name="net-int8", sha256="a" * 64),
    device="Linux x86_64, a desk",
    kernels="LiteRT 2, XNNPACK kernels",
    self_test=Replay(
        num_vectors=2, max_error=0.0, tolerance=0.25, bit_exact=True, decisions_kept=2
    ),
    vectors=(
        Vector(decision="cat", verdict="same", scores=(1.5, 0.5)),
        Vector(decision="dog", verdict="same", scores=(0.0, 1.0)),
    ),
)


def operators(*checksums: str) -> OperatorOutputs:
    """A convolution, a reshape and a layer that is fully connected."""
    names = ("CONV_2D", "RESHAPE", "FULLY_CONNECTED")
    outputs = tuple(
        OperatorOutput(operator=name, tensor=tensor, crc32=checksum * 8)
        for tensor, (name, checksum) in enumerate(zip(names, checksums, strict=True))
    )
    return OperatorOutputs(kernels="reference", outputs=outputs)


def board(
    second_score: float = 1.0, verdict: str = "same", kernels: str = "LiteRT 3, XNNPACK kernels"
) -> Certificate:
    changed = Vector(decision="dog", verdict=verdict, scores=(0.0, second_score))  # type: ignore[arg-type]
    return replace(DESK, device="a board", kernels=kernels, vectors=(DESK.vectors[0], changed))


def test_the_same_scores_are_identical() -> None:
    comparison = compare_certificates(DESK, board())
    assert (comparison.identical, comparison.same_decisions, comparison.passed) == (2, 2, True)
    assert list(comparison_lines(comparison)) == [
        f"net-int8 (sha256 {'a' * 64})",
        "A  Linux x86_64, a desk; LiteRT 2, XNNPACK kernels: self-test passed",
        "B  a board; LiteRT 3, XNNPACK kernels: self-test passed",
        "scores      2 of 2 golden vectors identical, bit for bit",
        "decisions   2 of 2 the same",
        "verdict     passed",
    ]


@pytest.mark.parametrize(("score", "passed"), [(1.25, True), (1.5, False), (-1.0, False)])
def test_scores_may_differ_by_the_tolerance(score: float, passed: bool) -> None:
    comparison = compare_certificates(DESK, board(score))
    assert (comparison.identical, comparison.max_difference) == (1, abs(score - 1))
    assert (comparison.passed, comparison.same_decisions) == (passed, 2 if score > 0 else 1)


@pytest.mark.parametrize(("score", "passed"), [(1.5, True), (-1.0, False)])
def test_kernels_of_another_family_must_decide_alike(score: float, passed: bool) -> None:
    comparison = compare_certificates(DESK, board(score, kernels="C99 with MVE"))
    assert comparison.passed == passed
    assert list(comparison_lines(comparison))[3].endswith(" apart, as other kernels round")


def test_a_failed_self_test_fails_the_comparison() -> None:
    assert not compare_certificates(DESK, board(verdict="differs")).passed


def test_the_first_operator_that_differs_is_named_without_reshapes() -> None:
    desk, other = (
        replace(one, operators=operators("0", mark, mark))
        for one, mark in ((DESK, "1"), (board(), "2"))
    )
    comparison = compare_certificates(desk, other)
    assert list(comparison_lines(comparison))[-2] == (
        "operators   the first that differs is number 2 of 2, FULLY_CONNECTED (tensor 2); those before it are the same"
    )
    alike = compare_certificates(desk, replace(other, operators=desk.operators))
    assert list(comparison_lines(alike))[-2] == (
        "operators   all 2 give the same output, bit for bit"
    )


def test_certificates_of_different_models_are_refused() -> None:
    other = replace(board(), model=CertifiedModel(name="net-int8", sha256="b" * 64))
    with pytest.raises(ArtefactError, match=r"b{64}\), expected one model"):
        compare_certificates(DESK, other)


def test_layers_of_a_certificate_without_operators_are_refused() -> None:
    with pytest.raises(InputError, match="certificate of a board has no operators"):
        compare_certificates(replace(DESK, operators=operators(*"012")), board(), layers=True)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, object], str]:
    def write_json(name: str, document: object) -> str:
        (tmp_path / name).write_text(json.dumps(document))
        return str(tmp_path / name)

    return write_json


def test_the_command_prints_and_exits_with_the_verdict(
    write: Callable[[str, object], str], capsys: pytest.CaptureFixture[str]
) -> None:
    desk = write("desk.json", DESK.to_json())
    for other, code in ((board(), 0), (board(-1.0), 5)):
        path = write("board.json", other.to_json())
        assert main(["--certificates", desk, path]) == code
        assert capsys.readouterr().out == "".join(
            f"{line}\n" for line in comparison_lines(compare_certificates(DESK, other))
        )


@pytest.mark.parametrize("text", ["{", '{"schema": "cifar-edge/info/1"}', "[]"])
def test_a_file_that_is_no_certificate_is_an_input_error(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text(text)
    assert main(["--certificates", *[str(tmp_path / "a.json")] * 2]) == 3
    assert "a.json: is no" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.tflite", "b.tflite", "--layers"],
        ["a.tflite", "--certificates", "a.json", "b.json"],
        ["--certificates", "a.json"],
    ],
)
def test_certificates_go_without_models(arguments: list[str]) -> None:
    assert main(arguments) == 2
