"""For TensorFlow Lite Micro: the model without our card, its operators, its measured arena, its own golden scores."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cifar_fixtures.c_compiler import build, needs_compiler

from cifar_export.firmware.tflm import model_without_card
from cifar_export.firmware.write import write_firmware
from cifar_runtime.formats.embedded_card import embedded_document
from cifar_runtime.formats.tflite_graph import tflite_graph

EDGE_S = Path(__file__).parents[3] / "runtime/cifar_runtime/models/edge-s-int8.tflite"

STAND_IN = Path(__file__).with_name("tflm_stand_in.h")


def test_the_model_loses_its_card_and_nothing_else() -> None:
    data = EDGE_S.read_bytes()
    bare = model_without_card(data)
    assert data.endswith(bare)
    assert len(data) - len(bare) > 35_000
    assert embedded_document(data, "tflite") is not None
    assert embedded_document(bare, "tflite") is None
    assert tflite_graph(bare) == tflite_graph(data)
    assert model_without_card(bare) == bare


@needs_compiler
def test_the_files_hold_the_model_its_operators_and_its_arena(tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="pip install tflite-micro: the tflm engine asks it")
    report = write_firmware(EDGE_S, tmp_path, engine="tflm")
    bare = model_without_card(EDGE_S.read_bytes())
    assert (report.constant_bytes, report.arena_bytes) == (len(bare), 45_680)
    array = re.search(
        r"model_tflite\[MODEL_BYTES\] = \{([^}]*)\}", (tmp_path / "model.c").read_text()
    )
    assert array is not None
    assert bytes(int(one) for one in array[1].split(",")) == bare
    assert "#define MODEL_NUM_OPERATORS 5\n" in (tmp_path / "resolver.h").read_text()
    assert "(resolver).AddDepthwiseConv2D(); \\\n" in (tmp_path / "resolver.h").read_text()
    for name in ("model.c", "golden.c"):
        build(tmp_path, "-c", sources=(name,))


def test_both_engines_have_the_same_golden_scores(tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="pip install tflite-micro: the tflm engine asks it")
    for engine in ("c", "tflm"):
        write_firmware(EDGE_S, tmp_path / engine, engine=engine)
    scores = {(tmp_path / engine / "golden.c").read_text() for engine in ("c", "tflm")}
    assert len(scores) == 1


@needs_compiler
@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler")
def test_the_self_test_runs_through_the_interpreters_interface(tmp_path: Path) -> None:
    """Against a stand-in for the library, whose sources are not here: it knows the golden scores and no others."""
    pytest.importorskip("tflite_micro", reason="pip install tflite-micro: the tflm engine asks it")
    write_firmware(EDGE_S, tmp_path, engine="tflm")
    for header in (
        "tensorflow/lite/micro/micro_interpreter.h",
        "tensorflow/lite/micro/micro_mutable_op_resolver.h",
        "tensorflow/lite/micro/system_setup.h",
        "tensorflow/lite/schema/schema_generated.h",
    ):
        (tmp_path / header).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / header).write_text('#include "stand_in.h"\n')
    (tmp_path / "stand_in.h").write_text(STAND_IN.read_text())
    compile_c = ["cc", "-std=c99", "-c", "model.c", "golden.c", "self_test.c"]
    subprocess.run(compile_c, cwd=tmp_path, check=True)
    command = ["c++", "-std=c++17", "-Wall", "-Werror", "-I.", "runner.cc", "model.o", "golden.o"]
    subprocess.run([*command, "self_test.o", "-o", "program"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[2]) == (0, "kernels TensorFlow Lite Micro")
    assert lines[-1] == "self-test passed"
    starved = "-DMODEL_ARENA_TOO_SMALL"
    subprocess.run([*command, starved, "self_test.o", "-o", "program"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "vector 8 differs" in done.stdout
