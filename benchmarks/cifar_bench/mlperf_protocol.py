"""The device's side of MLPerf Tiny's serial protocol: bytes in, lines out; it opens no port and runs no model.

A command is text that ends in ``%``; the answer is lines that end in CR LF, ``m-ready`` the last. It follows the
reference firmware, which the runner of every version 1.x was written against, with three differences, each
where the firmware goes on in silence with something else than was meant: bytes without a ``db load``, bytes beyond
its count, and an ``infer`` without a whole input are errors (``e-[..]``). ``exit`` is an addition: it has
no answer, the port goes away.

Source: mlcommons/tiny, ``benchmark/api/internally_implemented.cpp`` and ``submitter_implemented.h``;
``benchmark/reference_submissions/image_classification/submitter_implemented.cpp`` for the results;
``benchmark/runner/device_under_test.py`` for what the runner sends and reads.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

TERMINATOR = b"%"
END_OF_LINE = "\r\n"
READY = "m-ready"
DEVICE_NAME = "cifar-edge"
PROFILE = "ULPMark for tinyML Firmware V0.0.1"  # the runner's log shows which protocol this is
MODEL = "ic01"
MAX_COMMAND_BYTES = 65_536
DEFAULT_INFERENCES, DEFAULT_WARMUP = 1, 10

_BYTES_PER_LINE = 8
_END_OF_TRANSMISSION = b"\x04"
_EXIT = "exit"
_NOTHING_LOADED = "e-[No input: send 'db load N' and N bytes first]"
_HELP = f"""\
{PROFILE}

help         : Print this information
name         : Print the name of the device
timestamp    : Generate a timestamp
db SUBCMD    : Manipulate a generic byte buffer
  load N     : Allocate N bytes and set load counter
  db HH[HH]* : Load 8-bit hex byte(s) until N bytes
  print      : Print the N bytes as hex
