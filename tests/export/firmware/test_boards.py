"""On emulated boards the self-test boots and prints the host's scores, within its budgets of flash and instructions."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cifar_fixtures.c_compiler import build, needs_compiler, write_model
from cifar_fixtures.quantized_networks import random_images, random_network

from cifar_export.firmware.c_text import numbers, template
from cifar_export.firmware.lowering.lower import lower
from cifar_export.firmware.simulate import simulate
from cifar_export.firmware.write import FirmwareReport, write_firmware

EDGE_S = Path(__file__).parents[3] / "runtime/cifar_runtime/models/edge-s-int8.tflite"
TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "make")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
needs_boards = pytest.mark.skipif(
    bool(MISSING),
    reason=f"no {' and no '.join(MISSING)}: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm",
)
# Instructions of TensorFlow Lite Micro for the same network on the same emulators: 95.7 and 98.8 million with its
# reference kernels on M3 and M7, 25.4 million with CMSIS-NN on M7; docs/microcontroller.md.
BUDGETS = {"m3": 95_700_000 // 2, "m7": 33_000_000, "m55": 6_000_000}
DEVICES = {
    "m3": "mps2-an385 (Cortex-M3)",
    "m7": "mps2-an500 (Cortex-M7)",
    "m55": "mps3-an547 (Cortex-M55)",
}
BOARD_SELF_TEST = Path(__file__).with_name("board_self_test.c")
CODE_BYTES = 40_000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FirmwareReport]:
    folder = tmp_path_factory.mktemp("firmware")
    return folder, write_firmware(EDGE_S, folder, engine="c")


@needs_boards
@needs_compiler
@pytest.mark.parametrize("board", BUDGETS)
def test_a_board_gives_the_scores_of_the_host(
    written: tuple[Path, FirmwareReport], board: str
) -> None:
    folder, report = written
    host = subprocess.run(
        [build(folder, sources=("golden.c", "model.c", "self_test.c"))],
        capture_output=True,
        text=True,
        check=True,
    )
    done = subprocess.run(
        [shutil.which("make") or "make", "-s", f"run-{board}"],
        cwd=folder / "boards",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    vectors = host.stdout.partition("\nvector 1 ")[2]
    assert vectors in done.stdout
    assert f"\ndevice {DEVICES[board]} in QEMU\n" in done.stdout
    assert host.stdout.endswith("self-test passed\n")
    assert _number("arena bytes", done.stdout) == report.arena_bytes
    assert _number("stack bytes", done.stdout) < 1024
    assert 1_000_000 < _number("instructions", done.stdout) < BUDGETS[board]
    golden_bytes = report.num_vectors * (32 * 32 * 3 + 10)
    flash_bytes = _number(r"\.text", done.stdout) + _number(r"\.rodata", done.stdout)
    assert flash_bytes - report.constant_bytes - golden_bytes < CODE_BYTES, done.stdout


@needs_boards
@pytest.mark.parametrize("seed", range(2000, 2006))
def test_a_random_network_is_the_same_on_all_boards(seed: int, tmp_path: Path) -> None:
    """The kernels for each processor, on odd shapes: what NumPy gives, which is what the reference kernels give."""
    pytest.importorskip("tflite_micro", reason="pip install tflite-micro: it brings the schema")
    data, given = random_network(seed)
    images = random_images(seed, given, 4)
    network = lower(data)
    write_model(network, tmp_path)
    cases = {"inputs": images, "outputs": simulate(network, images)}
    arrays = (
        f"static const int8_t {name}[NUM_CASES][{rows[0].size}] = {{"
        + ", ".join(numbers(row.ravel().tolist()) for row in rows)
        + "};\n"
        for name, rows in cases.items()
    )
    (tmp_path / "cases.h").write_text(f"#define NUM_CASES {len(images)}\n" + "".join(arrays))
    (tmp_path / "boards").mkdir()
    for name in ("board.c", "board.ld", "mps2.ld", "mps3.ld", "Makefile"):
        (tmp_path / "boards" / name).write_text(template(f"boards/{name}"))
    (tmp_path / "self_test.h").write_text(template("self_test.h"))
    (tmp_path / "self_test.c").write_text(BOARD_SELF_TEST.read_text())
    for board in BUDGETS:
        done = subprocess.run(
            [
                shutil.which("make") or "make",
                f"run-{board}",
                "SOURCES=../model.c ../self_test.c board.c",
            ],
            cwd=tmp_path / "boards",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "all cases are the same\n" in done.stdout


def _number(title: str, text: str) -> int:
    found = re.search(rf"^{title}\s+(\d+)", text, re.MULTILINE)
    assert found is not None, text
    return int(found[1])
