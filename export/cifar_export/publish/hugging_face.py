"""A Hugging Face model repository of artefacts, as a folder that uploads as it is; nothing is uploaded.

Everything in its README.md follows from the cards: licence, labels, accuracy, how to use the files.

Source: huggingface.co/docs/hub/model-cards (front matter); modelcard.md, "model-index".
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cifar_data.cifar10.splits import LABELS
from cifar_eval.formatting import markdown_rows, percent
from cifar_export.publish.reader_facts import version_of
from cifar_export.publish.tflite_metadata import LABELS_FILE
from cifar_runtime.artefact import Artefact, card_path, open_artefact
from cifar_runtime.errors import InputError, UsageError
from cifar_runtime.formats.known_formats import ModelFormat
from cifar_runtime.system.files import write_atomically

_LIBRARIES: Mapping[ModelFormat, str] = {"tflite": "litert", "onnx": "onnx"}
# The hub's words for SPDX expressions are these in lower case.
# Source: huggingface.co/docs/hub/repositories-licenses.
_HUB_LICENCES = ("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC0-1.0")


def write_repository(models: Sequence[Path], folder: Path) -> None:
    """Writes the repository of one or more artefacts of the same labels: models, cards, labels.txt and README.md.

    Args:
        models: ``.tflite`` and ``.onnx`` files, each with its card beside it; the first is the one that is shown.
        folder: made when missing; other files in it stay.

    Raises:
        ArtefactError: a model cannot be used.
        InputError: the folder cannot be written.
        UsageError: no model is given, or their labels differ.
    """
    artefacts = [open_artefact(model) for model in models]
    if not artefacts or len({artefact.contract.labels for artefact in artefacts}) != 1:
        raise UsageError(
            f"{len(artefacts)} models with different labels, or none, expected models of one classifier.",
            hint="Write a repository for each.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in repository_files(artefacts).items():
            write_atomically(folder / name, content)
    except OSError as cause:
        raise InputError(
            f"{folder}: cannot be written: {cause.strerror}.",
            hint="Check the folder and its free space, or give another one.",
        ) from cause


def repository_files(artefacts: Sequence[Artefact]) -> dict[str, bytes]:
    """The files of the repository by name."""
    files: dict[str, bytes] = {}
    for artefact in artefacts:
        files[artefact.path.name] = artefact.data
        card = json.dumps(artefact.card, indent=1, ensure_ascii=False)
        files[card_path(artefact.path).name] = f"{card}\n".encode()
    files[LABELS_FILE] = "".join(f"{label}\n" for label in artefacts[0].contract.labels).encode()
    return files | {"README.md": readme(artefacts).encode()}


def readme(artefacts: Sequence[Artefact]) -> str:
    """The model card: front matter for the hub, then what a reader wants to know."""
    front = "".join(f"{line}\n" for line in yaml_lines(front_matter(artefacts)))
    return f"---\n{front}---\n\n" + "\n".join(_sections(artefacts))


def front_matter(artefacts: Sequence[Artefact]) -> dict[str, Any]:
    """What the hub reads."""
    first = artefacts[0]
    libraries = list(dict.fromkeys(_LIBRARIES[artefact.format] for artefact in artefacts))
    return {
        **licence_fields(first.card.get("licence")),
        "library_name": libraries[0],
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", *libraries, *_precisions(artefacts), "cifar-edge"],
        "model-index": [
            {"name": artefact.name, "results": [_result(artefact, parity)]}
            for artefact in artefacts
            if (parity := _parity(artefact)) is not None
        ],
    }


def licence_fields(expression: str | None) -> dict[str, str]:
    """The hub's fields for an SPDX expression; none for None."""
    if expression is None:
        return {}
    if expression in _HUB_LICENCES:
        return {"license": expression.lower()}
    return {"license": "other", "license_name": expression}


def _precisions(artefacts: Sequence[Artefact]) -> list[str]:
    stated = [_recipe(artefact).get("quantize") for artefact in artefacts]
    return list(dict.fromkeys("float32" if name == "none" else name for name in stated if name))


