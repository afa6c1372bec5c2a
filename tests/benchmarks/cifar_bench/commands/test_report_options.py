"""Saved reports, drawn and judged by the installed command: files, streams and exit codes."""

import json
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cifar_bench.commands.bench import parse
from cifar_bench.commands.report_options import ReportOptions
from cifar_bench.page.page import html_page
from cifar_bench.regression.limits import RegressionLimits
from cifar_bench.results.report import Report
from cifar_bench.tables.csv import csv_table
from cifar_bench.tables.plain import plain_table
from cifar_runtime.errors import UsageError

SCRIPT = Path(sysconfig.get_path("scripts")) / "cifar-bench"


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        ([], {}),
        (["--html", "r.html", "--csv"], {"html": Path("r.html"), "csv": "-"}),
        (
            ["--from-report", "r.json", "--csv", "r.csv"],
            {"from_report": Path("r.json"), "csv": "r.csv"},
        ),
        (["--baseline", "old.json"], {"baseline": Path("old.json")}),
        (
            ["--baseline", "old.json", "--max-slowdown", "25%", "--max-accuracy-drop", "1pp"],
            {
                "baseline": Path("old.json"),
                "limits": RegressionLimits(max_slowdown=0.25, max_accuracy_drop=0.01),
            },
        ),
    ],
)
def test_arguments_become_a_drawing(argv: list[str], options: dict[str, Any]) -> None:
    assert parse(argv).options == ReportOptions(**options)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--max-slowdown", "10%"],
            "cifar-bench: --max-slowdown and --max-accuracy-drop limit what --baseline compares. "
            "Give --baseline REPORT.json or --baseline MODEL as well.",
        ),
        (
            ["--from-report", "r.json", "--baseline", "old.tflite"],
            "cifar-bench: --from-report measures nothing, so old.tflite cannot be measured either. "
            "Give a saved report as --baseline.",
        ),
        (
            ["m.onnx", "old.tflite", "--baseline", "old.tflite"],
            "cifar-bench: --baseline old.tflite is to be measured beside another .tflite model, but "
            "none is given. Give the model that is to be judged.",
        ),
        (
            ["--from-report", "r.json", "m.tflite"],
            "cifar-bench: --from-report measures nothing, so no models go with it. "
            "Give it --html, --csv, --markdown, --json or --baseline only.",
        ),
        (
            ["--from-report", "r.json", "--quick", "--threads", "2", "--no-roofline"],
            "cifar-bench: --from-report measures nothing, so nothing comes of --threads, "
            "--roofline, --quick. Give it --html, --csv, --markdown, --json or --baseline only.",
        ),
        (
            ["--html", "-"],
            "cifar-bench: --html writes a file, not to stdout. Give --html FILE.html.",
        ),
        (
            ["--csv", "--json"],
            "cifar-bench: --json and --csv both claim stdout. Give one of them a FILE.",
        ),
        (
            ["--html", "m.tflite"],
            "cifar-bench: --html would write to m.tflite, expected a name that ends in .html. "
            "Give MODEL before --html, or --html FILE.html.",
        ),
        (
            ["--baseline", "r.json", "--max-slowdown", "10"],
            "cifar-bench: argument --max-slowdown: '10' is not a share such as 0.005, 0.5% or "
            "0.5pp. See cifar-bench --help.",
        ),
    ],
)
def test_arguments_that_make_no_sense_are_usage_errors(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(argv)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "option",
    [
        ["--runtimes", "all"],
        ["--contract", "cifar10-unit"],
        ["--split", "test"],
        ["--eval-data", "photos"],
        ["--limit", "9"],
        ["--threads", "2"],
        ["--batch-sizes", "1"],
        ["--warmup", "1"],
        ["--runs", "9"],
        ["--max-seconds", "0"],
        ["--cold-starts", "0"],
        ["--roofline"],
        ["--no-roofline"],
        ["--profile"],
        ["--quick"],
        ["--target", "ssh://board"],
        ["--target-python", "python3"],
    ],
)
def test_an_option_of_measuring_beside_a_saved_report_is_named(option: list[str]) -> None:
    name = option[0].replace("--no-", "--")
    with pytest.raises(UsageError, match=rf"measures nothing, so nothing comes of {name}\."):
        parse(["--from-report", "r.json", *option])


