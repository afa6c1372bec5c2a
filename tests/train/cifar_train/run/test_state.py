"""Which epoch a run keeps, and that a damaged checkpoint is refused in words. No keras is imported."""

import io
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cifar_runtime.errors import InputError
from cifar_train.recipe import Monitor
from cifar_train.recipes import RECIPES
from cifar_train.run.state import Epoch, RunState, checkpoint_path, load_variables

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


@pytest.mark.parametrize(("monitor", "kept"), [("training loss", 1), ("validation accuracy", 3)])
def test_of_equal_epochs_the_first_is_kept_or_the_one_of_the_lowest_loss(
    monitor: Monitor, kept: int
) -> None:
    recipe = replace(RECIPES["quick"], keep="best", monitor=monitor)
    state = RunState(recipe=recipe)
    for number, (accuracy, loss) in enumerate([(0.9, 0.5), (0.8, 0.1), (0.9, 0.3), (0.9, 0.4)], 1):
        state = state.with_epoch(
            Epoch(
                number=number,
                loss=1.0,
                accuracy=0.5,
                validation_loss=loss,
                validation_accuracy=accuracy,
                images_per_second=1.0,
                seconds=1.0,
            )
        )
    assert state.kept.number == kept
