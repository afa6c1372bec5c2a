"""A report's models, and the published ones beside them, as marks of an accuracy plot. Pure."""

import re

from cifar_bench.figures.pareto import Mark
from cifar_bench.figures.published import PublishedModel, not_measured, reference_of
from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_data.cifar10.splits import LABELS
from cifar_eval.formatting import microseconds, percent
from cifar_eval.models.protocols import ModelFile

_PRECISION = re.compile(r"-(float32|fp16|dynamic|int8|int16x8)(-\w+-io)?$")


def published_beside(report: Report) -> tuple[PublishedModel, ...]:
    """References to draw beside the models: those not measured, if the images are CIFAR-10's test split."""
    accuracy = report.models[0].accuracy
    if accuracy.label_names != LABELS or accuracy.split.split("[")[0] not in (
        "test",
        "test-sample",
    ):
        return ()
    return not_measured([model.model_file for model in report.models])


def one_entry_a_file(report: Report) -> list[ModelReport]:
    """The first entry of each file: its runtimes share its size and multiply-accumulates."""
    files: dict[ModelFile, ModelReport] = {}
    for model in report.models:
        files.setdefault(model.model_file, model)
    return list(files.values())


def one_entry_a_network(report: Report) -> dict[str, ModelReport]:
    """One entry of each network by its name, an exported one where there is one: its files share what it computes."""
    exported = _exported_names(report)
    networks: dict[str, ModelReport] = {}
    for model in sorted(report.models, key=lambda one: one.model_file.format == "keras"):
        networks.setdefault(exported.get(model.name, network_name(model)), model)
    return networks


def _exported_names(report: Report) -> dict[str, str]:
    """What the network of a reference is called by its export: the one network compared with it, if as much work."""
    entries = {model.name: model for model in report.models}
    compared: dict[str, dict[str, ModelReport]] = {}
    for model in report.models:
        if model.reference is not None:
            compared.setdefault(model.reference, {})[network_name(model)] = model
    return {
        reference: name
        for reference, networks in compared.items()
        for name, model in networks.items()
        if len(networks) == 1 and reference in entries and _is_export(model, entries[reference])
    }


def _is_export(model: ModelReport, reference: ModelReport) -> bool:
    """Whether a model may be the other's export: a conversion changes its multiply-accumulates by a few at most."""
    macs, others = model.cost.macs or 0, reference.cost.macs or 0
    return reference_of(model.model_file) is None and abs(macs - others) <= 0.01 * others


def network_name(model: ModelReport) -> str:
    """The network of a file: a reference's by MLPerf Tiny's word, ours by the file's name without its precision."""
    reference = reference_of(model.model_file)
    if reference is not None:
        return reference.name.partition(" ")[0]
    return _PRECISION.sub("", model.model_file.file.rpartition(".")[0])


def known_name(model: ModelReport, name: str) -> str:
    """The name given; of MLPerf Tiny's references, which nobody knows by their files, theirs."""
    reference = reference_of(model.model_file)
    return name if reference is None else reference.name


def measured_mark(model: ModelReport, name: str, cost: float) -> Mark:
    """A model of the report, under a name, at a cost above zero."""
    accuracy = model.accuracy
    low, high = accuracy.interval
    return Mark(
        name=name,
        kind=model.model_file.format,
        cost=max(cost, 1e-3),
        accuracy=accuracy.value,
        interval=accuracy.interval,
        tip=(
            f"{name}: {percent(accuracy.value)} % ({percent(low)} to {percent(high)}), "
            f"{microseconds(model.latency.median_ns)} µs, {model.model_file.size_bytes:,} bytes"
        ),
    )


def published_mark(model: PublishedModel, cost: float) -> Mark:
    """A reference by its published figures."""
    return Mark(
        name=model.name,
        kind="published",
        cost=cost,
        accuracy=model.accuracy,
        interval=None,
        tip=f"{model.name}: {percent(model.accuracy)} % of 10,000 test images, {model.size_bytes:,} bytes",
    )
