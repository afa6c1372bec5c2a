"""The command line as a table, and the installed script's streams, files and exit codes."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cifar_data import packaged
from cifar_data.cifar10.splits import LABELS
from cifar_eval.commands.parity import Invocation, parse
from cifar_eval.parity.limits import Limits
from cifar_eval.parity.recipe import ParityRecipe
from cifar_runtime.errors import UsageError

SCRIPT = Path(sysconfig.get_path("scripts")) / "cifar-parity"
PEERS = Path(__file__).parents[4].parent / "shared" / "peers" / "mlperf-tiny"
needs_peers = pytest.mark.skipif(not PEERS.exists(), reason="the MLPerf Tiny models are not here")
MODELS = {"reference": Path("a.keras"), "candidates": (Path("b.tflite"),)}


@pytest.mark.parametrize(
    ("argv", "recipe", "limits", "rest"),
    [
        ([], {}, {}, {}),
        (["c.onnx"], {"candidates": (Path("b.tflite"), Path("c.onnx"))}, {}, {}),
        (["--split", "validation", "--limit", "9"], {"split": "validation", "limit": 9}, {}, {}),
        (
            ["--eval-data", "pets", "--threads", "2"],
            {"eval_data": Path("pets"), "threads": 2},
            {},
            {},
        ),
        (
            ["--max-accuracy-drop", "1pp", "--min-agreement", "98%", "--min-accuracy", "0.65"],
            {},
            {"max_accuracy_drop": 0.01, "min_agreement": 0.98, "min_accuracy": 0.65},
            {},
        ),
        (["--contract", "cifar10-unit"], {"contract": "cifar10-unit"}, {}, {}),
        (["--save-outputs", "o.npz", "-q"], {}, {}, {"save_outputs": Path("o.npz"), "quiet": True}),
        (["--json", "-qv"], {}, {}, {"json": "-", "quiet": True, "verbose": True}),
        (["--json", "r.json"], {}, {}, {"json": "r.json"}),
    ],
)
def test_arguments_become_an_invocation(
    argv: list[str], recipe: dict[str, Any], limits: dict[str, Any], rest: dict[str, Any]
) -> None:
    defaults = {"save_outputs": None, "json": None, "quiet": False, "verbose": False}
    assert parse(["a.keras", "b.tflite", *argv]) == Invocation(
        source=ParityRecipe(**{**MODELS, **recipe}),
        limits=Limits(**limits),
        **{**defaults, **rest},
    )


def test_the_default_limits_are_half_a_point_and_97_percent() -> None:
    assert Limits() == Limits(max_accuracy_drop=0.005, min_agreement=0.97, min_accuracy=None)


def test_saved_outputs_take_the_place_of_models() -> None:
    invocation = parse(["--from-outputs", "o.npz", "--min-agreement", "0.9"])
    assert (invocation.source, invocation.limits.min_agreement) == (Path("o.npz"), 0.9)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["a.keras"],
            "cifar-parity: 1 model given, expected REFERENCE and one or more CANDIDATE. "
            "See cifar-parity --help.",
        ),
        (
            ["a.keras", "b.tflite", "--split", "tset"],
            "cifar-parity: argument --split: 'tset' is not one of test-sample, test, validation, train, "
            "official-train (did you mean test?). See cifar-parity --help.",
        ),
        (
            ["a.keras", "b.tflite", "--max-accuracy-drop", "half"],
            "cifar-parity: argument --max-accuracy-drop: 'half' is not a share such as 0.005, 0.5% "
            "or 0.5pp. See cifar-parity --help.",
        ),
        (
            ["a.keras", "--json", "b.tflite"],
            "cifar-parity: --json would write to b.tflite, expected a name that ends in .json. "
            "Give the models before --json, or --json FILE.json.",
        ),
        (
            ["a.keras", "--save-outputs", "b.tflite"],
            "cifar-parity: --save-outputs would write to b.tflite, expected a name that ends in "
            ".npz. Give the models before --save-outputs, or --save-outputs FILE.npz.",
        ),
        (
            ["a.keras", "--from-outputs", "o.npz"],
            "cifar-parity: --from-outputs runs nothing, so no models, images or --save-outputs go "
            "with it. Give it limits and --json only.",
        ),
    ],
)
def test_arguments_that_make_no_sense_are_usage_errors(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(argv)
    assert str(caught.value) == message


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # JAX, where this process has imported it, asks TensorFlow for its messages.
    inherited = {
        name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"
    }
    return subprocess.run(
        [SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, **environment},
    )


def test_litert_against_onnxruntime_is_one_table_and_its_gates(exports: Path) -> None:
    ended = run(exports / "net-float32.tflite", exports / "net-float32.onnx", "--limit", "200")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == (
        "cifar-parity: scoring 200 images with net-float32.tflite\n"
        "cifar-parity: scoring 200 images with net-float32.onnx\n"
    )
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("Paired on 200 images of test-sample[:200]; lost and gained:")
    assert lines[1].endswith("paired 95 % score interval (Tango 1998); p: exact McNemar test.")
    header = " ".join(lines[5].split())
    assert header == "model top-1 drop [95 % CI] agree lost gained SQNR dB verdict"
    assert [(line.split()[0], line.split()[-1]) for line in lines[6:8]] == [
        ("net-float32.tflite", "reference"),
        ("net-float32.onnx", "pass"),
    ]
    assert "  [✓] accuracy drop 0.00 pp <= 0.50 pp" in lines
    assert "  [✓] agreement 100.00 % >= 97.00 %" in lines
    assert max(map(len, lines)) <= 100


def test_a_failed_gate_is_exit_5_after_the_whole_table_with_layers_and_the_next_command(
    exports: Path,
) -> None:
    models = [exports / f"net-{name}.tflite" for name in ("float32", "int8")]
    ended = run(exports / "net.keras", *models, "--min-agreement", "1", "-q")
    assert (ended.returncode, ended.stderr) == (5, "")
    lines = ended.stdout.splitlines()
    rows = [line.split()[0] for line in lines if line.endswith(("pass", "FAIL"))]
    assert rows == ["net-float32", "net-int8"]
    (failed,) = [line for line in lines if line.startswith("  [✗] agreement")]
    value = failed.split()[2]
    assert failed == f"  [✗] agreement {value} % >= 100.00 %; {value} % would have passed"
    title = lines.index(
        "  Error by layer against net-float32, worst first (32 images, layers matched by name):"
    )
    assert lines[title + 1].split() == ["layer", "#", "operator", "SQNR", "dB", "max", "error"]
    commands = [line for line in lines if "cifar-export" in line]
    again = f"cifar-export {exports / 'net.keras'} --format tflite --quantize int8"
    assert commands == [
        f"  try next: {again} --calibration-samples 1024 -o {exports / 'retry'}",
        f"  or:       {again} --qat -o {exports}",
    ]
    passing = run("--max-accuracy-drop", "1", "--min-agreement", f"{value}%", *models, "-q")
    assert passing.returncode == 0, passing.stdout


def test_a_model_without_a_card_is_compared_under_the_users_contract(
    exports: Path, tmp_path: Path
) -> None:
    """The float32 export again, its card gone and its embedded document taken out."""
    import onnx

    model = onnx.load(exports / "net-float32.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    pair = (exports / "net-float32.onnx", tmp_path / "foreign.onnx")
    refused = run(*pair, "--limit", "50", "-q")
    assert refused.returncode == 4
    assert "--contract" in refused.stderr
    stated = run(*pair, "--contract", "cifar10-raw255", "--limit", "50", "-qv")
    assert (stated.returncode, stated.stderr) == (0, "")
    assert "  [✓] agreement 100.00 % >= 97.00 %" in stated.stdout.splitlines()
    assert "it is float32: there is no quantization error to find." in stated.stdout


@needs_peers
def test_the_ic01_pair_of_mlperf_tiny_is_compared_under_its_contract() -> None:
    """Closed-division weights, no cards: int8 decides at least 97 % of 200 images like float."""
    pair = [PEERS / f"pretrainedResnet{suffix}.tflite" for suffix in ("", "_quant")]
    options = ["--limit", "200", "--max-accuracy-drop", "3pp", "--json", "-q"]
    ended = run(*pair, "--contract", "cifar10-raw255", *options)
    assert (ended.returncode, ended.stderr) == (0, "")
    document = json.loads(ended.stdout)
    assert document["candidates"][0]["parity"]["agreement"] >= 0.97
    assert document["reference"]["accuracy"]["correct"] > 160


def test_saved_outputs_are_judged_again_without_the_models(exports: Path, tmp_path: Path) -> None:
    saved, first = tmp_path / "outputs.npz", tmp_path / "first.json"
    models = [exports / "net-float32.onnx", exports / "net-int8.onnx"]
    ended = run(*models, "--save-outputs", saved, "--json", first, "--limit", "300", "-q")
    assert ended.returncode in (0, 5), ended.stderr
    again = run("--from-outputs", saved, "--json")
    assert (again.returncode, again.stderr) == (ended.returncode, "")
    expected = json.loads(first.read_text())
    for candidate in expected["candidates"]:
        candidate["layers"] = None
    assert json.loads(again.stdout) == expected
    strict = run("--from-outputs", saved, "--min-accuracy", "100%", "--json")
    assert strict.returncode == 5
    document = json.loads(strict.stdout)
    assert [gate["name"] for gate in document["candidates"][0]["gates"] if not gate["passed"]][
        -1
    ] == "accuracy"
    assert str(exports) not in strict.stdout


def test_own_images_in_class_folders_are_scored_as_the_same_pixels_of_the_split(
    exports: Path, tmp_path: Path
) -> None:
    """Twenty images of the sample, two a class, written as PNG files."""
    sample = packaged.test_sample()
    for index, label in enumerate(LABELS):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for rank, position in enumerate(np.flatnonzero(sample.labels == index)[:2]):
            picture = Image.fromarray(sample.images[position])
            picture.save(tmp_path / "mine" / label / f"{rank}.png")
    models = [exports / "net.keras", exports / "net-int8.tflite"]
    limits = ["--max-accuracy-drop", "100%", "--min-agreement", "0", "--json", "-q"]
    ours = run(*models, *limits, "--eval-data", tmp_path / "mine")
    theirs = run(*models, *limits, "--limit", "20")
    assert (ours.returncode, theirs.returncode) == (0, 0), ours.stdout
    mine, split = json.loads(ours.stdout), json.loads(theirs.stdout)
    assert (mine["split"]["name"], split["split"]["name"]) == ("mine", "test-sample[:20]")
    for key in ("max_score_error", "agreeing", "reference_correct", "candidate_correct"):
        one, other = (document["candidates"][0]["parity"][key] for document in (mine, split))
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.keras"], 2, "expected REFERENCE and one or more CANDIDATE"),
        (["missing.keras", "missing.onnx"], 4, "missing.onnx: cannot be read"),
        (
            ["a.bin", "b.onnx"],
            4,
            "a.bin: is not a model this runs, expected a .keras, .tflite or .onnx file",
        ),
        (["seed.h5", "seed.h5"], 4, "seed.h5: is not a .keras file"),
        (["--from-outputs", "missing.npz"], 3, "missing.npz: cannot be read"),
    ],
)
def test_failures_end_with_their_documented_exit_code_in_one_line(
    arguments: list[str], code: int, message: str
) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_split_that_was_not_fetched_and_a_missing_folder_are_exit_3(
    tiny_onnx: Path, tmp_path: Path
) -> None:
    models = [tiny_onnx, tiny_onnx]
    unfetched = run(*models, "--split", "test", CIFAR_EDGE_CACHE=str(tmp_path))
    assert (unfetched.returncode, "cifar-data fetch" in unfetched.stderr) == (3, True)
    missing = run(*models, "--eval-data", tmp_path / "none")
    assert (missing.returncode, "is not a folder of images" in missing.stderr) == (3, True)


def test_a_terminal_without_check_marks_reads_words(tiny_onnx: Path) -> None:
    ended = run(tiny_onnx, tiny_onnx, "--limit", "10", "-q", PYTHONIOENCODING="ascii")
    assert ended.returncode == 0, ended.stderr
    assert "  [pass] agreement 100.00 % >= 97.00 %\n" in ended.stdout


def test_nothing_heavy_is_imported_before_it_is_asked_for(tiny_onnx: Path, tmp_path: Path) -> None:
    saved = tmp_path / "o.npz"
    assert run(tiny_onnx, tiny_onnx, "--limit", "10", "--save-outputs", saved).returncode == 0
    for arguments, forbidden in (
        (["--help"], ("numpy", "tensorflow", "keras")),
        (["--from-outputs", str(saved)], ("tensorflow", "keras", "onnx", "onnxruntime")),
        ([str(tiny_onnx)] * 2 + ["--limit", "5"], ("tensorflow", "keras", "onnx")),
    ):
        program = (
            "import sys\nfrom cifar_eval.commands.parity import main\n"
            f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
            f"sys.exit(', '.join(m for m in {forbidden!r} if m in sys.modules) or None)"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