def _result(artefact: Artefact, parity: Mapping[str, Any]) -> dict[str, Any]:
    metrics = {
        "accuracy": (parity["candidate_correct"] / parity["seen"], _measure(artefact)),
        "agreement": (parity["agreement"], "Images decided as the Keras model decides them"),
    }
    name, kind = _data_set(artefact)
    return {
        "task": {"type": "image-classification"},
        "dataset": {"name": name, "type": kind, "split": parity["split"]},
        "metrics": [
            {"type": kind, "value": value, "name": name} for kind, (value, name) in metrics.items()
        ],
    }


def _data_set(artefact: Artefact) -> tuple[str, str]:
    """Its name, and the hub's word for it."""
    is_cifar10 = artefact.contract.labels == LABELS
    return ("CIFAR-10", "cifar10") if is_cifar10 else ("a folder of pictures", "imagefolder")


def _sections(artefacts: Sequence[Artefact]) -> list[str]:
    first = artefacts[0]
    labels = ", ".join(first.contract.labels)
    return [
        f"# {first.name}",
        "",
        f"Says which of {len(first.contract.labels)} labels hold of pictures: {labels}."
        if first.contract.output.is_independent
        else f"Tells pictures of {len(first.contract.labels)} classes apart: {labels}.",
        "",
        *_accuracy_table(artefacts),
        "",
        "Each file carries what its use needs: labels, preprocessing, quantization, where it comes from, and golden "
        "vectors; its card beside it (`.json`) says the same and its sha256.",
        "",
        "```python",
        "from cifar_runtime import Classifier  # the distribution cifar-edge-runtime",
        "",
        f'print(Classifier("{first.path.name}").classify("picture.jpg"))',
        "```",
        "",
        f"`cifar-info {first.path.name} --self-test` replays the golden vectors on your machine.",
        "",
        *_provenance_lines(first),
        "",
    ]


def _measure(artefact: Artefact) -> str:
    """What its accuracy is a share of: images whose best label is right, or all of whose labels are."""
    return "Exact label sets" if artefact.contract.output.is_independent else "Top-1 accuracy"


def _accuracy_table(artefacts: Sequence[Artefact]) -> list[str]:
    measure = f"{_measure(artefacts[0]).lower().removesuffix(' accuracy')} %"
    header = ("file", "input", "bytes", measure, "correct / seen", "agreement %", "split")
    return markdown_rows(header, [_accuracy_row(artefact) for artefact in artefacts])


def _accuracy_row(artefact: Artefact) -> tuple[str, ...]:
    parity, taken = _parity(artefact), artefact.contract.input
    shape = " x ".join(map(str, taken.shape))
    row = (artefact.path.name, f"{taken.dtype} {shape}", f"{len(artefact.data):,}")
    if parity is None:
        return (*row, "-", "-", "-", "-")
    correct, seen = parity["candidate_correct"], parity["seen"]
    agreement = percent(parity["agreement"])
    return (*row, percent(correct / seen), f"{correct:,} / {seen:,}", agreement, parity["split"])


def _provenance_lines(artefact: Artefact) -> list[str]:
    provenance = artefact.card.get("provenance") or {}
    version = version_of(artefact.card)
    tools = ", ".join(f"{name} {version}" for name, version in provenance.get("tools", {}).items())
    lines = [] if version is None else [f"Made from {version} with {tools}."]
    if (licence := artefact.card.get("licence")) is not None:
        lines.append(f"Licence: {licence}.")
    return lines


def _parity(artefact: Artefact) -> Mapping[str, Any] | None:
    parity: Mapping[str, Any] | None = (artefact.card.get("provenance") or {}).get("parity")
    return parity


def _recipe(artefact: Artefact) -> Mapping[str, Any]:
    recipe: Mapping[str, Any] = (artefact.card.get("provenance") or {}).get("recipe") or {}
    return recipe


def yaml_lines(value: Any, indent: str = "") -> list[str]:
    """A tree of dictionaries and lists as lines of YAML; strings and numbers as JSON, which YAML holds."""
    if isinstance(value, Mapping):
        entries = [(f"{key}:", child) for key, child in value.items()]
    else:
        entries = [("-", child) for child in value]
    lines: list[str] = []
    for start, child in entries:
        if isinstance(child, (Mapping, list)) and child:
            lines += [f"{indent}{start}", *yaml_lines(child, f"{indent}  ")]
        else:
            lines.append(f"{indent}{start} {json.dumps(child, ensure_ascii=False)}")
    return lines