infer N [W=10]: Load input, execute N inferences after W warmup loops
results      : Return the result fp32 vector
exit         : Stop serving (not in the firmware)"""


class Engine(Protocol):
    """What the protocol drives: one model."""

    @property
    def input_bytes(self) -> int:
        """How many bytes one input has."""

    def load(self, data: bytes) -> None:
        """Makes the input tensor of the next inferences from ``input_bytes`` bytes."""

    def infer(self) -> None:
        """One inference on the loaded input."""

    def results(self) -> Sequence[float]:
        """The probabilities of the last inference, one for every class."""


class Device:
    """The state of one device under test: what was sent so far and is not answered yet.

    Attributes:
        closed: whether the host has said ``exit``, or sent an end of transmission.
    """

    def __init__(self, engine: Engine, *, clock_us: Callable[[], int]) -> None:
        """A device that has just booted.

        Args:
            engine: the model to run.
            clock_us: microseconds from any fixed start.
        """
        self.closed = False
        self._engine = engine
        self._clock_us = clock_us
        self._pending = b""
        self._expected = 0
        self._buffer = bytearray()
        self._has_results = False

    def receive(self, data: bytes) -> Iterator[bytes]:
        """The lines that answer ``data``, each as soon as it is known, since the runner waits 5 s for one.

        Args:
            data: whatever arrived, cut anywhere.
        """
        text, end, _ = data.partition(_END_OF_TRANSMISSION)
        *commands, self._pending = (self._pending + text).split(TERMINATOR)
        # As in the firmware, what is too long for any command is dropped, here by its beginning.
        self._pending = self._pending[-MAX_COMMAND_BYTES:]
        for command in commands:
            for line in self._answer(command.decode("ascii", errors="replace").split()):
                yield (line + END_OF_LINE).encode()
            if self.closed:
                return
        self.closed = bool(end)

    def _answer(self, words: list[str]) -> Iterator[str]:
        if words == [_EXIT]:
            self.closed = True  # the port goes away, and with it what would not have been read yet
            return
        if words:
            yield from self._lines(words[0], words[1:])
        yield READY

    def _lines(self, command: str, arguments: list[str]) -> Iterator[str]:
        match command:
            case "name":
                yield f"m-name-dut-[{DEVICE_NAME}]"
            case "timestamp":
                yield self._timestamp()
            case "profile":
                yield from (f"m-profile-[{PROFILE}]", f"m-model-[{MODEL}]")
            case "help":
                yield from _HELP.splitlines()
            case "db":
                yield from self._db(arguments)
            case "infer":
                yield from self._infer(arguments)
            case "results":
                yield self._results()
            case _:
                yield f"e-[Unknown command: {command}]"

    def _db(self, arguments: list[str]) -> Iterator[str]:
        match arguments:
            case []:
                yield "e-[Command 'db' requires a subcommand]"
            case ["load"]:
                yield "e-[Command 'db load' requires the # of bytes]"
            case ["load", count, *_]:
                yield self._begin_load(whole(count))
            case ["print", *_]:
                yield from printed(bytes(self._buffer))
            case [digits, *_]:
                yield from self._append(digits)

    def _begin_load(self, count: int) -> str:
        if count < 1:
            return "e-[Command 'db load' must be >0 bytes]"
        if count != self._engine.input_bytes:
            return f"e-[Input of {count} bytes, the model takes {self._engine.input_bytes}]"
        self._expected = count
        self._buffer.clear()
        return f"m-[Expecting {count} bytes]"

    def _append(self, digits: str) -> Iterator[str]:
        if len(digits) % 2:
            yield "e-[Insufficent number of hex digits]"  # the firmware's spelling
            return
        if len(self._buffer) == self._expected:
            yield "e-[No byte is expected: send 'db load N' first]"
            return
        try:
            data = bytes.fromhex(digits)
        except ValueError:
            yield f"e-[Invalid hex digit in '{digits}']"
            return
        self._buffer += data[: self._expected - len(self._buffer)]
        if len(self._buffer) == self._expected:
            self._has_results = False
            yield "m-load-done"

    def _infer(self, arguments: list[str]) -> Iterator[str]:
        inferences = whole(arguments[0]) if arguments else DEFAULT_INFERENCES
        warmup = whole(arguments[1]) if len(arguments) > 1 else DEFAULT_WARMUP
        if inferences < 1:
            yield "e-[Inference iterations must be >0]"
        elif warmup < 0:
            yield "e-[Inference warmup must be >=0]"
        elif not self._expected or len(self._buffer) < self._expected:
            yield _NOTHING_LOADED
        else:
            yield from self._timed(inferences, warmup)

    def _timed(self, inferences: int, warmup: int) -> Iterator[str]:
        self._engine.load(bytes(self._buffer))
        yield f"m-warmup-start-{warmup}"
        for _ in range(warmup):
            self._engine.infer()
        yield "m-warmup-done"
        yield f"m-infer-start-{inferences}"
        # Both stamps are taken before either is sent: writing a line is no part of an inference.
        start = self._timestamp()
        for _ in range(inferences):
            self._engine.infer()
        end = self._timestamp()
        yield from (start, end, "m-infer-done")
        self._has_results = True
        yield self._results()

    def _results(self) -> str:
        if not self._has_results:
            return "e-[No results: send 'infer N' first]"
        # Six decimals, not the firmware's three: a float model's two best may be closer than 0.001.
        return f"m-results-[{','.join(f'{value:.6f}' for value in self._engine.results())}]"

    def _timestamp(self) -> str:
        return f"m-lap-us-{self._clock_us()}"


def whole(text: str) -> int:
    """The number that C's ``atoi`` reads: leading digits with their sign, 0 where there are none."""
    sign = -1 if text.startswith("-") else 1
    digits = text.removeprefix("-") if sign < 0 else text.removeprefix("+")
    end = next((i for i, character in enumerate(digits) if character not in "0123456789"), None)
    return sign * int(digits[:end] or "0")


def printed(data: bytes) -> Iterator[str]:
    """The bytes as ``db print`` shows them: eight to a line, in hexadecimal, joined by dashes."""
    for start in range(0, len(data), _BYTES_PER_LINE):
        yield f"m-buffer-{data[start : start + _BYTES_PER_LINE].hex('-')}"
