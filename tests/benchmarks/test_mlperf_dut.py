"""The device under test: the serial protocol as a table, and a runner that plays it over a pseudo-terminal."""

import os
import re
import select
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from cifar_bench.mlperf_cli import parse_dut
from cifar_bench.mlperf_protocol import MAX_COMMAND_BYTES, Device, printed, whole
from cifar_bench.mlperf_recipe import DutRecipe
from cifar_runtime.classifier import Classifier
from cifar_runtime.errors import UsageError
from cifar_train import shipped

SCRIPT = Path(sysconfig.get_path("scripts")) / "cifar-bench"
READY = "m-ready"


class FourBytes:
    """An engine with inputs of four bytes that answers with them, and counts its inferences."""

    input_bytes = 4

    def __init__(self) -> None:
        self.loaded: list[bytes] = []
        self.inferences = 0

    def load(self, data: bytes) -> None:
        self.loaded.append(data)

    def infer(self) -> None:
        self.inferences += 1

    def results(self) -> Sequence[float]:
        return [byte / 256 for byte in self.loaded[-1]]


def a_device(engine: FourBytes | None = None) -> Device:
    """A device whose clock shows 1, 2, 3 microseconds."""
    return Device(engine or FourBytes(), clock_us=count(1).__next__)


def answers(device: Device, *chunks: bytes) -> list[str]:
    lines = [line.decode() for chunk in chunks for line in device.receive(chunk)]
    assert all(line.endswith("\r\n") and "\n" not in line[:-1] for line in lines)
    return [line.removesuffix("\r\n") for line in lines]


INFERRED = [
    "m-warmup-start-2",
    "m-warmup-done",
    "m-infer-start-3",
    "m-lap-us-1",
    "m-lap-us-2",
    "m-infer-done",
    "m-results-[0.000000,0.500000,0.062500,0.996094]",
]
NO_INPUT = "e-[No input: send 'db load N' and N bytes first]"
NO_RESULTS = "e-[No results: send 'infer N' first]"
LOADED = ["m-[Expecting 4 bytes]", READY, "m-load-done", READY]


@pytest.mark.parametrize(
    ("sent", "lines"),
    [
        ("name%", ["m-name-dut-[cifar-edge]", READY]),
        (
            "profile%",
            ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[ic01]", READY],
        ),
        ("timestamp%timestamp%", ["m-lap-us-1", READY, "m-lap-us-2", READY]),
        ("%", [READY]),
        ("\r\n name \r\n%", ["m-name-dut-[cifar-edge]", READY]),
        ("bogus 1%", ["e-[Unknown command: bogus]", READY]),
        ("db%", ["e-[Command 'db' requires a subcommand]", READY]),
        ("db load%", ["e-[Command 'db load' requires the # of bytes]", READY]),
        ("db load 0%", ["e-[Command 'db load' must be >0 bytes]", READY]),
        ("db load x%", ["e-[Command 'db load' must be >0 bytes]", READY]),
        ("db load 3072%", ["e-[Input of 3072 bytes, the model takes 4]", READY]),
        ("db 00%", ["e-[No byte is expected: send 'db load N' first]", READY]),
        ("db print%", [READY]),
        ("db load 4%db 008010FF%", LOADED),
        ("db load 4%db 00%db 801%", [*LOADED[:2], READY, "e-[Insufficent number of hex digits]", READY]),
        ("db load 4%db zz%", [*LOADED[:2], "e-[Invalid hex digit in 'zz']", READY]),
        ("db load 4%db 00801%", [*LOADED[:2], "e-[Insufficent number of hex digits]", READY]),
        # What is beyond the count is disregarded, as in the firmware, but it does not go on behind it.
        ("db load 4%db 008010ffaa%db print%", [*LOADED, "m-buffer-00-80-10-ff", READY]),
        ("db load 4%db 008010ff%db aa%", [*LOADED, "e-[No byte is expected: send 'db load N' first]", READY]),
        ("infer%", [NO_INPUT, READY]),
        ("db load 4%db 00%infer 1 0%", [*LOADED[:2], READY, NO_INPUT, READY]),
        ("infer 0%", ["e-[Inference iterations must be >0]", READY]),
        ("infer x%", ["e-[Inference iterations must be >0]", READY]),
        ("infer 1 -1%", ["e-[Inference warmup must be >=0]", READY]),
        ("results%", [NO_RESULTS, READY]),
        ("db load 4%db 008010ff%infer 3 2%", [*LOADED, *INFERRED, READY]),
        ("db load 4%db 0080%db 10ff%infer 3 2%results%",
         [*LOADED[:2], READY, *LOADED[2:], *INFERRED, READY, INFERRED[-1], READY]),
        # Results of the input before are not those of this one.
        ("db load 4%db 008010ff%infer 3 2%db load 4%db 00000000%results%",
         [*LOADED, *INFERRED, READY, *LOADED, NO_RESULTS, READY]),
        ("exit%name%", []),
        ("name", []),
    ],
)  # fmt: skip
def test_the_protocol(sent: str, lines: list[str]) -> None:
    assert answers(a_device(), sent.encode()) == lines


