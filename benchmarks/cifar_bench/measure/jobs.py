"""Turns a recipe into what is to be measured: checked models, labelled images, and one job per runtime variant."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cifar_bench.measure.cold_start import ColdModel
from cifar_bench.measure.measured_model import Job
from cifar_bench.recipe import BenchRecipe
from cifar_bench.variants import Variant, variants_from_names
from cifar_data.choose import stratified_positions
from cifar_data.image_folder import class_names, read_image_folder
from cifar_data.load import limited, load_split
from cifar_data.pictures.source_file import load_test_pictures
from cifar_data.split import Split
from cifar_eval.models.checkpoint_mapping import checkpoint_mapping, refuse_unused_contract
from cifar_eval.models.exported import open_measured
from cifar_eval.models.input_mapping import RAW_PIXELS
from cifar_eval.models.keras_archive import read_checkpoint
from cifar_eval.models.protocols import is_checkpoint
from cifar_runtime.artefact import Artefact, refuse_independent
from cifar_runtime.classifier import default_model
from cifar_runtime.errors import UsageError
from cifar_runtime.formats.known_formats import KNOWN_FORMATS
from cifar_runtime.sessions.isolation import run_in_subprocess

NUM_LATENCY_IMAGES = 50
PICTURE_SIDE = 320
"""Pixels of the picture's shorter side in preprocessing and cold starts: it has to be resized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The models and images of one run, opened and checked without running any model.

    Attributes:
        paths: every model once, those of ``against`` first.
        artefacts: the exported ones among them.
        evaluation: the labelled images.
    """

    paths: tuple[Path, ...]
    artefacts: Mapping[Path, Artefact]
    evaluation: Split


def open_sources(recipe: BenchRecipe) -> Sources:
    """What the recipe names.

    Raises:
        ArtefactError: a model cannot be used.
        InputError: the images are missing, or do not decode.
        MissingDependencyError: no interpreter is installed.
        UsageError: a folder of images, but no exported model that says how to fit them, or a contract that no model
            needs.
    """
    models = recipe.models or default_models()
    paths = tuple(dict.fromkeys(map(Path, (*recipe.against, *models))))
    artefacts = {}
    for path in paths:
        if is_checkpoint(path):
            read_checkpoint(path)  # so that a wrong file is refused before anything long begins
        else:
            artefacts[path] = open_measured(path, contract=recipe.contract)
            refuse_independent(artefacts[path])
    refuse_unused_contract(recipe.contract, artefacts.values())
    for artefact in artefacts.values():
        if artefact.foreign:
            run_in_subprocess(artefact, threads=recipe.threads[0])
    return Sources(
        paths=paths, artefacts=artefacts, evaluation=_evaluation(recipe, list(artefacts.values()))
    )


def jobs_from_sources(sources: Sources, recipe: BenchRecipe, *, folder: Path) -> tuple[Job, ...]:
    """One job for every model and every variant that runs it; the images are written to ``folder``.

    Raises:
        UsageError: none of the recipe's runtimes runs a model.
    """
    variants = variants_from_names(recipe.runtimes)
    evaluation = sources.evaluation
    images = folder / "images.npy"
    np.save(images, evaluation.images)
    count = min(NUM_LATENCY_IMAGES, len(evaluation.labels))
    positions = tuple(stratified_positions(evaluation.labels, count).tolist())
    return tuple(
        Job(
            path=path,
            variant=variant,
            contract=recipe.contract,
            labels=evaluation.label_names,
            mapping=RAW_PIXELS
            if path in sources.artefacts
            else checkpoint_mapping(path, sources.artefacts.values()),
            images=images,
            positions=positions,
        )
        for path in sources.paths
        for variant in _fitting(path, sources, variants)
    )


def cold_models(jobs: Sequence[Job], sources: Sources) -> dict[int, ColdModel]:
    """What cifar-classify can be started with, by the place of its job: default variants of artefacts."""
    return {
        place: ColdModel(
            path=job.path, contract=job.contract if sources.artefacts[job.path].foreign else None
        )
        for place, job in enumerate(jobs)
        if job.variant.is_default and job.path in sources.artefacts
    }


def write_picture(evaluation: Split, path: Path) -> tuple[int, int]:
    """Writes the first image, enlarged, as a PNG file; (width, height) in pixels."""
    from PIL import Image

    picture = Image.fromarray(evaluation.images[0])
    factor = max(1, -(-PICTURE_SIDE // min(picture.size)))
    enlarged = picture.resize((picture.width * factor, picture.height * factor))
    enlarged.save(path)
    return enlarged.size


def _fitting(path: Path, sources: Sources, variants: Sequence[Variant]) -> list[Variant]:
    model_format = sources.artefacts[path].format if path in sources.artefacts else "keras"
    fitting = [variant for variant in variants if variant.format == model_format]
    if not fitting:
        names = ", ".join(variant.name for variant in variants)
        raise UsageError(
            f"{path}: none of the runtimes {names} runs a {model_format} model.",
            hint="Name one that does, or leave --runtimes out.",
        )
    return fitting


def _evaluation(recipe: BenchRecipe, artefacts: Sequence[Artefact]) -> Split:
    if recipe.run is not None:
        return limited(load_test_pictures(Path(recipe.run)), recipe.limit)
    if recipe.eval_data is None:
        return load_split(recipe.split, limit=recipe.limit)
    if not artefacts:
        raise UsageError(
            f"{recipe.eval_data}: holds the classes {', '.join(class_names(Path(recipe.eval_data)))}, but "
            "no exported model says how its pictures are brought to size.",
            hint="Give an exported model beside the checkpoint.",
        )
    contract = artefacts[0].contract
    return read_image_folder(
        recipe.eval_data, labels=contract.labels, contract=contract.input, limit=recipe.limit
    )


def default_models() -> tuple[Path, ...]:
    """The packaged models that the installed interpreters run."""
    installed = [
        default_model(known.name)
        for known in KNOWN_FORMATS.values()
        if importlib.util.find_spec(known.package)
    ]
    # With neither, the runtime's own error says what to install.
    return tuple(installed) or (default_model("auto"),)
