"""The command line: a table of what it means, its streams and its exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cifar_fixtures.recipes import changed, export_recipe

from cifar_export.advice import advice, arguments
from cifar_export.commands.export import main, parse, recipe_from
from cifar_export.recipe import ConfidenceRecipe, QatRecipe, RobustnessRecipe
from cifar_runtime.errors import UsageError

PROGRAM = Path(sys.executable).parent / "cifar-export"


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("", {}),
        ("-f onnx --quantize int8", {"formats": ("onnx",), "quantize": ("int8",)}),
        (
            "--format tflite,onnx --quantize none,int8",
            {"formats": ("tflite", "onnx"), "quantize": ("none", "int8")},
        ),
        ("--calibration-samples 64 --seed 5", {"calibration_samples": 64, "seed": 5}),
        ("--calibration-data pictures", {"calibration_data": Path("pictures")}),
        (
            "--max-accuracy-drop 1pp --min-agreement 97%",
            {"max_accuracy_drop": 0.01, "min_agreement": 0.97},
        ),
        ("--min-accuracy 65%", {"min_accuracy": 0.65}),
        ("--quantize 8,w8a16,w8a32", {"quantize": ("int8", "int16x8", "dynamic")}),
        ("--quantize int8,w8a8", {"quantize": ("int8",)}),
        (
            "--quantize int8 --qat --qat-backend tfmot --qat-steps 3 --qat-learning-rate 1e-5",
            {
                "quantize": ("int8",),
                "qat": QatRecipe(backend="tfmot", steps=3, learning_rate=1e-5),
            },
        ),
        (
            "-f onnx --quantize int8 --calibration-method percentile",
            {"formats": ("onnx",), "quantize": ("int8",), "calibration_method": "percentile"},
        ),
        (
            "--labels l.txt --input-range=-1..1 --output-kind logits --eval-data e --resize-filter lanczos",
            {
                "labels": Path("l.txt"),
                "input_range": "-1..1",
                "output_kind": "logits",
                "eval_data": Path("e"),
                "resize_filter": "lanczos",
            },
        ),
        ("--confidence", {"confidence": ConfidenceRecipe()}),
        (
            "--confidence --coverage 90% --confidence-data d --robustness 500",
            {
                "confidence": ConfidenceRecipe(coverage=0.9, data=Path("d")),
                "robustness": RobustnessRecipe(images=500),
            },
        ),
        ("--custom-objects own:Gate,own:squashed", {"custom_objects": "own:Gate,own:squashed"}),
        ("--label-threshold 30%", {"label_threshold": 0.3}),
        ("--jpeg-decoding reduced", {"jpeg_decoding": "reduced"}),
        ("--input-size 64x48 --output-name aux", {"input_size": (64, 48), "output_name": "aux"}),
        ("--golden 9", {"golden": 9}),
        ("--robustness sample", {"robustness": RobustnessRecipe(images=None)}),
        (
            "--contract cifar10-unit --output-kind logits",
            {"contract": "cifar10-unit", "output_kind": "logits"},
        ),
        (
            "--eval-split test-sample --force -v",
            {"eval_split": "test-sample", "force": True, "verbose": True},
        ),
    ],
)
def test_a_command_line_is_a_recipe(line: str, changes: dict[str, object]) -> None:
    found = recipe_from(parse(["-o", "out", *line.split()]), checkpoint=Path("m.keras"))
    changes = {"quantize": ("int8",), **changes}
    assert found == export_recipe(checkpoint=Path("m.keras"), output=Path("out"), **changes)  # type: ignore[arg-type]
    assert recipe_from(parse(arguments(found)), checkpoint=Path("m.keras")) == found


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "-f tflite,onnx --quantize none,int16x8",
            "onnx int16x8: onnxruntime has no CPU kernels for 16-bit activations with 8-bit weights, "
            "expected one of tflite: none, fp16, dynamic, int8, int8-float-io, int8-uint8-io, int16x8; "
            "onnx: none, fp16, dynamic, int8, int8-float-io, int8-uint8-io. Give --format tflite for int16x8.",
        ),
        (
            "-f tflite,onnx --quantize int8 --calibration-method entropy",
            "tflite int8 with calibration method entropy: TensorFlow Lite's converter takes minimum and "
            "maximum only, expected minmax. Give --format onnx for the others, or leave "
            "--calibration-method out.",
        ),
        (
            "--quantize none --qat",
            "QAT with --quantize none: it trains for int8, expected one of int8, int8-float-io, int8-uint8-io "
            "among them. Give --quantize int8, or leave --qat out.",
        ),
        *(
            (
                f"--contract mine.json {flag}={value}",
                f"--contract mine.json and {flag} both state what the checkpoint takes and says. "
                f"Leave {flag} out, and state it in the contract.",
            )
            for flag, value in (
                ("--labels", "l.txt"),
                ("--input-range", "0..255"),
                ("--resize-filter", "bicubic"),
                ("--jpeg-decoding", "reduced"),
            )
        ),
        (
            "--resize-filter bilinear-no-antialias --jpeg-decoding reduced",
            "--jpeg-decoding reduced: averages pixels that bilinear-no-antialias leaves out. "
            "Leave it out: such a model takes JPEGs in full.",
        ),
        ("--qat-steps 2", "cifar-export: --qat-steps without --qat trains nothing. Add --qat."),
        (
            "--coverage 90%",
            "cifar-export: --coverage without --confidence fits nothing. Add --confidence.",
        ),
        (
            "--confidence-data d",
            "cifar-export: --confidence-data without --confidence fits nothing. Add --confidence.",
        ),
        (
            "--confidence --coverage 0",
            "coverage is 0.0, expected a share above 0, up to 1. "
            "95% leaves 19 of 20 images their answer.",
        ),
        (
            "--quantize int8 --labels l --eval-data d --calibration-data d",
            "d: is given for calibration and for evaluation, expected different images. "
            "Calibrate on training images.",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_does(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipe_from(parse(["-o", "out", *line.split()]), checkpoint=Path("m.keras"))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("calibration", "judged", "refusal"),
    [
        ("data/./train", "data/train", "is given for calibration and for evaluation"),
        ("link", "data/train", "is given for calibration and for evaluation"),
        ("data", "data/test", "one holds the other"),
        ("data/train/cat", "data/train", "one holds the other"),
        ("link", "data/test", None),
        ("data/te", "data/test", None),
    ],
)
def test_calibration_and_evaluation_folders_share_no_image(
    calibration: str, judged: str, refusal: str | None, tmp_path: Path
) -> None:
    for name in ("train/cat", "test", "te"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data" / "train")
    stated = {
        "checkpoint": Path("m.keras"),
        "output": Path("out"),
        "labels": Path("l.txt"),
        "calibration_data": Path(f"{tmp_path}/{calibration}"),
        "eval_data": tmp_path / judged,
    }
    if refusal is None:
        export_recipe(**stated)  # type: ignore[arg-type]
        return
    with pytest.raises(UsageError, match=refusal):
        export_recipe(**stated)  # type: ignore[arg-type]


def test_a_failed_int8_is_told_to_train_where_the_train_split_fits() -> None:
    plain = export_recipe(checkpoint=Path("m.keras"), output=Path("out"), quantize=("int8",))
    own_labels = changed(plain, labels=Path("labels.txt"))
    one_image = changed(plain, calibration_data=Path("folder"))
    assert advice(one_image, ("int8",), folder_is_used_up=True).startswith("Put more images into")
    assert (
        advice(plain, ("int8",)) == "Next: cifar-export m.keras --quantize=int8 --qat --output=out"
    )
    assert advice(own_labels, ("int8",)) == (
        "Next: cifar-export m.keras --quantize=int8 --labels=labels.txt --calibration-samples=2048 "
        "--output=out"
    )
    own_folder = changed(own_labels, calibration_data=Path("folder"))
    assert advice(own_folder, ("int8",), folder_is_used_up=True) == (
        "Put more images into folder, which were all used, "
        "or accept it by --max-accuracy-drop and --min-agreement."
    )
    both = changed(own_folder, eval_data=Path("test"))
    assert "--qat" in advice(both, ("int8",), folder_is_used_up=True, num_images=300)
    assert advice(both, ("int8",), folder_is_used_up=True, num_images=1).startswith("Put more")
    halved = changed(plain, eval_data=Path("test"), input_size=(64, 48))
    assert advice(halved, ("int8",), num_images=300) == (
        "Next: cifar-export m.keras --quantize=int8 --input-size=64x48 --eval-data=test --qat --output=out"
    )
    assert advice(halved, ("int8",), num_images=39) == (
        "Give --calibration-data a few hundred typical training images."
    )
    assert advice(halved, ("int8",), num_images=306, can_be_trained=False) == (
        "Export another precision, or accept it by --max-accuracy-drop and --min-agreement."
    )
    only_onnx = changed(own_folder, formats=("onnx",))
    assert advice(only_onnx, ("int8",), folder_is_used_up=True) == (
        "Put more images into folder, which were all used, try --calibration-method percentile, "
        "or accept it by --max-accuracy-drop and --min-agreement."
    )


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    line = [str(checkpoint), "-o", str(output), "--quantize", "none,int8", "--dry-run", "-q"]
    assert main(line) == 0
    out, err = capfd.readouterr()
    assert out.splitlines() == [
        f"{output / 'small-float32.tflite'}",
        "  takes        float32 32x32x3 RGB, raw pixels",
        "  gives        float32 probabilities of 10 classes",
        "  gate         drop <= 0.5 points, agreement >= 99.9%",
        f"{output / 'small-int8.tflite'}",
        "  takes        int8 32x32x3 RGB, pixel - 128",
        "  gives        int8 probabilities of 10 classes",
        "  calibration  512 images of CIFAR-10's train split, minmax",
        "  gate         drop <= 0.5 points, agreement >= 97.0%",
        "",
        "the same as a file for --config:",
        f'checkpoint = "{checkpoint}"',
        'quantize = "none,int8"',
        f'output = "{output}"',
    ]
    assert (err, output.exists()) == ("", False)
    config = tmp_path / "export.toml"
    config.write_text("\n".join(out.splitlines()[-3:]))
    assert vars(parse(["--config", str(config)])) == {
        **vars(parse(line)),
        "config": str(config),
        "dry_run": False,
        "quiet": False,
    }


def test_a_dry_run_needs_the_data_set_where_the_export_would_train_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CIFAR_EDGE_CACHE", str(tmp_path / "empty"))
    line = ["-o", str(tmp_path / "out"), "--quantize", "int8", "--qat", "--dry-run", "-q"]
    assert main(line) == 3
    assert "cifar-data fetch" in capfd.readouterr().err


def test_a_dry_run_names_the_images_of_confidence_and_robustness(
    checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    measured = ["--confidence", "--coverage", "90%", "--robustness", "500"]
    assert main([str(checkpoint), "-o", str(tmp_path), *measured, "--dry-run", "-q"]) == 0
    plan, _, _ = capfd.readouterr().out.partition("\n\n")
    assert plan.splitlines()[-3:-1] == [
        "  confidence   fitted on CIFAR-10's validation split, 90% of it answered",
        "  robustness   on 500 images of CIFAR-10's validation split",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--quantise none", "--quantise (did you mean --quantize?)"),
        (
            "-o d --format tfite",
            "'tfite' is not one of tflite, onnx, c, tflm, vela, web (did you mean tflite?)",
        ),
        (
            "-o d --quantize none,int4",
            "'int4' is not one of none, fp16, dynamic, int8, int8-float-io, int8-uint8-io, int16x8 "
            "(did you mean int8?)",
        ),
        ("-o d --max-accuracy-drop lots", "'lots' is not a share such as 0.005, 0.5% or 0.5pp"),
        ("-o d --coverage 95", "'95' is not a share such as 0.005, 0.5% or 0.5pp"),
        ("-o d --robustness many", "'many' is not a whole number above zero, nor 'sample'"),
        ("-o d --seed -1", "'-1' is not a whole number from zero up"),
        ("-o d --calibration-samples 0", "'0' is not a whole number above zero"),
        (
            "-o d --json mine.keras",
            "--json would write to mine.keras, expected a name that ends in .json. "
            "Give CHECKPOINT before --json, or --json FILE.json.",
        ),
    ],
)
def test_a_senseless_command_line_says_what_would_make_sense(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split())
    assert message in str(caught.value)


def test_the_command_publishes_and_says_what_to_do_next(
    checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["--quantize", "none", "-o", str(tmp_path), "--eval-split", "test-sample"]
    assert main([str(checkpoint), *options]) == 0
    out, err = capfd.readouterr()
    result, following = out.splitlines()
    path = tmp_path / "small-float32.tflite"
    assert result.startswith(f"{path}  {path.stat().st_size:,} bytes  top-1 ")
    assert result.endswith("on 1,000 images of test-sample  passed")
    assert following == f"next: cifar-classify IMAGE -m {path}"
    assert err.splitlines()[0] == f"cifar-export: opening {checkpoint}"


def test_json_is_the_only_thing_on_stdout(
    checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = [str(checkpoint), "-o", str(tmp_path), "--quantize", "none"]
    assert main([*line, "--eval-split", "test-sample", "-q", "--json"]) == 0
    out, err = capfd.readouterr()
    document = json.loads(out)
    assert document["schema"] == "cifar-edge/export/1"
    assert [entry["name"] for entry in document["artefacts"]] == ["small-float32"]
    assert err == ""


def test_json_to_a_file_leaves_the_table_on_stdout(
    checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    line = [str(checkpoint), "-o", str(tmp_path), "--quantize", "none"]
    assert main([*line, "--eval-split", "test-sample", "--json", str(report)]) == 0
    assert json.loads(report.read_text())["artefacts"][0]["num_images"] == 1000
    assert "next: cifar-classify" in capfd.readouterr().out


def test_a_bad_checkpoint_is_exit_code_4_through_the_installed_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [PROGRAM, tmp_path / "none.keras", "-o", tmp_path, "-q"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        f"cifar-export: {tmp_path / 'none.keras'}: cannot be read: No such file or directory. Check the path.\n"
    )


def test_help_needs_neither_numpy_nor_tensorflow() -> None:
    code = (
        "import sys, cifar_export.commands.export as cli\n"
        "try: cli.parse(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'tensorflow', 'keras', 'onnx', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert "exit codes:" in done.stdout
