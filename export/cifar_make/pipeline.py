"""Goes the road of a plan: trains, exports and measures what is not there yet; it never prints."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cifar_bench import BenchRecipe, bench, html_page
from cifar_bench.recipe import QUICK
from cifar_data.pictures.source_file import read_source, write_source
from cifar_export import export
from cifar_make.planning import Plan, plan, report_path
from cifar_make.recipe import MakeRecipe
from cifar_make.request_file import write_request
from cifar_runtime.system.files import write_atomically
from cifar_train.fit import Watcher
from cifar_train.pictures import train_on_pictures
from cifar_train.recipe import RunOptions
from cifar_train.run.class_report import plain_sentence
from cifar_train.run.state import forget_run

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What lies in the output folder now.

    Attributes:
        artefacts: the certified model files; the card of each lies beside it.
        page: the report page.
        model_path: the Keras model that they were made from.
        meaning: what the accuracy of that model means, in plain words.
    """

    artefacts: tuple[Path, ...]
    page: Path
    model_path: Path
    meaning: str


def make(
    planned: Plan | MakeRecipe,
    *,
    watcher: Watcher | None = None,
    progress: Callable[[str], None] | None = None,
) -> Made:
    """Makes what the plan says and is not there yet; interrupted anywhere, the next call goes on.

    Example:
        ``make(MakeRecipe(source="photos", output="out"))`` is what ``cifar-make photos -o out`` does.

    Args:
        planned: what :func:`cifar_make.planning.plan` found, or the recipe to plan first.
        watcher: sees the batches and epochs of training; None for nobody.
        progress: takes a few words whenever something long begins.

    Raises:
        CifarEdgeError: what a step raises: :func:`cifar_train.pictures.train_on_pictures`,
            :func:`cifar_export.pipeline.export` (its gate among it), :func:`cifar_bench.bench`.
    """
    planned = plan(planned) if isinstance(planned, MakeRecipe) else planned
    progress = progress or (lambda _: None)
    if not planned.begun:
        _start_over(planned)
    _train(planned, watcher)
    if planned.state_of("export") != "done":
        export(planned.exporting, progress=progress)
    if planned.state_of("measure") != "done":
        _measure(planned, progress)
    return Made(
        artefacts=planned.artefacts,
        page=planned.page,
        model_path=planned.recipe.training / "model.keras",
        meaning=_meaning(planned.recipe.training),
    )


def _meaning(training: Path) -> str:
    card = json.loads((training / "card.json").read_text(encoding="utf-8"))
    return plain_sentence(card, "test")


def _start_over(planned: Plan) -> None:
    """Takes away what says that steps are done, then says what is begun: a kill leaves no old run under new options."""
    training = planned.recipe.training
    forget_run(training)
    (training / "card.json").unlink(missing_ok=True)
    write_request(planned.recipe, planned.request)


def _train(planned: Plan, watcher: Watcher | None) -> None:
    recipe, state = planned.recipe, planned.state_of("train")
    if state == "done":
        _follow_moved_pictures(recipe)
        return
    options = RunOptions(folder=recipe.training, resume=state == "begun", force=state == "to do")
    train_on_pictures(
        planned.training,
        options,
        planned.pictures,
        Path(recipe.source),
        watcher,
        weights=recipe.weights,
    )


def _follow_moved_pictures(recipe: MakeRecipe) -> None:
    """Tells the run where its pictures lie now, the same ones by their digests."""
    source, now = read_source(recipe.training), Path(recipe.source).resolve()
    if source is not None and source.path != now:
        write_source(recipe.training, replace(source, path=now))


def _measure(planned: Plan, progress: Progress) -> None:
    recipe = BenchRecipe(
        models=planned.artefacts,
        against=(planned.recipe.training / "model.keras",),
        run=planned.recipe.training,
        effort=QUICK,
    )
    report = bench(recipe, command=("cifar-make", planned.pictures.listing.name), progress=progress)
    write_atomically(report_path(planned.page), report.to_text().encode())
    write_atomically(planned.page, html_page(report).encode())
