"""What converters print goes nowhere, and nothing they set up keeps writing into the closed stream."""

import logging
import sys
from collections.abc import Iterator

import pytest

from cifar_export.streams import quiet_conversion


@pytest.fixture
def tensorflow_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("tensorflow")
    before = list(logger.handlers)
    yield logger
    logger.handlers = before


def test_a_logger_that_was_set_up_inside_can_still_write_afterwards(
    tensorflow_logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    with quiet_conversion():
        handler = logging.StreamHandler()
        tensorflow_logger.addHandler(handler)
        print("chatter")
        print("chatter", file=sys.stderr)
    handler.emit(logging.makeLogRecord({"msg": "a warning"}))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "a warning\n")
