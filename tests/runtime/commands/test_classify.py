"""The installed ``cifar-classify``: what it prints, where, and how it exits."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cifar_fixtures.classify_command import COLOURS, SCRIPT, classify


def test_the_table_for_people(any_model: Path, folder: Path) -> None:
    found = classify("red.png", "blue.png", "-m", any_model, cwd=folder)
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0] == "image     label  probability"
    assert [line.split()[:2] for line in lines[1:]] == [["red.png", "red"], ["blue.png", "blue"]]
    assert all(line.endswith(" %") and len(line) == len(lines[0]) for line in lines[1:])


def test_top_k_gives_more_rows_and_q_no_heading(tflite_model: Path, folder: Path) -> None:
    found = classify("red.png", "-m", tflite_model, "-k", "3", "-q", cwd=folder)
    rows = [line.split() for line in found.stdout.splitlines()]
    assert [row[0] for row in rows] == ["red.png"] * 3
    assert rows[0][1] == "red"
    assert {row[1] for row in rows} == {"red", "green", "blue"}


def test_an_unsure_answer_is_said_to_be_one_in_every_form(publish: Any, folder: Path) -> None:
    model = publish.onnx(contract=publish.calibrated(temperature=50.0, threshold=0.5))
    table = classify("red.png", "-m", model, "-k", "2", cwd=folder)
    lines = table.stdout.splitlines()
    assert lines[0] == "image    label            probability"
    assert lines[1].split()[:3] == ["red.png", "unsure", "(red?)"]
    assert lines[2].split()[1] in ("green", "blue")
    assert len({len(line) for line in lines}) == 1
    document = json.loads(classify("red.png", "-m", model, "--json", cwd=folder).stdout)
    line = json.loads(classify("red.png", "-m", model, "--jsonl", cwd=folder).stdout)
    for found in (document["results"][0], line):
        assert (found["label"], found["abstained"]) == ("red", True)
        assert 1 / 3 < found["probability"] < 0.5


def test_a_folder_is_its_image_files_sorted(any_model: Path, folder: Path) -> None:
    found = classify(folder, "-m", any_model, "--jsonl")
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert [line["image"] for line in lines] == [str(folder / name) for name in COLOURS]
    assert [line["label"] for line in lines] == ["blue", "green", "red"]


def test_stdin_lists_paths(any_model: Path, folder: Path) -> None:
    found = classify("-", "-m", any_model, "-q", stdin=b"green.png\n\nred.png\n", cwd=folder)
    assert [line.split()[1] for line in found.stdout.splitlines()] == ["green", "red"]


def test_an_empty_list_on_stdin_is_an_error(tflite_model: Path) -> None:
    found = classify("-", "-m", tflite_model)
    assert found.returncode == 3
    assert found.stderr == ("cifar-classify: no image was named on stdin. Write one path a line.\n")


def test_the_json_document(any_model: Path, folder: Path) -> None:
    found = classify("red.png", "-m", any_model, "-k", "2", "--json", cwd=folder)
    document = json.loads(found.stdout)
    assert (found.returncode, found.stderr) == (0, "")
    card = json.loads(any_model.with_name(any_model.name + ".json").read_text())
    assert document["schema"] == "cifar-edge/classify/1"
    assert document["model"] == {
        "name": card["name"],
        "sha256": card["model"]["sha256"],
        "format": card["model"]["format"],
        "runtime": {"tflite": "litert", "onnx": "onnxruntime"}[card["model"]["format"]],
        "threads": 1,
    }
    (result,) = document["results"]
    assert (result["image"], result["label"], result["index"]) == ("red.png", "red", 0)
    assert len(result["ranked"]) == 2
    assert result["ranked"][0] == {"label": "red", "probability": result["probability"]}


def test_json_to_a_file_leaves_stdout_empty(tflite_model: Path, folder: Path) -> None:
    found = classify("red.png", "-m", tflite_model, "--json", "out.json", cwd=folder)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    assert json.loads((folder / "out.json").read_text())["results"][0]["label"] == "red"


def test_json_to_a_place_that_takes_no_file_is_an_error(tflite_model: Path, folder: Path) -> None:
    found = classify("red.png", "-m", tflite_model, "--json=notes.txt/out.json", cwd=folder)
    assert found.returncode == 3
    assert json.loads(found.stdout)["error"]["message"] == (
        "notes.txt/out.json: cannot be written: Not a directory."
    )


def test_a_batch_goes_on_after_a_failure(any_model: Path, folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    found = classify("bad.png", "none.png", "red.png", "-m", any_model, "-q", cwd=folder)
    assert found.returncode == 3
    assert [line.split()[:2] for line in found.stdout.splitlines()] == [["red.png", "red"]]
    errors = found.stderr.splitlines()
    assert errors[0].startswith("cifar-classify: bad.png: is not a readable PNG image: ")
    assert errors[1:] == [
        "cifar-classify: none.png: cannot be read: No such file or directory. Check the path."
    ]


@pytest.mark.parametrize("flag", ["--json", "--jsonl"])
def test_a_failure_in_a_json_batch_is_an_object_in_its_place(
    tflite_model: Path, folder: Path, flag: str
) -> None:
    found = classify("none.png", "red.png", "-m", tflite_model, flag, cwd=folder)
    assert (found.returncode, found.stderr) == (3, "")
    results = (
        json.loads(found.stdout)["results"]
        if flag == "--json"
        else [json.loads(line) for line in found.stdout.splitlines()]
    )
    assert results[0] == {
        "image": "none.png",
        "error": {
            "code": "input",
            "exit_code": 3,
            "message": "none.png: cannot be read: No such file or directory.",
            "hint": "Check the path.",
        },
    }
    assert results[1]["label"] == "red"


def test_odd_paths_fail_alone_and_the_others_are_answered(tflite_model: Path, folder: Path) -> None:
    """``Path.is_dir`` raises for a name of over 255 bytes; scandir for the empty name."""
    found = classify("x" * 300 + ".png", "", "red.png", "-m", tflite_model, "-q", cwd=folder)
    assert found.returncode == 3
    assert [line.split()[:2] for line in found.stdout.splitlines()] == [["red.png", "red"]]
    assert found.stderr.splitlines() == [
        f"cifar-classify: {'x' * 300}.png: cannot be read: File name too long. Check the path.",
        "cifar-classify: an empty name is no image. Give the path of an image.",
    ]


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_listed_fails_alone(tflite_model: Path, folder: Path) -> None:
    (folder / "inner").chmod(0)
    found = classify("inner", "red.png", "-m", tflite_model, "-q", cwd=folder)
    (folder / "inner").chmod(0o700)
    assert (found.returncode, found.stdout.split()[:2]) == (3, ["red.png", "red"])
    assert found.stderr == (
        "cifar-classify: inner: cannot be listed: Permission denied. "
        "Check the path and its permissions.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["-m", "m" * 300 + ".tflite"], 4),
        (["-m", "foreign.tflite", "--contract", "c" * 300 + ".json"], 4),
        (["--json", "j" * 300 + ".json"], 3),
    ],
)
def test_names_that_are_too_long_are_refused_in_words(
    tflite_model: Path, folder: Path, arguments: list[str], exit_code: int
) -> None:
    (folder / "foreign.tflite").write_bytes(tflite_model.read_bytes())
    found = classify("red.png", *arguments, cwd=folder)
    assert found.returncode == exit_code
    assert "File name too long" in found.stdout + found.stderr


def test_litter_is_passed_over_and_undecodable_pictures_are_named(
    tflite_model: Path, folder: Path
) -> None:
    (folder / "._red.png").write_bytes(b"\0\5\x16\7")  # what macOS leaves on other file systems
    (folder / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    found = classify(folder, "-m", tflite_model, "--jsonl")
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert found.returncode == 3
    assert [Path(line["image"]).name for line in lines] == ["IMG_1.HEIC", *COLOURS]
    assert "is not an image of a known format" in lines[0]["error"]["message"]


def test_answers_leave_before_the_list_on_stdin_ends(tflite_model: Path, folder: Path) -> None:
    arguments = [SCRIPT, "-", "-m", str(tflite_model), "--jsonl"]
    with subprocess.Popen(
        arguments, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for name in ("red.png", "none.png", "blue.png"):
            process.stdin.write(f"{name}\n".encode())
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert answer["image"] == name
            assert answer.get("label", "") in ("red", "blue", "")
        process.stdin.close()
        assert process.wait(timeout=60) == 3


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["-0"], b"green.png\0two\nlines.png\0"),
        (["--null"], b"green.png\0two\nlines.png"),
    ],
)
def test_nul_separates_names_that_hold_line_breaks(
    tflite_model: Path, folder: Path, arguments: list[str], stdin: bytes
) -> None:
    (folder / "red.png").rename(folder / "two\nlines.png")
    found = classify("-", *arguments, "-m", tflite_model, "--jsonl", stdin=stdin, cwd=folder)
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert [(line["image"], line["label"]) for line in lines] == [
        ("green.png", "green"),
        ("two\nlines.png", "red"),
    ]


def test_a_list_with_a_byte_order_mark_and_carriage_returns(
    tflite_model: Path, folder: Path
) -> None:
    found = classify(
        "-", "-m", tflite_model, "-q", stdin=b"\xef\xbb\xbfgreen.png\r\nred.png\r\n", cwd=folder
    )
    assert [line.split()[:2] for line in found.stdout.splitlines()] == [
        ["green.png", "green"],
        ["red.png", "red"],
    ]


def test_a_list_without_an_end_is_refused(tflite_model: Path) -> None:
    found = classify("-", "-m", tflite_model, "--jsonl", stdin=b"x" * 200_000)
    assert found.returncode == 3
    assert json.loads(found.stdout)["error"]["message"] == (
        "stdin: a path is longer than 65536 bytes."
    )


def test_one_failing_image_is_one_line(tflite_model: Path, folder: Path) -> None:
    found = classify("notes.txt", "-m", tflite_model, cwd=folder)
    assert (found.returncode, found.stdout) == (3, "")
    assert found.stderr == (
        "cifar-classify: notes.txt: is not an image of a known format, expected one of "
        "PNG, JPEG, WEBP, GIF, BMP, TIFF, PPM. Save it as PNG or JPEG.\n"
    )


def test_one_failing_image_with_json_is_an_error_object(tflite_model: Path, folder: Path) -> None:
    found = classify("none.png", "-m", tflite_model, "--json", cwd=folder)
    assert (found.returncode, found.stderr) == (3, "")
    assert json.loads(found.stdout)["error"]["exit_code"] == 3


def test_a_folder_without_images_is_said(tflite_model: Path, folder: Path) -> None:
    found = classify("inner", "-m", tflite_model, cwd=folder)
    assert found.returncode == 3
    assert found.stderr.startswith("cifar-classify: inner: is a folder, expected an image file.")


def test_exit_codes_of_usage_and_artefacts(tflite_model: Path, folder: Path) -> None:
    too_many = classify("red.png", "-m", tflite_model, "-k", "4", cwd=folder)
    assert (too_many.returncode, too_many.stdout) == (2, "")
    assert too_many.stderr == (
        "cifar-classify: -k is 4, expected at most 3: tiny-tflite has that many labels. "
        "Give a smaller -k.\n"
    )
    mismatch = classify("red.png", "-m", tflite_model, "--runtime", "onnx", cwd=folder)
    assert mismatch.returncode == 2
    assert classify("red.png", "-m", "none.tflite", cwd=folder).returncode == 4
    assert classify("red.png", "-m", "red.png", cwd=folder).returncode == 4
    assert classify("--wrong").returncode == 2


def test_help_and_version_are_results(tmp_path: Path) -> None:
    found = classify("--help", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert "exit codes:" in found.stdout
    assert classify("--version").stdout.startswith("cifar-classify ")


def test_v_notes_the_model_on_stderr(onnx_model: Path, folder: Path) -> None:
    found = classify("red.png", "-m", onnx_model, "-v", cwd=folder)
    assert found.stderr.startswith("cifar-classify: tiny-onnx (sha256 ")
    assert found.stderr.endswith("), onnxruntime, 1 thread\n")


def test_names_that_are_no_text_stay_one_line(tflite_model: Path, folder: Path) -> None:
    name = b"od\xffd\n.png"
    with open(os.path.join(os.fsencode(folder), name), "wb") as stream:  # noqa: PTH118, PTH123
        stream.write((folder / "red.png").read_bytes())
    found = classify(folder, "-m", tflite_model, "-q")
    rows = found.stdout.splitlines()
    assert (found.returncode, len(rows)) == (0, 4)
    assert "od\\udcffd\\n.png" in found.stdout


def test_nothing_is_left_in_the_working_directory(onnx_model: Path, folder: Path) -> None:
    before = sorted(folder.iterdir())
    classify("red.png", "-m", onnx_model, cwd=folder)
    assert sorted(folder.iterdir()) == before


def test_onnxruntime_writes_nothing_to_the_home_folder(onnx_model: Path, folder: Path) -> None:
    """CI=true alone would silence its telemetry, so it is unset here."""
    home = folder.parent / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    for name in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY"):
        environment.pop(name, None)
    subprocess.run(
        [SCRIPT, "red.png", "-m", str(onnx_model)],
        cwd=folder,
        env={**environment, "HOME": str(home)},
        capture_output=True,
        check=True,
    )
    assert list(home.rglob("*")) == []
