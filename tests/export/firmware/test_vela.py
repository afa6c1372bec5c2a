"""An int8 model compiled for an Ethos-U: the file that Vela writes, and its estimates as estimates."""

from pathlib import Path

import pytest

from cifar_export.commands.export import parse, recipe_from
from cifar_export.firmware.vela import compile_for
from cifar_runtime.errors import ArtefactError, InputError, MissingDependencyError, UsageError

EDGE_S = Path(__file__).parents[3] / "runtime/cifar_runtime/models/edge-s-int8.tflite"


def test_edge_s_leaves_nothing_to_the_cpu(tmp_path: Path) -> None:
    pytest.importorskip("ethosu", reason="pip install ethos-u-vela: --format vela runs it")
    report = compile_for("ethos-u55-128", EDGE_S, tmp_path)
    assert report.path == tmp_path / "edge-s-int8-ethos-u55-128.tflite"
    assert b"ethos-u" in report.path.read_bytes()  # the one operator that is left
    assert "#define CONTRACT_HEIGHT 32\n" in (tmp_path / "contract.h").read_text()
    # Vela 5.2.0's own summary: 2,726.8 inferences a second, 37.66 KiB of SRAM, 101.78 KiB of flash.
    assert (report.cpu_operators, round(report.inferences_per_second)) == (0, 2727)
    assert (report.sram_bytes, report.flash_bytes) == (38_560, 104_224)


def test_a_model_that_vela_refuses_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ethosu", reason="pip install ethos-u-vela: --format vela runs it")
    monkeypatch.setattr("cifar_export.firmware.vela.model_without_card", lambda _: b"no model")
    with pytest.raises(ArtefactError, match=r"^Vela refuses edge-s-int8 for ethos-u55-128: "):
        compile_for("ethos-u55-128", EDGE_S, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    pytest.importorskip("ethosu", reason="pip install ethos-u-vela: --format vela runs it")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        compile_for("ethos-u55-128", EDGE_S, tmp_path / "file")


def test_without_vela_the_message_is_the_pip_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        MissingDependencyError, match=r"not installed\. .*pip install \./runtime '\.\[ethos\]'"
    ):
        compile_for("ethos-u55-128", EDGE_S, tmp_path)


def test_the_accelerator_is_part_of_the_recipe() -> None:
    options = parse(["m.keras", "--format", "vela", "--accelerator", "ethos-u65-256"])
    recipe = recipe_from(options, checkpoint=Path("m.keras"))
    assert recipe.publish.deliveries == ("vela",)
    assert (recipe.publish.accelerator, recipe.formats) == ("ethos-u65-256", ("tflite",))
    with pytest.raises(UsageError, match="without --format vela compiles nothing"):
        recipe_from(parse(["--accelerator", "ethos-u65-256"]), checkpoint=Path("m.keras"))
    with pytest.raises(UsageError, match="ethos-u55-12"):
        parse(["--format", "vela", "--accelerator", "ethos-u55-12"])
