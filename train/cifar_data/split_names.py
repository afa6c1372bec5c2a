"""The names of splits and of divisions, importable without numpy."""

from typing import Literal

BenchSplit = Literal["test-sample", "test", "validation", "train", "official-train"]

ValidationRule = Literal["validation split", "last fifth of official-train"]
"""Which of CIFAR-10's training images a training held out; the second is Keras' ``validation_split=0.2``."""