@pytest.fixture
def saved(report: Report, tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    path.write_text(report.to_text())
    return path


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def slowed(report: Report, factor: float) -> Report:
    def scaled(samples_ns: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(int(one * factor) for one in taken) for taken in samples_ns)

    models = [
        replace(
            model,
            latency=replace(model.latency, samples_ns=scaled(model.latency.samples_ns)),
        )
        for model in report.models
    ]
    return replace(report, models=tuple(models))


def test_a_saved_report_is_drawn_without_measuring(
    saved: Path, report: Report, tmp_path: Path
) -> None:
    page, table = tmp_path / "report.html", tmp_path / "report.csv"
    ended = run("--from-report", saved, "--html", page, "--csv", table)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, plain_table(report), "")
    assert page.read_text() == html_page(report)
    assert table.read_text() == csv_table(report)


def test_a_slowed_model_is_exit_5_with_a_sentence_for_each_failed_gate(
    saved: Path, report: Report, tmp_path: Path
) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text(slowed(report, 1.5).to_text())
    ended = run("--from-report", slow, "--baseline", saved, "--max-slowdown", "10%")
    assert (ended.returncode, ended.stderr) == (5, "")
    lines = ended.stdout.splitlines()
    assert "Against the baseline of 2026-11-22T12:00:00Z: 3 of 6 gates failed." in lines
    assert lines[-1].startswith(
        "seed-cnn-int8: median latency 129 µs, now 193 µs (+50.0 %, 95 % interval "
    )
    assert "failed, limit 10 % (p " in lines[-1]
    allowed = run("--from-report", slow, "--baseline", saved, "--max-slowdown", "60%")
    assert allowed.returncode == 0
    assert "6 gates passed." in allowed.stdout


def test_the_verdict_leaves_a_document_on_stdout_alone(
    saved: Path, report: Report, tmp_path: Path
) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text(slowed(report, 1.5).to_text())
    ended = run("--from-report", slow, "--baseline", saved, "--json")
    assert ended.returncode == 5
    assert json.loads(ended.stdout)["schema"] == "cifar-edge/bench/1"
    assert "3 of 6 gates failed." in ended.stderr


def test_a_baseline_of_another_machine_is_refused_before_anything_is_measured(
    saved: Path, tiny_onnx: Path
) -> None:
    ended = run(tiny_onnx, "--baseline", saved)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert (
        "cifar-bench: the baseline was measured on another machine (processor Exam" in ended.stderr
    )
    assert ended.stderr.count("\n") == 1


def test_a_boards_baseline_is_not_compared_with_this_machine(
    saved: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    ended = run(tiny_onnx, "--baseline", saved, "--target", "ssh://board")
    assert (ended.returncode, ended.stdout) == (6, "")
    assert ended.stderr.startswith("cifar-bench: --target needs the OpenSSH client")


def test_a_model_as_baseline_is_measured_with_the_references() -> None:
    invocation = parse(["new.onnx", "--against", "net.keras", "--baseline", "old.onnx"])
    assert invocation.recipe.against == (Path("net.keras"), Path("old.onnx"))
    assert invocation.recipe.models == (Path("new.onnx"),)
    assert parse(["new.onnx", "--baseline", "old.json"]).recipe.against == ()


def test_a_model_is_judged_beside_an_older_one_of_its_name(tiny_onnx: Path, tmp_path: Path) -> None:
    """The same bytes twice, and a limit that no disturbance reaches: it is the road that is tested."""
    pytest.importorskip("onnxruntime")
    new = tmp_path / tiny_onnx.name
    for suffix in ("", ".json"):
        shutil.copy(f"{tiny_onnx}{suffix}", f"{new}{suffix}")
    few = ["--limit", "20", "--runs", "50", "--max-seconds", "0", "--cold-starts", "0", "-q"]
    ended = run(new, "--baseline", tiny_onnx, "--max-slowdown", "100%", *few, "--no-roofline")
    assert ended.returncode == 0, ended.stderr
    printed = ended.stdout.splitlines()
    head = next(place for place, line in enumerate(printed) if line.startswith("Against the base"))
    # What is not steady on the machine that tests run on stands between.
    lines = [printed[head], *printed[-2:]]
    assert lines[0] == (
        "Against the baseline tiny-float32.onnx #1, measured in the same rounds: 2 gates passed."
    )
    assert lines[1].startswith("tiny-float32.onnx #2: median latency ")
    assert lines[2].startswith("tiny-float32.onnx #2: accuracy ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "is not a benchmark report: 'utf-8' codec"),
        (b"[]", "is not a benchmark report"),
        (b'{"schema": "cifar-edge/parity/1"}', "schema is 'cifar-edge/parity/1', expected"),
    ],
)
def test_a_file_that_is_no_report_is_exit_3(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    ended = run("--from-report", path)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert message in ended.stderr


def test_options_are_parsed_without_numpy_and_jinja2() -> None:
    code = (
        "import sys, cifar_bench.commands.report_options; "
        "sys.exit(any(m in sys.modules for m in ('numpy', 'jinja2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
