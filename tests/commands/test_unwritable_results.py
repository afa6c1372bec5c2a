"""A result that could not be written in the end is refused before anything slow, by every command that makes one."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cifar_export.commands import export
from cifar_train.commands import soft_labels, train

Main = Callable[[Sequence[str]], int]


@pytest.mark.parametrize(
    ("main", "arguments", "target"),
    [
        (export.main, [], "out"),
        (train.main, [], "out/card.json"),
        (train.main, ["--data", "nowhere"], "out/card.json"),
        (soft_labels.main, ["nowhere.keras"], "out"),
    ],
    ids=["export", "train", "train --data", "soft-labels"],
)
def test_it_is_refused_first(
    main: Main,
    arguments: list[str],
    target: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    output = tmp_path / "file" / "out"
    suffix = ".npy" if main is soft_labels.main else ""
    assert main([*arguments, "-o", f"{output}{suffix}"]) == 3
    assert f"{output.parent / target}{suffix}: cannot be written: Not a directory. " in (
        capsys.readouterr().err
    )
