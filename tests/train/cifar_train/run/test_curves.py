"""A run's curves: both files grow while it trains, and the picture says which loss is which."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cifar_train.recipes import RECIPES
from cifar_train.run.curves import SECONDS_BETWEEN_DRAWINGS, Curves
from cifar_train.run.drawings import curves_svg
from cifar_train.run.state import Epoch, RunState

pytest.importorskip("matplotlib")


def run(num_epochs: int) -> RunState:
    epochs = tuple(
        Epoch(
            number=number,
            loss=1 / number,
            accuracy=0.5,
            validation_loss=2 / number,
            validation_accuracy=0.25,
            images_per_second=1000.0,
            seconds=1.5,
        )
        for number in range(1, num_epochs + 1)
    )
    return RunState(recipe=replace(RECIPES["notebook"], epochs=9), epochs=epochs)


def texts(svg: bytes) -> list[str]:
    """Matplotlib draws letters as paths and keeps the words in comments."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))  # noqa: S314
    parser.feed(svg)
    root = parser.close()
    return [(one.text or "").strip() for one in root.iter(ElementTree.Comment)]


def test_the_table_grows_with_every_epoch_and_the_picture_when_the_last_is_old(
    tmp_path: Path,
) -> None:
    seconds = iter((0.0, 1.0, SECONDS_BETWEEN_DRAWINGS))
    curves = Curves(tmp_path, clock=lambda: next(seconds))
    pictures = []
    for number in (1, 2, 3):
        curves.update(run(number))
        lines = (tmp_path / "curves.csv").read_text().splitlines()
        assert len(lines) == 1 + number
        assert lines[-1] == f"{number},{1 / number:.6g},0.5,{2 / number:.6g},0.25,1000,1.5"
        pictures.append((tmp_path / "curves.svg").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize("num_epochs", [1, 4, 60])
def test_the_axis_has_whole_epochs(num_epochs: int) -> None:
    drawn = texts(curves_svg(run(num_epochs).epochs, is_distilled=False))
    under_first_axis = drawn[: drawn.index("epoch")]
    assert under_first_axis
    assert all(label.isdecimal() for label in under_first_axis)


def test_a_distillation_loss_has_an_axis_of_its_own_with_its_name() -> None:
    epochs = run(4).epochs
    named = {"training: distillation loss", "validation: cross-entropy"}
    assert named <= set(texts(curves_svg(epochs, is_distilled=True)))
    assert named.isdisjoint(texts(curves_svg(epochs, is_distilled=False)))
