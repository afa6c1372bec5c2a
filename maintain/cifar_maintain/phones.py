"""Measures what MediaPipe makes of our files: ``python -m cifar_maintain.phones MODEL.tflite ... --python PYTHON``.

It replays each file's golden vectors through ``mediapipe.tasks`` and compares MediaPipe's answers for pictures larger
than the input with the runtime's. The figures go to ``benchmarks/reports/phones.json``, their table into
``docs/phones.md``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.formatting import markdown_rows
from cifar_maintain import mediapipe_child
from cifar_maintain.readme import with_blocks
from cifar_runtime.classifier import Classifier
from cifar_runtime.commands.parser import Parser, run_command
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import ArtefactError, InputError, MissingDependencyError
from cifar_runtime.golden import golden_from_card
from cifar_runtime.imaging.preprocess import centre_box, fit_picture
from cifar_runtime.system.files import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image

PHONES_SCHEMA = "cifar-edge/phones/1"
_PROGRAM = "python -m cifar_maintain.phones"
_REFUSED = 4
_CHILD_TIMEOUT_S = 600
# Crops of photographs, in pixels of their shorter side, and as width to height.
_EDGES = (64, 128, 256, 400)
_SQUARE = ((1, 1),)
_OBLONG = ((3, 2), (2, 3), (16, 9), (3, 1))
_NUM_CIFAR = 200
_UPSCALED = 224
_FRAME = (398, 224)  # 16:9


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPipeScores:
    """What MediaPipe gave.

    Attributes:
        whole: scores of whole pictures, resized by MediaPipe: float32, shape (n, num_labels).
        centre: scores of the centre that the contract asks for, cut and resized by MediaPipe, likewise.
        labels: in the order of the scores.
        versions: of mediapipe and what it resizes with.
    """

    whole: NDArray[np.float32]
    centre: NDArray[np.float32]
    labels: tuple[str, ...]
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Pictures of one kind.

    Attributes:
        name: of the kind.
        images: uint8, shape (height, width, 3), RGB, any sizes.
        labels: the index of the right label of each; None where no label is right.
    """

    name: str
    images: tuple[NDArray[np.uint8], ...]
    labels: NDArray[np.integer[Any]] | None = None


def mediapipe_scores(
    model: Path, images: Sequence[NDArray[np.uint8]], *, python: Path
) -> MediaPipeScores:
    """The scores that MediaPipe's ImageClassifier gives for pictures of any size.

    Args:
        model: a .tflite file.
        images: uint8, shape (height, width, 3), RGB.
        python: the interpreter of an environment that has mediapipe.

    Raises:
        ArtefactError: MediaPipe refuses the model.
        MissingDependencyError: the environment has no mediapipe, or it does not work there.
    """
    input_shape = Classifier(model).artefact.contract.input.shape if _has_card(model) else (1, 1, 3)
    boxes = np.array([_centre_share(image, input_shape) for image in images])
    arrays: dict[str, Any] = {f"picture_{index}": image for index, image in enumerate(images)}
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "pictures.npz"), Path(folder, "scores.npz")
        np.savez(given, **arrays, boxes=boxes)
        command = [str(part) for part in (python, mediapipe_child.__file__, model, given, found)]
        ended = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            timeout=_CHILD_TIMEOUT_S,
            check=False,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
        if ended.returncode != 0:
            raise _failure(model, python, ended)
        with np.load(found) as stored:
            return MediaPipeScores(
                whole=stored["whole"],
                centre=stored["centre"],
                labels=tuple(map(str, stored["labels"])),
                versions=dict(
                    zip(map(str, stored["tools"]), map(str, stored["versions"]), strict=True)
                ),
            )


def _has_card(model: Path) -> bool:
    return model.with_name(f"{model.name}.json").exists()


def _failure(
    model: Path, python: Path, ended: "subprocess.CompletedProcess[str]"
) -> ArtefactError | MissingDependencyError:
    lines = ended.stderr.strip().splitlines() or ["it says nothing"]
    if ended.returncode == _REFUSED:
        reason = next(line for line in lines if line.startswith("refused: "))
        return ArtefactError(
            f"{model}: MediaPipe {reason.rstrip('.')}.",
            hint="Export with --quantize int8-uint8-io or int8-float-io.",
        )
    return MissingDependencyError(
        f"{python}: MediaPipe does not work there: {lines[-1].rstrip('.')}.",
        hint="Make an environment with: make readers",
    )


