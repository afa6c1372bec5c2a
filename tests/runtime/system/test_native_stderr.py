"""Messages of interpreters and image libraries stay off stderr; what others write there meanwhile does not."""

import os

import pytest

from cifar_runtime.system.native_stderr import LIBTIFF_MESSAGE, filtered_native_stderr


def test_native_messages_are_dropped_and_the_rest_passed_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with filtered_native_stderr():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"\x1b[0;93m2026-01-01 00:00:00.1 [W:onnxruntime:, x.cc:1] no GPU\x1b[m\n")
        os.write(2, b"W0000 00:00:1700000000.1  12 x.cc:3] something\n")
        os.write(2, b"a line of the program itself\n")
    assert capfd.readouterr().err == "a line of the program itself\n"
    os.write(2, b"INFO: after\n")
    assert capfd.readouterr().err == "INFO: after\n"


def test_messages_of_libtiff_end_with_a_full_stop(capfd: pytest.CaptureFixture[str]) -> None:
    with filtered_native_stderr(LIBTIFF_MESSAGE):
        os.write(2, b"ZIPDecode: incorrect data check.\n")
        os.write(2, b"Traceback (most recent call last):\n  File x\n")
        os.write(2, b"TIFFVSetField: Tag Ink:\n  4 differs from 3.\n  -> Value adapted to 3.\n")
        os.write(2, b"LZWDecode: without an end\n")
        os.write(2, b"one\ntwo\nthree.\n")
    assert capfd.readouterr().err == (
        "Traceback (most recent call last):\n  File x\none\ntwo\nthree.\n"
    )


def test_filtering_native_stderr_lets_errors_through(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), filtered_native_stderr():
        raise KeyError
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"
