"""What one MLPerf Tiny run measures, and what a device under test serves, as data; it imports nothing slow."""

from dataclasses import dataclass
from pathlib import Path

from cifar_runtime.errors import UsageError

OFFICIAL_WINDOW_SECONDS = 10.0
"""Source: mlcommons/tiny, benchmark/runner/main.py: a shorter measurement is "not valid for submission"."""

OFFICIAL_WARMUP = 10
"""Source: mlcommons/tiny, benchmark/api/internally_implemented.cpp: the W of ``infer N`` without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MlperfRecipe:
    """One run of MLPerf Tiny's method.

    Attributes:
        models: exported models; none means the default models that cifar_runtime ships.
        contract: of the models without a card: a built-in contract's name, or a JSON file.
        threads: threads one inference may use.
        warmup: unmeasured inferences before each window.
        window_seconds: how long each of the five windows of a model lasts at least.
    """

    models: tuple[Path, ...] = ()
    contract: str | None = None
    threads: int = 1
    warmup: int = OFFICIAL_WARMUP
    window_seconds: float = OFFICIAL_WINDOW_SECONDS

    def __post_init__(self) -> None:
        for name in ("threads", "warmup"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"{name} is {getattr(self, name)}, expected 1 or more.", hint=f"Raise {name}."
                )
        if not 0 < self.window_seconds < float("inf"):
            raise UsageError(
                f"window_seconds is {self.window_seconds}, expected more than 0.",
                hint=f"Give {OFFICIAL_WINDOW_SECONDS:g}, as MLPerf Tiny asks, or less for a trial.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DutRecipe:
    """One device under test.

    Attributes:
        model: the exported model to serve.
        contract: of a model without a card: a built-in contract's name, or a JSON file.
        threads: threads one inference may use.
    """

    model: Path
    contract: str | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise UsageError(f"threads is {self.threads}, expected 1 or more.", hint="Give 1.")
