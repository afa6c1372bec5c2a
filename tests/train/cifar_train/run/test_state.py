"""A damaged checkpoint of a run is refused in words. No keras is imported."""

import io
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cifar_runtime.errors import InputError
from cifar_train.run.state import checkpoint_path, load_variables

EPOCH: Any = SimpleNamespace(number=1)


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_read_or_refused(mask: int, tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, kernel=np.arange(6.0), bias=np.zeros(2))
    data, path = stream.getvalue(), checkpoint_path(tmp_path, 1)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= mask
        path.write_bytes(damaged)
        with suppress(InputError):
            load_variables(tmp_path, EPOCH)


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_variables(tmp_path, EPOCH)
