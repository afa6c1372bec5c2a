"""The ways to run a model that are measured side by side: a runtime and how it is set up. It imports nothing slow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cifar_runtime.errors import UsageError, not_one_of
from cifar_runtime.formats.known_formats import ModelFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run models of one format.

    Attributes:
        name: how ``--runtimes`` names it.
        format: the models it runs.
        options: how the runtime is set up, as reports state it.
        is_default: measured when nobody asks for others.
    """

    name: str
    format: ModelFormat | Literal["keras"]
    options: Mapping[str, str | bool]
    is_default: bool = False


def _ort(name: str, level: str, *, is_default: bool = False) -> Variant:
    return Variant(
        name=name, format="onnx", options={"graph_optimization": level}, is_default=is_default
    )


VARIANTS = (
    Variant(name="litert", format="tflite", options={"xnnpack": True}, is_default=True),
    Variant(name="litert-no-xnnpack", format="tflite", options={"xnnpack": False}),
    _ort("onnxruntime", "all", is_default=True),
    _ort("onnxruntime-extended", "extended"),
    _ort("onnxruntime-basic", "basic"),
    _ort("onnxruntime-none", "none"),
    Variant(name="keras", format="keras", options={"call": "model(x)"}, is_default=True),
)


def variants_from_names(names: Sequence[str]) -> tuple[Variant, ...]:
    """The variants of these names, in the order of ``VARIANTS``; ``default`` and ``all`` name several.

    Raises:
        UsageError: a name is unknown.
    """
    known = [variant.name for variant in VARIANTS]
    for name in names:
        if name not in (*known, "default", "all"):
            raise UsageError(
                f"runtime {not_one_of(name, ['default', 'all', *known])}.",
                hint="Separate several by commas.",
            )
    return tuple(
        variant
        for variant in VARIANTS
        if variant.name in names or "all" in names or ("default" in names and variant.is_default)
    )
