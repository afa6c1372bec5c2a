"""The page of every shipped model, drawn from its artefacts and its training card; nothing is measured or typed.

The pages begin as a model card of the Hugging Face hub does (see ``cifar_export.publish.hugging_face``).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cifar_data import packaged
from cifar_eval.accuracy import Accuracy
from cifar_eval.formatting import counted, markdown_rows, percent
from cifar_export.publish.hugging_face import licence_fields, readme, yaml_lines
from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import default_model
from cifar_runtime.errors import InputError, json_error_reason
from cifar_runtime.system.files import read_once

_MAX_CARD_BYTES = 16 * 1024 * 1024


def model_pages(checkpoints: Path, pages: Path) -> dict[Path, str]:
    """The page of each model by its path: the packaged one, and every checkpoint in a folder.

    Args:
        checkpoints: a folder of .keras files, each with its training card (.json) beside it.
        pages: the folder that the pages go to.

    Raises:
        InputError: a training card is no such card.
        ArtefactError: a packaged artefact cannot be used.
    """
    shipped = packaged.checkpoint()
    found = {pages / f"{shipped.stem}.md": packaged_page(shipped)}
    for checkpoint in sorted(checkpoints.glob("*.keras")):
        found[pages / f"{checkpoint.stem}.md"] = checkpoint_page(checkpoint)
    return found


def packaged_page(checkpoint: Path) -> str:
    """The hub's card of the packaged artefacts, and how the checkpoint they were made from was trained."""
    artefacts = [open_artefact(default_model(model_format)) for model_format in ("tflite", "onnx")]
    page = readme(artefacts).rstrip()
    return f"{page}\n\n{_training(_card(checkpoint), checkpoint)}"


def checkpoint_page(checkpoint: Path) -> str:
    """The card of a Keras checkpoint: front matter, what it reaches, how to export it, how it was trained."""
    card = _card(checkpoint)
    labels = ", ".join(card["labels"])
    lines = [
        "---",
        *yaml_lines(_front_matter(checkpoint.stem, card)),
        "---",
        "",
        f"# {checkpoint.stem}",
        "",
        f"What is `models/{checkpoint.name}`, and what does it reach? A Keras checkpoint that tells pictures of "
        f"{len(card['labels'])} classes apart: {labels}.",
        "",
        "```console",
        f"$ cifar-export models/{checkpoint.name}",
        "```",
        "",
        f"writes `exported/{checkpoint.stem}-int8.tflite` and compares it with this checkpoint first.",
        "",
    ]
    return "\n".join(lines) + f"\n{_training(card, checkpoint)}"


def _front_matter(name: str, card: Mapping[str, Any]) -> dict[str, Any]:
    test = _accuracy(card, "test")
    return {
        **licence_fields(card.get("licence")),
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "keras", "float32", "cifar-edge"],
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": {"name": "CIFAR-10", "type": "cifar10", "split": "test"},
                        "metrics": [
                            {"type": "accuracy", "value": test.value, "name": "Top-1 accuracy"}
                        ],
                    }
                ],
            }
        ],
    }


def _training(card: Mapping[str, Any], checkpoint: Path) -> str:
    """How a checkpoint was trained, as Markdown with a last newline."""
    recipe, environment = card["recipe"], card["environment"]
    header = ("split", "top-1 %", "correct / seen")
    rows = [_row(split, _accuracy(card, split)) for split in card["accuracy"]]
    lines = [
        "## Training",
        "",
        f"The float32 checkpoint `{checkpoint.name}`:",
        "",
        *markdown_rows(header, rows),
        "",
        f"Recipe `{recipe['name']}`, network `{recipe['architecture']}`, seed {recipe['seed']}: epoch "
        f"{card['kept_epoch']} of {recipe['epochs']} was kept. Optimizer {recipe['optimizer']}, batches of "
        f"{recipe['batch_size']}, {environment['precision']} on {_device(environment)}, Keras "
        f"{environment['keras']} with {recipe['backend']}.",
        "",
        "Trained on CIFAR-10 only: ten classes, 32x32 pixels. It has no class for other things, and pictures of them "
        "may still get one of the ten labels.",
        "",
        f"Sha256 of the checkpoint: `{card['model']['sha256']}`. How to train it again: [training](../training.md).",
    ]
    return "\n".join(lines) + "\n"


def _device(environment: Mapping[str, str]) -> str:
    """The device, and what its card says of the processor; cards of older versions name neither."""
    if "cpu_model" not in environment:
        return environment["device"]
    flags = environment.get("isa_flags", "flags unknown")
    cores = counted(int(environment["cores"]), "core")
    return f"{environment['device']}, {cores} of {environment['cpu_model']} ({flags})"


def _row(split: str, accuracy: Accuracy) -> tuple[str, ...]:
    counts = f"{accuracy.correct:,} / {accuracy.seen:,}"
    return split, percent(accuracy.value), counts


def _accuracy(card: Mapping[str, Any], split: str) -> Accuracy:
    counts = card["accuracy"][split]
    return Accuracy(correct=counts["correct"], seen=counts["seen"], split=split)


def _card(checkpoint: Path) -> dict[str, Any]:
    """The training card beside a checkpoint.

    Raises:
        InputError: there is none, or it is no training card.
    """
    path = checkpoint.with_suffix(".json")
    text = read_once(path, max_bytes=_MAX_CARD_BYTES, error=InputError)
    try:
        card: dict[str, Any] = json.loads(text)
        _accuracy(card, "test")
    except (ValueError, KeyError, TypeError) as cause:
        raise InputError(
            f"{path}: is no training card: {json_error_reason(cause)}.",
            hint="Copy card.json of the run that made the checkpoint.",
        ) from cause
    return card
