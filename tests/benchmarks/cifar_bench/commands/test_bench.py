"""The command line as a table, and the installed script's streams and exit codes."""

import json
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cifar_bench.commands.bench import Invocation, main, parse
from cifar_bench.recipe import QUICK, BenchRecipe, Effort
from cifar_bench.results.report import report_from_text
from cifar_runtime.errors import UsageError

SCRIPT = Path(sysconfig.get_path("scripts")) / "cifar-bench"


@pytest.mark.parametrize(
    ("argv", "recipe", "rest"),
    [
        ([], {}, {}),
        (["a.tflite", "b.onnx"], {"models": (Path("a.tflite"), Path("b.onnx"))}, {}),
        (
            ["--against", "a.keras", "--against", "b.keras", "m.tflite"],
            {"models": (Path("m.tflite"),), "against": (Path("a.keras"), Path("b.keras"))},
            {},
        ),
        (["--split", "test", "--limit", "9"], {"split": "test", "limit": 9}, {}),
        (["--eval-data", "photos"], {"eval_data": Path("photos")}, {}),
        (
            ["--runtimes", "litert,keras", "--profile"],
            {"runtimes": ("litert", "keras"), "profile": True},
            {},
        ),
        (
            ["--threads", "2,1", "--warmup", "3", "--runs", "4", "--max-seconds", "0.5"],
            {"threads": (2, 1), "effort": Effort(warmup=3, runs=4, max_seconds=0.5)},
            {},
        ),
        (
            ["--batch-sizes", "16", "--cold-starts", "0", "--no-roofline"],
            {"effort": Effort(batch_sizes=(16,), cold_starts=0, roofline=False)},
            {},
        ),
        (["--quick"], {"effort": QUICK}, {}),
        (["--quick", "--runs", "9"], {"effort": replace(QUICK, runs=9)}, {}),
        (["--json", "-q"], {}, {"json": "-", "quiet": True}),
        (["--json", "r.json", "--markdown"], {}, {"json": "r.json", "markdown": "-"}),
    ],
)
def test_arguments_become_an_invocation(
    argv: list[str], recipe: dict[str, Any], rest: dict[str, Any]
) -> None:
    defaults: dict[str, Any] = {"json": None, "markdown": None, "quiet": False}
    assert parse(argv) == Invocation(
        recipe=BenchRecipe(**recipe), command=("cifar-bench", *argv), **{**defaults, **rest}
    )


def test_a_runs_folder_stands_for_its_checkpoint_and_what_was_exported_there(
    tmp_path: Path,
) -> None:
    run = tmp_path / "mine"
    run.mkdir()
    (run / "data.json").write_text("{}")
    checkpoint = run / "model.keras"
    assert parse([str(run)]).recipe == BenchRecipe(models=(checkpoint,), run=run)
    for name in ("model-int8.onnx", "model-int8.tflite", "model-int8.tflite.json"):
        (run / name).touch()
    exported = (run / "model-int8.tflite", run / "model-int8.onnx")
    assert parse([str(run)]).recipe == BenchRecipe(models=exported, against=(checkpoint,), run=run)
    assert parse(["a.tflite", str(run)]).recipe.models == (Path("a.tflite"), *exported)
    for other in (["--split", "test"], ["--target", "ssh://board"], [str(run)]):
        with pytest.raises(UsageError, match="is a run's folder, whose test pictures are scored"):
            parse([str(run), *other])
    assert main([str(tmp_path), "--quick", "-q"]) == 4


def test_a_file_of_options_is_read_and_the_command_line_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(
        'models = ["a.tflite"]\nagainst = "a.keras"\nthreads = [1, 2]\nroofline = false\n'
    )
    given = parse(["--config", str(path), "--threads", "4"])
    assert given.recipe == BenchRecipe(
        models=(Path("a.tflite"),),
        against=(Path("a.keras"),),
        threads=(4,),
        effort=Effort(roofline=False),
    )
    assert given.command == ("cifar-bench", "--config", "bench.toml", "--threads", "4")


