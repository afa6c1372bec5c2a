"""``cifar-classify`` in several processes, interrupted, and with a reader that leaves."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from cifar_fixtures.classify_command import COLOURS, SCRIPT, classify
from PIL import Image


def test_two_processes_answer_as_one_does(tflite_model: Path, folder: Path) -> None:
    for number in range(40):  # more than one part for each process
        Image.new("RGB", (8 + number, 9), (6 * number, 0, 255)).save(folder / f"n{number}.png")
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    alone = classify(folder, "missing.png", "-m", tflite_model, "--jsonl")
    both = classify(folder, "missing.png", "-m", tflite_model, "--jsonl", "--jobs", "2")
    assert (both.returncode, both.stdout, both.stderr) == (3, alone.stdout, "")
    lines = [json.loads(line) for line in both.stdout.splitlines()]
    assert len(lines) == 45
    assert ["error" in line for line in lines].count(True) == 2


def test_two_processes_take_a_list_that_arrives(tflite_model: Path, folder: Path) -> None:
    names = "\n".join(str(folder / name) for name in COLOURS).encode()
    found = classify("-", "-m", tflite_model, "--jsonl", "-j", "2", stdin=names)
    assert [Path(json.loads(line)["image"]).name for line in found.stdout.splitlines()] == [
        *COLOURS
    ]


def test_a_process_that_is_killed_ends_the_run_in_words(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, signal\n"
        "from cifar_runtime.errors import ArtefactError\n"
        "from cifar_runtime.system.parallel import answers\n"
        "def ask(path):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if __name__ == '__main__':\n"
        "    try:\n        list(answers(ask, ['a', 'b'], jobs=2))\n"
        "    except ArtefactError as error:\n        print(error)\n"
    )
    found = subprocess.run([sys.executable, script], capture_output=True, timeout=60, check=True)
    assert found.stdout.decode() == (
        "one of 2 processes was killed while it classified, perhaps for memory. Use fewer processes.\n"
    )


def test_a_reader_that_leaves_ends_quietly(tflite_model: Path, folder: Path) -> None:
    arguments = [SCRIPT, "-m", str(tflite_model), "--jsonl", *["red.png"] * 3000]
    with subprocess.Popen(
        arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["label"] == "red"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_ctrl_c_is_130(tflite_model: Path, folder: Path) -> None:
    arguments = [SCRIPT, "-m", str(tflite_model), "--jsonl", *["red.png"] * 30_000]
    with subprocess.Popen(
        arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b"cifar-classify: interrupted\n"
