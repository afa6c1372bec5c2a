"""A written folder builds with a plain compiler and proves itself; what cannot be computed is refused by name."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cifar_fixtures.c_compiler import SANITIZERS, build, needs_compiler

from cifar_eval.parity.certificates import OperatorComparison, compare_certificates
from cifar_export.firmware.contract_header import contract_header
from cifar_export.firmware.write import FirmwareReport, write_firmware
from cifar_runtime.artefact import open_artefact
from cifar_runtime.certificates.certify import certify
from cifar_runtime.certificates.serial_log import read_serial_log
from cifar_runtime.contract import JpegDecoding
from cifar_runtime.errors import ArtefactError, InputError

EDGE_S = Path(__file__).parents[3] / "runtime/cifar_runtime/models/edge-s-int8.tflite"
SOURCES = ("golden.c", "model.c", "self_test.c")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FirmwareReport]:
    folder = tmp_path_factory.mktemp("firmware")
    return folder, write_firmware(EDGE_S, folder, engine="c")


def run(program: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([program], capture_output=True, text=True, check=False)


def test_the_report_says_what_is_there(written: tuple[Path, FirmwareReport]) -> None:
    folder, report = written
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert set(report.files) == found - {"program"}
    assert report.operators == ("CONV_2D", "ADD", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED")
    # Two tensors of 8x8x192 and one of 8x8x64 live at once, and a depthwise patch of 3x3x192.
    assert report.arena_bytes == report.arena_lower_bound == 2 * 12288 + 4096 + 1728
    assert (report.num_vectors, report.decisions_kept) == (8, 8)


@needs_compiler
def test_the_self_test_passes_on_the_host_under_the_sanitizers(
    written: tuple[Path, FirmwareReport],
) -> None:
    done = run(build(written[0], *SANITIZERS, sources=SOURCES))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"model edge-s-int8 sha256 {open_artefact(EDGE_S).sha256}"
    assert [line.split()[0] for line in lines[1:3]] == ["device", "kernels"]
    assert [line.split()[2] for line in lines[3:11]] == ["same"] * 8
    assert lines[11:] == ["self-test passed"]


def flip_first_weight(folder: Path, copy: Path, step: int) -> None:
    """A copy of the written files in which one weight of a step has the other sign."""
    for path in folder.glob("*.[ch]"):
        (copy / path.name).write_bytes(path.read_bytes())
    text = (copy / "model.c").read_text()
    first_weight = re.compile(rf"(step_{step}_weights\[\d+\] = \{{\s*)(-?\d+)")
    flipped, count = first_weight.subn(lambda found: f"{found[1]}{-int(found[2])}", text)
    assert (count, flipped != text) == (1, True)
    (copy / "model.c").write_text(flipped)


@needs_compiler
def test_the_self_test_names_the_first_vector_that_a_flipped_weight_changes(
    written: tuple[Path, FirmwareReport], tmp_path: Path
) -> None:
    flip_first_weight(written[0], tmp_path, step=0)
    done = run(build(tmp_path, sources=SOURCES))
    assert done.returncode == 1
    assert "vector 1 differs" in done.stdout
    assert done.stdout.endswith("self-test failed: vector 1 is the first that differs\n")


@needs_compiler
def test_a_build_with_a_trace_names_the_first_operator_that_differs(
    written: tuple[Path, FirmwareReport], tmp_path: Path
) -> None:
    done = run(build(written[0], "-DMODEL_TRACE", sources=SOURCES))
    operators = re.findall(
        r"^operator (\d+) \S+ (same|differs) tensor \d+ crc32 [0-9a-f]{8}$",
        done.stdout,
        re.MULTILINE,
    )
    assert operators == [(str(number), "same") for number in range(1, 17)]
    assert done.returncode == 0
    flip_first_weight(written[0], tmp_path, step=3)
    done = run(build(tmp_path, "-DMODEL_TRACE", sources=SOURCES))
    lines = done.stdout.splitlines()
    assert [line.partition(" tensor ")[0] for line in lines[3:7]] == [
        *(f"operator {n} CONV_2D same" for n in (1, 2, 3)),
        "operator 4 CONV_2D differs",
    ]
    assert done.returncode == 1


@needs_compiler
def test_what_it_prints_is_a_certificate_that_names_the_first_operator_that_differs(
    written: tuple[Path, FirmwareReport], tmp_path: Path
) -> None:
    """Beside this machine's, whose operators LiteRT's reference kernels ran."""
    desk = certify(EDGE_S, layers=True)

    def compared_with_desk(folder: Path) -> OperatorComparison:
        log = tmp_path / "log.txt"
        log.write_text(run(build(folder, "-DMODEL_TRACE", sources=SOURCES)).stdout)
        board = read_serial_log(log, open_artefact(EDGE_S))
        compared = compare_certificates(desk, board, layers=True).operators
        assert compared is not None
        return compared

    alike = compared_with_desk(written[0])
    assert (alike.compared, alike.same_before, alike.first_difference) == (16, 16, None)
    flip_first_weight(written[0], tmp_path, step=3)
    astray = compared_with_desk(tmp_path)
    assert (astray.compared, astray.same_before) == (16, 3)
    assert astray.first_difference is not None
    assert astray.first_difference.operator == "CONV_2D"


def test_the_network_needs_no_library_but_two_headers(
    written: tuple[Path, FirmwareReport],
) -> None:
    text = (written[0] / "model.c").read_text() + (written[0] / "model.h").read_text()
    included = set(re.findall(r"#include <(.+)>", text))
    assert included == {"stdint.h", "string.h", "arm_acle.h", "arm_mve.h"}
    assert not re.search(r"\b(malloc|alloca|printf|float|double|goto|setjmp)\b", text)


def test_the_contract_holds_labels_and_the_input_table(
    written: tuple[Path, FirmwareReport],
) -> None:
    text = (written[0] / "contract.h").read_text()
    assert '"airplane",\n    "automobile"' in text
    assert "#define CONTRACT_HEIGHT 32\n" in text
    table = re.search(r"contract_input_table\[256\] = \{([^}]*)\}", text)
    assert table is not None
    assert [int(one) for one in table[1].split(",")] == list(range(-128, 128))
    assert "#define CONTRACT_OUTPUT_ZERO_POINT (" in text


@pytest.mark.parametrize("decoding", ["full", "reduced"])
def test_the_contract_says_how_jpegs_are_decoded(decoding: JpegDecoding) -> None:
    artefact = open_artefact(EDGE_S)
    pixels = replace(artefact.contract.input, jpeg_decoding=decoding)
    text = contract_header(replace(artefact, contract=replace(artefact.contract, input=pixels)))
    words = "JPEGs decoded at the smallest of 1/8, 1/4, 1/2 and 1 that leaves both sides 128 pixels (libjpeg's"
    assert (words in text) == (decoding == "reduced")


def test_an_operator_without_a_kernel_is_refused_by_name() -> None:
    pytest.importorskip("tflite_micro", reason="pip install tflite-micro: it brings the schema")
    from cifar_fixtures.quantized_networks import NetworkBuilder

    from cifar_export.firmware.lowering.lower import lower

    network = NetworkBuilder(np.random.default_rng(0))
    given = network.tensor((1, 4))
    data = network.build(given, network.operator("ABS", [given.index], network.tensor((1, 4))))
    with pytest.raises(ArtefactError, match="operators that the C engine does not compute: ABS;"):
        lower(data)


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_graph_is_refused_or_read_but_never_an_exception_of_ours(seed: int) -> None:
    pytest.importorskip("tflite_micro", reason="pip install tflite-micro: it brings the schema")
    from cifar_fixtures.quantized_networks import random_network

    from cifar_export.firmware.lowering.lower import lower

    data, _ = random_network(seed)
    random = np.random.default_rng(seed)
    refused = 0
    for _ in range(100):
        damaged = bytearray(data)
        damaged[int(random.integers(8, len(data)))] = int(random.integers(0, 256))
        try:
            lower(bytes(damaged))
        except ArtefactError:
            refused += 1
    assert 0 < refused < 100


def test_another_file_than_int8_is_refused(tmp_path: Path) -> None:
    other = Path(__file__).parents[2] / "runtime/artefacts/v1/tiny-float32.onnx"
    with pytest.raises(ArtefactError, match=r"is onnx with float32 input, expected an int8"):
        write_firmware(other, tmp_path, engine="c")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_the_other_engines_firmware_is_refused(
    written: tuple[Path, FirmwareReport],
) -> None:
    """Its files would be compiled with ours by ``cc *.c``."""
    with pytest.raises(InputError, match=r"board\.c: is of the other engine's firmware"):
        write_firmware(EDGE_S, written[0], engine="tflm")


def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_firmware(EDGE_S, tmp_path / "file", engine="c")