def test_bytes_may_be_cut_anywhere() -> None:
    whole_text = b"db load 4%db 008010ff%infer 3 2%results%"
    single = [whole_text[i : i + 1] for i in range(len(whole_text))]
    assert answers(a_device(), *single) == answers(a_device(), whole_text)


def test_infer_runs_as_often_as_it_says_on_the_loaded_bytes() -> None:
    engine = FourBytes()
    device = a_device(engine)
    answers(device, b"db load 4%db 008010ff%infer 3 2%")
    assert (engine.inferences, engine.loaded) == (5, [b"\x00\x80\x10\xff"])
    answers(device, b"infer 1%")
    assert engine.inferences == 5 + 10 + 1  # the firmware's warm-up, where none is given
    answers(device, b"infer%")
    assert engine.inferences == 16 + 10 + 1


def test_the_lines_before_the_inferences_come_before_them() -> None:
    """The runner gives up when no line comes for five seconds, and a window lasts ten."""
    engine = FourBytes()
    device = a_device(engine)
    answers(device, b"db load 4%db 008010ff%")
    lines = device.receive(b"infer 3 2%")
    assert next(lines) == b"m-warmup-start-2\r\n"
    assert engine.inferences == 0
    assert [next(lines), next(lines)] == [b"m-warmup-done\r\n", b"m-infer-start-3\r\n"]
    assert engine.inferences == 2


@pytest.mark.parametrize(
    ("sent", "closed"), [(b"name%", False), (b"exit%", True), (b"name%\x04", True)]
)
def test_exit_and_end_of_transmission_close_the_device(sent: bytes, closed: bool) -> None:
    device = a_device()
    answers(device, sent)
    assert device.closed is closed


def test_help_names_every_command() -> None:
    text = answers(a_device(), b"help%")
    assert text[0] == "ULPMark for tinyML Firmware V0.0.1"
    for command in ("help", "name", "timestamp", "db", "infer", "results", "exit"):
        assert any(line.split()[:1] == [command] for line in text)


def test_noise_that_never_ends_is_not_kept() -> None:
    device = a_device()
    for _ in range(5):
        assert answers(device, b"x" * MAX_COMMAND_BYTES) == []
    assert answers(device, b"%") == [f"e-[Unknown command: {'x' * MAX_COMMAND_BYTES}]", READY]


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("12x", 12), ("-3", -3), ("+4", 4), ("x", 0), ("", 0), ("-", 0), ("--5", 0)],
)
def test_numbers_are_read_as_by_atoi(text: str, number: int) -> None:
    assert whole(text) == number


def test_a_buffer_is_printed_in_lines_of_eight() -> None:
    assert list(printed(bytes(range(10)))) == ["m-buffer-00-01-02-03-04-05-06-07", "m-buffer-08-09"]


