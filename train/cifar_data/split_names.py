"""The names of splits, importable without numpy."""

from typing import Literal

BenchSplit = Literal["test-sample", "test", "validation", "train", "official-train"]
