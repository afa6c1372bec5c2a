"""Finds the models that two reports share, or that ran beside a baseline, whatever else was measured. Pure.

A report names its entries so that they differ: the same model is ``net`` alone, ``net.tflite`` beside
``net.onnx``, and ``net.tflite (litert)`` where it ran in several variants. What it is does not change: its
own name, its format, and how its runtime was set up.
"""

import re
from collections import Counter

from cifar_bench.results.model import ModelReport, runtime_in_words
from cifar_bench.results.report import Report
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


def baseline_entries(baseline_sha256: str, report: Report) -> tuple[ModelReport, ...]:
    """The baseline's entries, one a variant, in a report of a run that measured it; they follow each other."""
    digests = [model.model_file.sha256 for model in report.models]
    start = digests.index(baseline_sha256) if baseline_sha256 in digests else len(digests)
    entries: list[ModelReport] = []
    for model, digest in zip(report.models[start:], digests[start:], strict=True):
        # Equal options: another file with the same bytes.
        if digest != baseline_sha256 or model.options in [one.options for one in entries]:
            break
        entries.append(model)
    return tuple(entries)


def pairs_beside(baseline_sha256: str, report: Report) -> tuple[Pair, ...]:
    """The models measured after the baseline in the same run and runtime variant, each with the baseline.

    Raises:
        InputError: there are none.
    """
    entries = baseline_entries(baseline_sha256, report)
    pairs = tuple(
        (before, after)
        for after in _models_after(entries, report)
        for before in entries
        if (before.runtime, before.options) == (after.runtime, after.options)
    )
    if not pairs:
        named = ", ".join(f"{model.name} ({runtime_in_words(model)})" for model in entries)
        raise InputError(
            f"no model ran in the way of the baseline {named or baseline_sha256}: this report measured "
            f"{_models_in_words(report)}.",
            hint="Give a model of the baseline's format.",
        )
    return pairs


def unpaired_sentence(baseline_sha256: str, report: Report) -> str | None:
    """Which models ran in no way that the baseline ran in; None where there are none."""
    judged = {after.name for _, after in pairs_beside(baseline_sha256, report)}
    after = _models_after(baseline_entries(baseline_sha256, report), report)
    names = [model.name for model in after if model.name not in judged]
    return (
        f"Not judged, run in another way than the baseline: {', '.join(names)}." if names else None
    )


def _models_after(entries: tuple[ModelReport, ...], report: Report) -> tuple[ModelReport, ...]:
    """What was measured after the baseline's entries; other references stand before them."""
    return report.models[report.models.index(entries[-1]) + 1 :] if entries else ()


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