def test_a_file_of_options_to_measure_with_is_refused_beside_a_saved_report(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text("runs = 9\n")
    with pytest.raises(UsageError, match="measures nothing, so nothing comes of --runs"):
        parse(["--config", str(path), "--from-report", "report.json"])


def test_the_reports_command_names_no_folder_of_this_machine() -> None:
    argv = ["/home/someone/m.tflite", "models/n.onnx", "--json", "/tmp/r.json"]  # noqa: S108
    assert parse(argv).command == ("cifar-bench", "m.tflite", "models/n.onnx", "--json", "r.json")
    argv = ["models/n.onnx", "--json=/home/someone/r.json"]
    assert parse(argv).command == ("cifar-bench", "models/n.onnx", "--json=r.json")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--split", "tset"],
            "cifar-bench: argument --split: 'tset' is not one of test-sample, test, validation, train, "
            "official-train (did you mean test?). See cifar-bench --help.",
        ),
        (
            ["--runs", "0"],
            "cifar-bench: argument --runs: '0' is not a whole number above zero. "
            "See cifar-bench --help.",
        ),
        (
            ["--json", "model.tflite"],
            "cifar-bench: --json would write to model.tflite, expected a name that ends in .json. "
            "Give MODEL before --json, or --json FILE.json.",
        ),
        (
            ["--split", "test", "--eval-data", "photos"],
            "cifar-bench: --split and --eval-data both name the images. Give one of them.",
        ),
        (
            ["--threads", "1,x"],
            "cifar-bench: argument --threads: 'x' is not a whole number above zero. "
            "See cifar-bench --help.",
        ),
        (
            ["--max-seconds", "nan"],
            "cifar-bench: argument --max-seconds: 'nan' is not a number of seconds, 0 to 86400. "
            "See cifar-bench --help.",
        ),
        (
            ["--json", "--markdown"],
            "cifar-bench: --json and --markdown both claim stdout. Give one of them a FILE.",
        ),
    ],
)
def test_arguments_that_make_no_sense_are_usage_errors(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(argv)
    assert str(caught.value) == message


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_script_prints_one_table_and_writes_the_report(tiny_onnx: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    ended = run(tiny_onnx, "--limit", "50", "--quick", "--runs", "20", "--json", target)
    assert ended.returncode == 0, ended.stderr
    assert "Accuracy: percent, split test-sample[:50], 50 images.\n" in ended.stdout
    assert ended.stdout.count("\ntiny-float32  ") == 2
    assert ended.stderr == (
        "cifar-bench: timing 20 inferences or more of each of one model\n"
        "cifar-bench: scoring 50 images with tiny-float32\n"
    )
    (model,) = report_from_text(target.read_text(), origin="report").models
    assert (model.name, model.accuracy.seen, len(model.latency.samples)) == (
        "tiny-float32",
        50,
        20,
    )


def test_json_on_stdout_is_one_document_and_quiet_is_quiet(tiny_onnx: Path) -> None:
    ended = run(tiny_onnx, "--limit", "10", "--quick", "--runs", "5", "--json", "-q")
    assert (ended.returncode, ended.stderr) == (0, "")
    document = json.loads(ended.stdout)
    assert document["schema"] == "cifar-edge/bench/1"
    assert str(tiny_onnx.parent) not in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--runs", "many"], 2, "argument --runs: 'many' is not a whole number above zero"),
        (["--split", "test"], 3, "cifar-data fetch"),
        (["missing.tflite"], 4, "missing.tflite: cannot be read"),
        (["--against", "seed.h5"], 4, "seed.h5: is not a .keras file"),
    ],
)
def test_failures_end_with_their_documented_exit_code_in_one_line(
    arguments: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path))
    ended = run(*arguments)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.usefixtures("capsys")
def test_a_page_that_cannot_be_drawn_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setattr("cifar_bench.benchmark.bench", None)  # calling it would be exit 1
    assert main(["--quick", "--html", str(tmp_path / "page.html")]) == 6


def test_a_page_that_fails_costs_no_measurement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cifar_bench.page.page.html_page", None)
    report = Path(__file__).parents[4] / "benchmarks" / "reports" / "shipped.json"
    saved, page = tmp_path / "r.json", tmp_path / "page.html"
    arguments = ["--from-report", report, "--json", saved, "--html", page]
    assert main([str(word) for word in arguments]) == 1
    assert report_from_text(saved.read_text("utf-8"), origin="r.json").models
    assert "edge-s" in capsys.readouterr().out


def test_a_model_whose_bytes_changed_is_exit_4(tiny_onnx: Path, tmp_path: Path) -> None:
    changed = tmp_path / tiny_onnx.name
    changed.write_bytes(tiny_onnx.read_bytes() + b"\0")
    card = tiny_onnx.with_name(f"{tiny_onnx.name}.json")
    changed.with_name(card.name).write_bytes(card.read_bytes())
    ended = run(changed)
    assert ended.returncode == 4
    assert "the file changed after export" in ended.stderr


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        (
            "import cifar_bench.commands.bench as c; c.main(['--help'])",
            ("numpy", "tensorflow", "keras"),
        ),
        (
            "import cifar_bench.benchmark",
            ("tensorflow", "keras", "onnx", "onnxruntime", "ai_edge_litert"),
        ),
        ("import cifar_maintain.readme", ("numpy", "tensorflow", "keras")),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_asked_for(
    statement: str, forbidden: tuple[str, ...]
) -> None:
    program = (
        f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\n"
        f"sys.exit(', '.join(m for m in {forbidden!r} if m in sys.modules) or None)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_measuring_exported_models_imports_no_tensorflow(tiny_onnx: Path) -> None:
    program = (
        "import sys\nfrom cifar_bench.commands.bench import main\n"
        f"code = main([{str(tiny_onnx)!r}, '--limit', '5', '--quick', '--runs', '2', '-q'])\n"
        "sys.exit(code or ('tensorflow' in sys.modules) or ('keras' in sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_checkpoint_is_measured_beside_the_models_without_a_word_from_tensorflow(
    tiny_onnx: Path, tiny_keras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    options = ["--limit", "50", "--quick", "--runs", "5", "--warmup", "1", "--threads", "1", "-q"]
    ended = run(tiny_onnx, "--against", tiny_keras, *options)
    assert (ended.returncode, ended.stderr) == (0, "")
    # One thread for both: TensorFlow obeyed, else the line would name each model's threads.
    assert "microseconds, 1 thread, 5 runs in 5 rounds." in ended.stdout
    assert "\nAgainst tiny:\ntiny-float32: drop 0.00 points" in ended.stdout
