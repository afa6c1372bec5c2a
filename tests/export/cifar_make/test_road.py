"""The whole road on a small folder: planned, interrupted, gone on with, and no step gone twice."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_data.pictures.source_file import read_source
from cifar_export.recipe import GateRecipe
from cifar_make import MakeRecipe, Plan, make, plan
from cifar_make.commands.make import made_lines, main, parse, recipe_from
from cifar_make.request_file import write_request
from cifar_runtime.artefact import open_artefact
from cifar_runtime.errors import InputError, UsageError
from cifar_train.fit import SilentWatcher
from cifar_train.run.state import Epoch, RunState

COLOURS = {"blue": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30)}
SCHEMA = Path(__file__).parents[3] / "export" / "cifar_make" / "schemas" / "make.schema.json"


def write_colours(folder: Path, *, count: int) -> None:
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 50, (20, 30, 3)) + colour
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeRecipe:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path / "cache"))
    write_colours(tmp_path / "colours", count=40)
    return MakeRecipe(
        source=tmp_path / "colours",
        output=tmp_path / "out",
        size=(16, 24),
        network="edge-xs",
        epochs=4,
        gate=GateRecipe(max_accuracy_drop=0.3, min_agreement=0.5),
    )


def states(planned: Plan) -> list[str]:
    return [step.state for step in planned.steps]


class Counting(SilentWatcher):
    """Notes epochs, and interrupts after one of them, as a user does."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.epochs: list[int] = []
        self._interrupt_after = interrupt_after

    def on_epoch(self, epoch: Epoch, state: RunState) -> None:
        self.epochs.append(state.epochs[-1].number)
        if epoch.number == self._interrupt_after:
            raise KeyboardInterrupt


def test_interrupted_it_goes_on_and_no_step_is_gone_twice(recipe: MakeRecipe) -> None:
    out = Path(recipe.output)
    assert states(plan(recipe)) == ["to do", "to do", "to do"]
    assert not out.exists()
    with pytest.raises(KeyboardInterrupt):
        make(recipe, watcher=Counting(interrupt_after=2))
    assert states(plan(recipe)) == ["begun", "to do", "to do"]

    rest = Counting()
    made = make(recipe, watcher=rest)
    assert rest.epochs == [3, 4]
    assert {path.name for path in out.iterdir()} == {
        "colours-int8.tflite",
        "colours-int8.tflite.json",
        "colours-report.json",
        "colours.html",
        "make.json",
        "training",
    }
    assert open_artefact(made.artefacts[0]).contract.labels == tuple(COLOURS)
    assert made_lines(made)[-2] == f"  cifar-classify PICTURE -m {out / 'colours-int8.tflite'}"
    assert states(plan(recipe)) == ["done", "done", "done"]

    elsewhere = out.parent / "elsewhere"
    elsewhere.mkdir()
    recipe = replace(recipe, source=Path(recipe.source).rename(elsewhere / "colours"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.is_file()}
    make(recipe, watcher=rest)
    source = read_source(recipe.training)
    assert source is not None
    assert source.path == (elsewhere / "colours").resolve()
    changed = {path.name for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert (rest.epochs, changed) == ([3, 4], {"data.json"})

    artefact = out / "colours-int8.tflite"
    artefact.write_bytes(artefact.read_bytes()[:-1])
    assert states(plan(recipe)) == ["done", "to do", "to do"]


def test_what_a_folder_was_begun_with_stays(recipe: MakeRecipe) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    write_request(recipe, plan(recipe).request)
    stored = json.loads((Path(recipe.output) / "make.json").read_text())
    jsonschema.validate(stored, json.loads(SCHEMA.read_text()))
    with pytest.raises(UsageError, match="was begun with other seed than 1"):
        plan(replace(recipe, seed=1))
    assert not plan(replace(recipe, seed=1, force=True)).begun
    Image.new("RGB", (20, 20), (200, 9, 9)).save(Path(recipe.source) / "red" / "new.png")
    with pytest.raises(UsageError, match="was begun with other pictures"):
        plan(recipe)


def test_a_run_that_it_did_not_begin_is_left_alone(recipe: MakeRecipe) -> None:
    recipe.training.mkdir(parents=True)
    (recipe.training / "state.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a run that cifar-make did not begin"):
        plan(recipe)


def test_too_few_test_pictures_are_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path / "cache"))
    write_colours(tmp_path / "few", count=4)
    with pytest.raises(InputError, match="few: holds 3 test pictures, expected 8 or more"):
        plan(MakeRecipe(source=tmp_path / "few", output=tmp_path / "out"))
    assert main([str(tmp_path / "few"), "-o", str(tmp_path / "out")]) == 3
    assert "Add pictures" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], MakeRecipe(source="photos")),
        (
            ["--size", "64x96", "-f", "tflite,onnx", "--max-accuracy-drop", "2pp", "--force"],
            MakeRecipe(
                source="photos",
                size=(64, 96),
                formats=("tflite", "onnx"),
                gate=GateRecipe(max_accuracy_drop=0.02),
                force=True,
            ),
        ),
        (
            ["--network", "mobilenet-v2"],
            MakeRecipe(source="photos", network="mobilenet-v2", weights="imagenet"),
        ),
        (
            ["--network", "mobilenet-v2", "--weights", "none", "--epochs", "3"],
            MakeRecipe(source="photos", network="mobilenet-v2", epochs=3),
        ),
    ],
)
def test_the_command_line_is_a_recipe(argv: list[str], expected: MakeRecipe) -> None:
    assert recipe_from(parse(["photos", *argv])) == expected


def test_a_dry_run_prints_its_options_as_a_file(
    recipe: MakeRecipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [
        str(recipe.source),
        "-o",
        str(recipe.output),
        "--size",
        "16x24",
        "--min-agreement",
        "5%",
    ]
    assert main([*argv, "--dry-run", "--quiet"]) == 0
    plan_text, _, options = capsys.readouterr().out.partition(
        "\nthe same as a file for --config:\n"
    )
    assert "1. train" in plan_text
    file = tmp_path / "make.toml"
    file.write_text(options)
    assert recipe_from(parse(["--config", str(file)])) == recipe_from(parse(argv))
    assert parse([*argv[:1], "--config", str(file), "--seed", "3"]).seed == 3


def test_weights_need_a_backbone() -> None:
    with pytest.raises(UsageError, match="belong to a backbone, but the network is edge-s"):
        MakeRecipe(source="photos", weights="imagenet")
    with pytest.raises(UsageError, match="--weights needs --network mobilenet-v2"):
        parse(["photos", "--weights", "none"])
