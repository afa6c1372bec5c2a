"""How a model decides, as a page shows it: its confusion matrix, and the images it decides differently. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from cifar_bench.page.tables import MOST_CLASSES
from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_eval.flips import Flip
from cifar_eval.models.protocols import ModelFile

MOST_CONFUSIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionCell:
    """One count, and its share of the row's images, 0..1, which sets its shade."""

    count: int
    share: float
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionView:
    """The confusion matrix of one model, or of several that share it.

    Attributes:
        names: of the models.
        labels: the classes; rows are true, columns decided.
        rows: cells; empty when there are more than ``MOST_CLASSES``, since nobody could read them.
        worst: the most frequent confusions in words.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[tuple[ConfusionCell, ...], ...]
    worst: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipView:
    """One picture that two models decide differently.

    Attributes:
        flip: the picture and both decisions.
        verdict: what the candidate made of it: ``turned wrong``, ``turned right`` or ``both wrong``.
    """

    flip: Flip
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipsView:
    """The pictures that one candidate decides differently from the reference.

    Attributes:
        name: of the candidate.
        reference: of the reference.
        total: how many images there are in all.
        shown: the first of them.
    """

    name: str
    reference: str
    total: int
    shown: tuple[FlipView, ...]


def confusion_views(report: Report) -> tuple[ConfusionView, ...]:
    """The matrix of every entry; entries with the same counts share one."""
    sharing: dict[tuple[tuple[int, ...], ...], list[ModelReport]] = {}
    for model in report.models:
        sharing.setdefault(model.accuracy.confusion, []).append(model)
    return tuple(map(_confusion_view, sharing.values()))


def flips_views(report: Report) -> tuple[FlipsView, ...]:
    """The pictures of every candidate that has some; entries of one file share the first one's."""
    views: dict[ModelFile, FlipsView] = {}
    for model in report.models:
        if model.flips and model.parity is not None and model.reference is not None:
            view = FlipsView(
                name=model.name,
                reference=model.reference,
                total=model.parity.seen - model.parity.agreeing,
                shown=tuple(FlipView(flip=flip, verdict=_verdict(flip)) for flip in model.flips),
            )
            views.setdefault(model.model_file, view)
    return tuple(views.values())


def _confusion_view(models: Sequence[ModelReport]) -> ConfusionView:
    accuracy = models[0].accuracy
    rows = [
        tuple(
            ConfusionCell(count=count, share=count / max(1, sum(row)), is_right=index == column)
            for column, count in enumerate(row)
        )
        for index, row in enumerate(accuracy.confusion)
    ]
    return ConfusionView(
        names=tuple(model.name for model in models),
        labels=accuracy.label_names,
        rows=tuple(rows) if len(rows) <= MOST_CLASSES else (),
        worst=_most_frequent(models[0]),
    )


def _most_frequent(model: ModelReport) -> tuple[str, ...]:
    labels = model.accuracy.label_names
    mistakes = [
        (count, true, decided)
        for true, row in enumerate(model.accuracy.confusion)
        for decided, count in enumerate(row)
        if true != decided and count
    ]
    frequent = sorted(mistakes, key=lambda one: (-one[0], one[1:]))[:MOST_CONFUSIONS]
    return tuple(
        f"{labels[true]} taken for {labels[decided]}, {count:,}"
        for count, true, decided in frequent
    )


def _verdict(flip: Flip) -> str:
    if flip.reference == flip.label:
        return "turned wrong"
    return "turned right" if flip.candidate == flip.label else "both wrong"
