"""Finds the models that two reports share, whatever else each of them measured. Pure.

A report names its entries so that they differ: the same model is ``net`` alone, ``net.tflite`` beside
``net.onnx``, and ``net.tflite (litert)`` where it ran in several variants. What it is does not change: its
own name, its format, and how its runtime was set up.
"""

import re
from collections import Counter

from cifar_bench.model_report import ModelReport
from cifar_bench.page_tables import runtime_in_words
from cifar_bench.report import Report
from cifar_bench.variants import VARIANTS
from cifar_runtime.errors import InputError

Pair = tuple[ModelReport, ModelReport]
Identity = tuple[str, str, frozenset[tuple[str, str | bool]]]

_VARIANT = re.compile(rf" \((?:{'|'.join(re.escape(one.name) for one in VARIANTS)})\)$")
_NUMBER = re.compile(r" #[0-9]+$")


def shared_models(old: Report, new: Report) -> tuple[Pair, ...]:
    """The models of the new report that the old one measured too, each with its older self.

    Where one report holds several of one identity, only those of the same name belong together.

    Raises:
        InputError: there are none.
    """
    pairs = _pairs(old, new)
    if not pairs:
        raise InputError(
            f"the baseline measured {_models_in_words(old)}, none of which is in this report: it "
            f"measured {_models_in_words(new)}.",
            hint="Measure a model of the same name, format and runtime options.",
        )
    return pairs


def unshared_sentence(old: Report, new: Report) -> str | None:
    """Which models of either report the other one lacks; None where all are shared."""
    pairs = _pairs(old, new)
    before, after = ({pair[place].name for pair in pairs} for place in (0, 1))
    parts = [
        f"{', '.join(names)} of {whose}"
        for whose, names in (
            ("the baseline", [model.name for model in old.models if model.name not in before]),
            ("this report", [model.name for model in new.models if model.name not in after]),
        )
        if names
    ]
    return f"Not judged, in one report only: {'; '.join(parts)}." if parts else None


def _pairs(old: Report, new: Report) -> tuple[Pair, ...]:
    counts = [Counter(map(_identity, report.models)) for report in (old, new)]

    def belong(before: ModelReport, after: ModelReport) -> bool:
        identity = _identity(after)
        if _identity(before) != identity:
            return False
        return before.name == after.name or all(count[identity] == 1 for count in counts)

    return tuple(
        (before, after) for after in new.models for before in old.models if belong(before, after)
    )


def _identity(model: ModelReport) -> Identity:
    without_variant = _VARIANT.sub("", model.name)
    name = _NUMBER.sub("", without_variant).removesuffix(f".{model.model_file.format}")
    return name, model.model_file.format, frozenset(model.options.items())


def _models_in_words(report: Report) -> str:
    return ", ".join(f"{model.name} ({runtime_in_words(model)})" for model in report.models)