def _centre_share(
    image: NDArray[np.uint8], input_shape: tuple[int, int, int]
) -> tuple[float, float, float, float]:
    height, width = image.shape[:2]
    left, top, right, bottom = centre_box((width, height), (input_shape[1], input_shape[0]))
    return left / width, top / height, right / width, bottom / height


def pictures() -> tuple[Pictures, ...]:
    """CIFAR-10's test images as they are, upscaled and in camera frames, and crops of two photographs."""
    from PIL import Image

    from cifar_data.packaged import test_sample

    sample = test_sample()
    every = len(sample.images) // _NUM_CIFAR
    small, labels = np.asarray(sample.images)[::every], np.asarray(sample.labels)[::every]
    large = tuple(_resized(Image.fromarray(image), _UPSCALED) for image in small)
    margin = (_FRAME[0] - _UPSCALED) // 2
    framed = tuple(np.pad(image, ((0, 0), (margin, margin), (0, 0)), "reflect") for image in large)
    return (
        Pictures(name="CIFAR-10, 32 x 32", images=tuple(small), labels=labels),
        Pictures(name="CIFAR-10, upscaled to 224 x 224", images=large, labels=labels),
        Pictures(
            name="CIFAR-10, 224 x 224 amid a 16:9 frame, mirrored at its sides",
            images=framed,
            labels=labels,
        ),
        Pictures(name="square crops of two photographs", images=_crops(_SQUARE)),
        Pictures(name="oblong crops of two photographs", images=_crops(_OBLONG)),
    )


def _resized(image: "Image", edge: int) -> NDArray[np.uint8]:
    from PIL.Image import Resampling

    return np.asarray(image.resize((edge, edge), Resampling.BICUBIC), dtype=np.uint8)


def _crops(aspects: Sequence[tuple[int, int]]) -> tuple[NDArray[np.uint8], ...]:
    """Crops of scikit-learn's china.jpg and flower.jpg, side by side, of several sizes and aspect ratios."""
    from sklearn.datasets import load_sample_images

    found = []
    for photograph in map(np.asarray, load_sample_images().images):
        for edge in _EDGES:
            for wide, tall in aspects:
                width, height = edge * wide // min(wide, tall), edge * tall // min(wide, tall)
                found += _tiles(photograph, width, height)
    return tuple(found)


def _tiles(photograph: NDArray[np.uint8], width: int, height: int) -> list[NDArray[np.uint8]]:
    rows, columns = photograph.shape[:2]
    return [
        np.ascontiguousarray(photograph[top : top + height, left : left + width])
        for top in range(0, rows - height + 1, height)
        for left in range(0, columns - width + 1, width)
    ]


def measure(model: Path, kinds: Sequence[Pictures], *, python: Path) -> dict[str, Any]:
    """What MediaPipe makes of one model, JSON-ready.

    Args:
        model: an artefact that returns probabilities.
        kinds: the pictures to compare on.
        python: the interpreter of an environment that has mediapipe.

    Raises:
        ArtefactError: the model is no artefact, or MediaPipe refuses it.
        MissingDependencyError: the environment has no mediapipe.
    """
    classifier = Classifier(model)
    golden = golden_from_card(classifier.artefact.card)
    replayed = mediapipe_scores(model, list(golden.images), python=python)
    return {
        "file": model.name,
        "sha256": classifier.artefact.sha256,
        "versions": replayed.versions,
        "golden": {
            "num_vectors": len(golden.images),
            "labels_equal": _equal_labels(replayed.whole, golden.scores),
            "max_difference": float(np.abs(replayed.whole - golden.scores).max()),
            "tolerance": golden.tolerance,
        },
        "pictures": [_compared(classifier, model, kind, python) for kind in kinds],
    }


def _compared(classifier: Classifier, model: Path, kind: Pictures, python: Path) -> dict[str, Any]:
    from PIL import Image

    contract = classifier.artefact.contract.input
    as_pillow = [Image.fromarray(image) for image in kind.images]
    fitted = np.stack([fit_picture(image, contract) for image in as_pillow])
    ours = classifier.scores(fitted)
    own = mediapipe_scores(model, kind.images, python=python)
    halved = [_halved(image, contract) for image in as_pillow]
    ways = {
        "whole": own.whole,
        "centre": own.centre,
        "centre, halved": mediapipe_scores(model, halved, python=python).whole,
        "fitted": mediapipe_scores(model, list(fitted), python=python).whole,
    }
    right = None if kind.labels is None else int((ours.argmax(axis=1) == kind.labels).sum())
    return {
        "name": kind.name,
        "num_pictures": len(fitted),
        "correct": right,
        "ways": {way: _difference(scores, ours, kind.labels) for way, scores in ways.items()},
    }