def test_arguments_become_a_recipe() -> None:
    argv = ["--mlperf-tiny-dut", "m.tflite", "--contract", "cifar10-unit", "--threads", "2"]
    assert parse_dut(argv) == DutRecipe(model=Path("m.tflite"), contract="cifar10-unit", threads=2)
    with pytest.raises(UsageError, match="MODEL"):
        parse_dut(["--mlperf-tiny-dut"])


class Runner:
    """What MLCommons' runner does on a serial port: commands out, lines in until ``m-ready``."""

    def __init__(self, path: str) -> None:
        self._port = os.open(path, os.O_RDWR | os.O_NOCTTY)

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._port)

    def say(self, command: str) -> None:
        os.write(self._port, f"{command}%".encode())

    def ask(self, command: str) -> list[str]:
        self.say(command)
        received = b""
        while not received.endswith(b"m-ready\r\n"):
            readable, _, _ = select.select([self._port], [], [], 60)
            assert readable, f"no answer to {command}: {received!r}"
            more = os.read(self._port, 4096)
            assert more, f"the port closed after {command}: {received!r}"
            received += more
        return received.decode().split("\r\n")[:-1]

    def load(self, data: bytes) -> list[str]:
        """As ``DUT.load``: the size, then 31 bytes a command."""
        self.ask(f"db load {len(data)}")
        for start in range(0, len(data), 31):
            lines = self.ask(f"db {data[start : start + 31].hex()}")
        return lines


def matched(pattern: str, lines: list[str]) -> list[str]:
    return [found[1] for line in lines if (found := re.match(pattern, line))]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_runner_scores_a_model_over_the_pseudo_terminal(tiny_onnx: Path) -> None:
    sample = shipped.test_sample()
    expected = Classifier(tiny_onnx).scores(sample.images[:3])
    command = [SCRIPT, "--mlperf-tiny-dut", tiny_onnx]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as dut:
        assert dut.stdout is not None
        assert dut.stderr is not None
        path = dut.stdout.readline().strip()
        try:
            with Runner(path) as runner:
                assert matched(r"^m-(?:name)-dut-\[([^]]+)]$", runner.ask("name")) == ["cifar-edge"]
            # The runner closes the port after it has asked for the name, and opens it again.
            with Runner(path) as runner:
                assert matched(r"^m-model-\[([^]]+)]$", runner.ask("profile")) == ["ic01"]
                for image, scores in zip(sample.images[:3], expected, strict=True):
                    assert runner.load(image.tobytes()) == ["m-load-done", "m-ready"]
                    lines = runner.ask("infer 20 5")
                    start, end = map(int, matched(r"^m-lap-us-([0-9]+)$", lines))
                    assert end > start
                    (results,) = matched(r"^m-results-\[([^]]+)\]$", lines)
                    shown = [float(number) for number in results.split(",")]
                    np.testing.assert_allclose(shown, scores, atol=1e-6)
                runner.say("exit")
            assert dut.wait(timeout=60) == 0
            assert (dut.stdout.read(), dut.stderr.read()) == ("", "")
        finally:
            dut.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_ctrl_c_ends_the_device_with_130(tiny_onnx: Path) -> None:
    command = [SCRIPT, "--mlperf-tiny-dut", tiny_onnx]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as dut:
        assert dut.stdout is not None
        assert dut.stdout.readline().startswith("/dev/")
        time.sleep(0.2)  # past the announcement, in the wait for a command; before it is as good
        dut.send_signal(signal.SIGINT)
        try:
            _, errors = dut.communicate(timeout=60)
        finally:
            dut.kill()
    assert (dut.returncode, errors) == (130, "cifar-bench: interrupted\n")


def test_a_model_that_cannot_be_opened_is_exit_4(tmp_path: Path) -> None:
    ended = subprocess.run(
        [SCRIPT, "--mlperf-tiny-dut", tmp_path / "missing.tflite"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (4, "")
    assert "missing.tflite: cannot be read" in ended.stderr
