"""Draws what a run did: its curves, and what the trained model gets right and wrong. Pure: numbers in, bytes out.

The colours are those of the report pages (``figures.css`` of cifar_bench), in their light form.
"""

import io
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cifar_train.run.state import Epoch

TRAINING, VALIDATION, THIRD = "#0f62a8", "#b0570a", "#00795c"
INK, MUTED, LINE = "#1c2430", "#5a6675", "#dfe4ea"


class _Evaluation(Protocol):
    """Top-1 decisions on one split; see :class:`cifar_train.run.evaluate.Evaluation`."""

    @property
    def split(self) -> str: ...
    @property
    def correct(self) -> int: ...
    @property
    def seen(self) -> int: ...
    @property
    def label_names(self) -> tuple[str, ...]: ...
    @property
    def confusion(self) -> NDArray[np.int64]: ...
    @property
    def per_class(self) -> dict[str, Any]: ...
    @property
    def accuracy(self) -> float: ...


def curves_svg(epochs: Sequence[Epoch], *, is_distilled: bool) -> bytes:
    """Loss and accuracy, epoch by epoch, as an SVG file.

    Args:
        epochs: at least one.
        is_distilled: the training loss is a distillation loss, of another size than cross-entropy, and has an axis of
            its own.
    """
    figure = _figure(width=9, height=3.6)
    loss, accuracy = figure.subplots(1, 2)
    numbers = [epoch.number for epoch in epochs]
    drawn = _plot(loss, numbers, [one.validation_loss for one in epochs], VALIDATION, "validation")
    loss.set_title("loss", color=INK)
    if is_distilled:
        loss.set_ylabel("validation: cross-entropy", color=VALIDATION)
        other = loss.twinx()
        other.set_ylabel("training: distillation loss", color=TRAINING)
        _plain(other)
    trained = _plot(
        other if is_distilled else loss, numbers, [e.loss for e in epochs], TRAINING, "training"
    )
    accuracy.set_title("top-1 accuracy, %", color=INK)
    _plot(accuracy, numbers, [100 * one.accuracy for one in epochs], TRAINING, "training")
    shares = [100 * one.validation_accuracy for one in epochs]
    _plot(accuracy, numbers, shares, VALIDATION, "validation")
    for axes in (loss, accuracy):
        _whole_epochs(axes)
    figure.legend(handles=[trained, drawn], loc="outside lower center", ncols=2, frameon=False)
    return _rendered(figure, image_format="svg")


def confusion_png(evaluation: _Evaluation) -> bytes:
    """The confusion matrix as a picture: true classes in rows, decisions in columns."""
    figure = _figure(width=7, height=6.2)
    axes = figure.add_subplot()
    counts = evaluation.confusion
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=counts.sum(axis=1).max())
    names = evaluation.label_names
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("decision", color=MUTED)
    axes.set_ylabel("true class", color=MUTED)
    axes.set_title(
        f"{evaluation.split}: {evaluation.correct:,} of {evaluation.seen:,} right ({evaluation.accuracy:.2%})",
        color=INK,
    )
    for row, column in np.ndindex(counts.shape):
        dark = counts[row, column] > counts.max() / 2
        axes.text(
            column,
            row,
            counts[row, column],
            ha="center",
            va="center",
            color="white" if dark else INK,
            fontsize=8,
        )
    return _rendered(figure, image_format="png")


def report_png(evaluation: _Evaluation) -> bytes:
    """The classification report as bars: precision, recall and F1 of each class, percent."""
    figure = _figure(width=9, height=3.9)
    axes = figure.add_subplot()
    names = evaluation.label_names
    positions = np.arange(len(names))
    measures = {"precision": TRAINING, "recall": THIRD, "f1-score": VALIDATION}
    for turn, (measure, colour) in enumerate(measures.items()):
        heights = [100 * evaluation.per_class[label][measure] for label in names]
        axes.bar(positions + (turn - 1) * 0.27, heights, width=0.25, label=measure, color=colour)
    axes.set_xticks(positions, names, rotation=45, ha="right")
    axes.set_ylim(0, 100)
    axes.set_title(
        f"{evaluation.split}: each class, %, {evaluation.seen:,} images in all", color=INK
    )
    _plain(axes)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=LINE)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return _rendered(figure, image_format="png")


def _plot(axes: Any, numbers: list[int], values: list[float], colour: str, label: str) -> Any:
    marker = "." if len(numbers) <= 40 else ""
    return axes.plot(numbers, values, marker=marker, color=colour, label=label)[0]


def _whole_epochs(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", color=MUTED)
    axes.grid(color=LINE)
    _plain(axes)


def _plain(axes: Any) -> None:
    axes.tick_params(colors=MUTED)
    for side in axes.spines.values():
        side.set_color(LINE)


def _figure(*, width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _rendered(figure: Any, *, image_format: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format=image_format,
        dpi=120,
        metadata={"Date": None} if image_format == "svg" else None,
    )
    return buffer.getvalue()