def _halved(picture: "Image", contract: InputContract) -> NDArray[np.uint8]:
    """The centre that the contract asks for, halved by averaging two by two while it is twice the input."""
    height, width, _ = contract.shape
    halved = picture.crop(centre_box(picture.size, (width, height)))
    while halved.width >= 2 * width and halved.height >= 2 * height:
        halved = halved.reduce(2)
    return np.asarray(halved, dtype=np.uint8)


def _difference(
    found: NDArray[np.float32], ours: NDArray[np.float32], labels: NDArray[np.integer[Any]] | None
) -> dict[str, Any]:
    return {
        "labels_changed": len(ours) - _equal_labels(found, ours),
        "max_difference": float(np.abs(found - ours).max()),
        "correct": None if labels is None else int((found.argmax(axis=1) == labels).sum()),
    }


def _equal_labels(found: NDArray[np.float32], expected: NDArray[np.float32]) -> int:
    return int((found.argmax(axis=1) == expected.argmax(axis=1)).sum())


def phones_table(document: dict[str, Any]) -> str:
    """The figures as Markdown: a table for each group of files whose figures are the same."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for model in document["models"]:
        groups.setdefault(json.dumps(model["pictures"]), []).append(model)
    return "\n".join([*map(_group_table, groups.values()), _golden_sentence(document), ""])


def _group_table(models: list[dict[str, Any]]) -> str:
    kinds = models[0]["pictures"]
    ways = list(kinds[0]["ways"])
    rows = [
        [
            kind["name"],
            str(kind["num_pictures"]),
            "-" if kind["correct"] is None else str(kind["correct"]),
            *(_way_cell(kind["ways"][way]) for way in ways),
        ]
        for kind in kinds
    ]
    title = " and ".join(model["file"] for model in models)
    return "\n".join(
        [
            f"{title}: labels changed, largest difference of a score (right)",
            "",
            *markdown_rows(("pictures", "n", "right: runtime", *ways), rows),
            "",
        ]
    )


def _way_cell(way: dict[str, Any]) -> str:
    right = "" if way["correct"] is None else f" ({way['correct']})"
    return f"{way['labels_changed']}, {way['max_difference']:.3f}{right}"


def _golden_sentence(document: dict[str, Any]) -> str:
    replays = "; ".join(
        f"{model['file']}: {model['golden']['labels_equal']} of {model['golden']['num_vectors']} labels, largest "
        f"difference {model['golden']['max_difference']:g} (tolerance {model['golden']['tolerance']:.2g})"
        for model in document["models"]
    )
    tools = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    return f"Golden vectors through MediaPipe: {replays}. Versions: {tools}."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, lambda arguments: _run(_parse(arguments)), argv)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog=_PROGRAM, description="Measure what MediaPipe makes of .tflite artefacts.")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument(
        "--python",
        type=Path,
        default=Path(".venv-readers/bin/python"),
        metavar="PYTHON",
        help="of an environment that has mediapipe (default: .venv-readers/bin/python)",
    )
    parser.add_argument(
        "--report", type=Path, default=Path("benchmarks/reports/phones.json"), metavar="FILE"
    )
    parser.add_argument("--page", type=Path, default=Path("docs/phones.md"), metavar="FILE")
    return parser.parse_args(argv)


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.python.exists():
        raise MissingDependencyError(
            f"{arguments.python}: is not there, expected an environment that has mediapipe.",
            hint="make readers",
        )
    kinds = pictures()
    models = [measure(model, kinds, python=arguments.python) for model in arguments.models]
    versions = models[0]["versions"] | {
        name: metadata.version(name) for name in ("ai-edge-litert", "pillow")
    }
    document = {
        "schema": PHONES_SCHEMA,
        "versions": versions,
        "models": [
            {name: value for name, value in model.items() if name != "versions"} for model in models
        ],
    }
    write_atomically(arguments.report, (json.dumps(document, indent=1) + "\n").encode())
    page = page_with_table(arguments.page.read_text(encoding="utf-8"), document)
    write_atomically(arguments.page, page.encode())
    sys.stdout.write(phones_table(document))
    return 0


def page_with_table(page: str, document: dict[str, Any]) -> str:
    """The page with the figures between its markers.

    Raises:
        InputError: it has no such markers.
    """
    if "<!-- table: phones -->" not in page:
        raise InputError("the page has no table of phones.", hint="Write <!-- table: phones -->.")
    return with_blocks(page, lambda *_: phones_table(document))


if __name__ == "__main__":
    sys.exit(main())
