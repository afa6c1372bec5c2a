"""A device under test on a pseudo-terminal, so that MLCommons' own runner can score an exported model.

The runner opens the printed path as it would a board's serial port, for instance ``DUT("/dev/pts/3")`` with the
class of its ``device_under_test.py``.

The runner's ``main.py`` cannot be pointed to it: its ``DeviceManager.scan`` takes only ports that pyserial lists
with a USB vendor id, by the ids or the description in ``devices.yaml`` (``--device_list``, ``--device_yaml``), and
no option names a port. A pseudo-terminal has no such id, so a caller of ``DUT`` and ``Script`` takes main.py's place.

Source: mlcommons/tiny, benchmark/runner/device_manager.py at 2227285 and main.py at 6b4e30a, read, not run.
"""

import os
import select
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cifar_bench.mlperf_protocol import Device
from cifar_bench.mlperf_recipe import DutRecipe
from cifar_bench.subject import ArtefactSubject
from cifar_runtime.classifier import dequantize, probabilities_from_scores
from cifar_runtime.errors import MissingDependencyError

_CHUNK_BYTES = 65_536


class ArtefactEngine:
    """An exported model behind the protocol; inputs are raw RGB pixels, height by width by 3, 0..255."""

    def __init__(self, subject: ArtefactSubject) -> None:
        self._subject = subject
        self._tensor: Any = None
        self._raw: Any = None

    @property
    def input_bytes(self) -> int:
        """How many bytes one image of the contract has."""
        height, width, channels = self._subject.image_shape
        return height * width * channels

    def load(self, data: bytes) -> None:
        """Preprocesses the image as the contract says; the clock is not running."""
        image = np.frombuffer(data, dtype=np.uint8).reshape(1, *self._subject.image_shape)
        self._tensor = self._subject.prepare(image)

    def infer(self) -> None:
        """One inference on the loaded image."""
        self._raw = self._subject.infer(self._tensor)

    def results(self) -> Sequence[float]:
        """The probabilities of the last inference: the runner divides by their sum, so no logits."""
        output = self._subject.contract.output
        probabilities = probabilities_from_scores(dequantize(self._raw, output), output)
        return [float(value) for value in probabilities[0]]


def serve(recipe: DutRecipe, *, announce: Callable[[str], None]) -> None:
    """Answers the runner on a pseudo-terminal until it says ``exit`` or ends transmission.

    Args:
        recipe: the model to serve.
        announce: takes the path of the pseudo-terminal, once it can be opened.

    Raises:
        ArtefactError: the model cannot be used.
        MissingDependencyError: its interpreter is not installed, or the system has no
            pseudo-terminals.
    """
    subject = ArtefactSubject(recipe.model, contract=recipe.contract, threads=recipe.threads)
    device = Device(ArtefactEngine(subject), clock_us=lambda: time.perf_counter_ns() // 1000)
    ours, theirs, path = _open_pseudo_terminal()
    try:
        announce(path)
        answer_until_closed(ours, device)
    finally:
        os.close(ours)
        os.close(theirs)


def answer_until_closed(descriptor: int, device: Device) -> None:
    """Reads commands from a descriptor and writes their answers to it, until the device is closed.

    Args:
        descriptor: our end of the line.
        device: the protocol.
    """
    while not device.closed:
        select.select([descriptor], [], [])
        try:
            data = os.read(descriptor, _CHUNK_BYTES)
        except OSError:  # Linux's way of saying that nobody holds the other end any more
            return
        if not data:
            return
        for line in device.receive(data):
            _write_all(descriptor, line)


def _open_pseudo_terminal() -> tuple[int, int, str]:
    """Our end, the runner's end, and the path of the runner's end.

    The runner's end stays open here: the runner opens and closes it several times.
    """
    try:
        import pty
        import tty
    except ImportError as error:
        raise MissingDependencyError(
            f"this system has no pseudo-terminals: {error}.", hint="Use Linux or macOS."
        ) from error
    ours, theirs = pty.openpty()
    tty.setraw(theirs)  # no echo, no changed line ends: a serial line carries what was written
    return ours, theirs, os.ttyname(theirs)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
