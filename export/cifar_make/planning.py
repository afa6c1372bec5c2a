"""What will be made of a folder of pictures, and what of it is there already; nothing is made here.

Every step leaves a file that names what it was made from, so that a step counts as done by what lies on disk alone.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cifar_bench import read_report
from cifar_bench.page.page import check_template_engine
from cifar_data.pictures.load import Pictures, load_pictures, picture_contract
from cifar_data.pictures.report import check_trainable
from cifar_export.pipeline import check_installed as check_converters
from cifar_export.recipe import (
    ExportRecipe,
    PublishOptions,
    SourceRecipe,
)
from cifar_make.recipe import MakeRecipe
from cifar_make.request_file import check_request, request_document
from cifar_runtime import open_artefact
from cifar_runtime.errors import ArtefactError, CifarEdgeError, InputError
from cifar_runtime.golden import MIN_VECTORS
from cifar_train.pictures import fine_tuning_recipe, picture_recipe
from cifar_train.recipe import TrainRecipe
from cifar_train.run.evaluate import check_installed as check_trainer
from cifar_train.run.state import load_state

State = Literal["to do", "begun", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the road.

    Attributes:
        name: ``train``, ``export`` or ``measure``.
        what: what it does, in words.
        results: the files that it leaves.
        state: what of it is there already.
    """

    name: Literal["train", "export", "measure"]
    what: str
    results: tuple[Path, ...]
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be made, and of what.

    Attributes:
        recipe: what was asked for.
        pictures: the folder's, decoded and divided.
        request: what ``make.json`` will say.
        training: the recipe of the run.
        exporting: the recipe of the export.
        page: the report page.
        begun: whether the output folder was begun with this request.
        steps: in their order.
    """

    recipe: MakeRecipe
    pictures: Pictures
    request: dict[str, Any]
    training: TrainRecipe
    exporting: ExportRecipe
    page: Path
    begun: bool
    steps: tuple[Step, ...]

    @property
    def artefacts(self) -> tuple[Path, ...]:
        """The model files, in the order of the formats."""
        return _artefacts(self.exporting, self.recipe)

    def state_of(self, name: str) -> State:
        """What of a step is there already."""
        return next(step.state for step in self.steps if step.name == name)


def plan(
    recipe: MakeRecipe,
    *,
    processes: int = 1,
    on_done: Callable[[int, int], None] | None = None,
) -> Plan:
    """The plan for a folder of pictures, which is checked for all that a later step would stumble over.

    Args:
        recipe: what to make.
        processes: how many decode pictures at once.
        on_done: takes how many of how many pictures are decoded.

    Raises:
        InputError: the folder holds too few pictures, or none that can be read.
        MissingDependencyError: what a step needs is not installed.
        UsageError: the output folder was begun with other pictures or options.
    """
    pictures = load_pictures(
        recipe.source,
        picture_contract(recipe.size, recipe.resize_filter),
        processes=processes,
        on_done=on_done,
    )
    check_trainable(pictures)
    _check_enough_to_test(pictures)
    training, exporting = _training_recipe(recipe, pictures), _export_recipe(recipe, pictures)
    check_trainer()
    check_converters(exporting)
    check_template_engine()
    request = request_document(recipe, pictures)
    begun = check_request(recipe, request)
    page = Path(recipe.output) / f"{pictures.listing.name}.html"
    return Plan(
        recipe=recipe,
        pictures=pictures,
        request=request,
        training=training,
        exporting=exporting,
        page=page,
        begun=begun,
        steps=_steps(recipe, pictures, training, exporting, page, begun=begun),
    )


def _check_enough_to_test(pictures: Pictures) -> None:
    """Checks, before an hour of training, what the export checks after it."""
    count = len(pictures.splits["test"].labels)
    if count < MIN_VECTORS:
        raise InputError(
            f"{pictures.listing.name}: holds {count} test pictures, expected {MIN_VECTORS} or more: as many go into "
            "the model's file for its self-test.",
            hint="Add pictures: a few hundred let the gate tell a loss from chance.",
        )


def _training_recipe(recipe: MakeRecipe, pictures: Pictures) -> TrainRecipe:
    training = picture_recipe(pictures, recipe.network, recipe.augment)
    if recipe.weights is not None:
        training = fine_tuning_recipe(training)
    return replace(training, epochs=recipe.epochs or training.epochs, seed=recipe.seed)


def _export_recipe(recipe: MakeRecipe, pictures: Pictures) -> ExportRecipe:
    """Int8; the folder is the road's own."""
    return ExportRecipe(
        source=SourceRecipe(checkpoint=recipe.training / "model.keras"),
        publish=PublishOptions(output=Path(recipe.output), name=pictures.listing.name, force=True),
        formats=recipe.formats,
        quantize=("int8",),
        gate=recipe.gate,
    )


def _artefacts(exporting: ExportRecipe, recipe: MakeRecipe) -> tuple[Path, ...]:
    return tuple(
        Path(recipe.output) / f"{exporting.name_of('model', precision)}.{model_format}"
        for model_format, precision in exporting.pairs
    )


def _steps(
    recipe: MakeRecipe,
    pictures: Pictures,
    training: TrainRecipe,
    exporting: ExportRecipe,
    page: Path,
    *,
    begun: bool,
) -> tuple[Step, ...]:
    counts = {part: len(split.labels) for part, split in pictures.splits.items()}
    height, width = recipe.size
    checkpoint, artefacts = recipe.training / "model.keras", _artefacts(exporting, recipe)
    trained = _checkpoint_sha256(recipe.training) if begun else None
    made = [_artefact_sha256(path, trained) for path in artefacts]
    exported = None not in made
    return (
        Step(
            name="train",
            what=f"{training.architecture} at {width}x{height}, up to {training.epochs} epochs of "
            f"{counts['train']:,} pictures, judged on {counts['validation']:,} others",
            results=(checkpoint,),
            state="done" if trained else _begun(recipe.training) if begun else "to do",
        ),
        Step(
            name="export",
            what=f"int8 as {', '.join(recipe.formats)}, compared with Keras on {counts['test']:,} test pictures",
            results=artefacts,
            state="done" if exported else "to do",
        ),
        Step(
            name="measure",
            what="speed, memory and every decision, as a page",
            results=(page,),
            state="done" if exported and _is_measured(page, made) else "to do",
        ),
    )


def _begun(folder: Path) -> State:
    return "begun" if (folder / "state.json").is_file() and load_state(folder).epochs else "to do"


def _checkpoint_sha256(folder: Path) -> str | None:
    """The digest of a finished run's model; None where the run is not finished, or the file is another."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        found = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
        return found if found == card["model"]["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # training goes on and writes both


def _artefact_sha256(path: Path, checkpoint: str | None) -> str | None:
    """The digest of an artefact of that checkpoint; None where it is missing, damaged or of another."""
    try:
        artefact = open_artefact(path) if checkpoint and path.is_file() else None
    except ArtefactError:
        return None  # exporting makes it anew
    if artefact is None or artefact.card["provenance"]["checkpoint"]["sha256"] != checkpoint:
        return None
    return str(artefact.card["model"]["sha256"])


def report_path(page: Path) -> Path:
    """Where the report lies that a page is drawn from."""
    return page.with_name(f"{page.stem}-report.json")


def _is_measured(page: Path, artefacts: list[str | None]) -> bool:
    try:
        report = read_report(report_path(page)) if page.is_file() else None
    except (CifarEdgeError, OSError):
        return False  # measuring writes it anew
    measured = set() if report is None else {one.model_file.sha256 for one in report.models}
    return set(artefacts) <= measured
