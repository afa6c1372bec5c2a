"""``make.json``: what a folder was begun with, so that the same command goes on and another one is refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

from cifar_data.pictures.load import Pictures
from cifar_make.recipe import MakeRecipe
from cifar_runtime.errors import UsageError
from cifar_runtime.system.files import write_atomically

SCHEMA = "cifar-edge/make/1"
FILE_NAME = "make.json"


def request_document(recipe: MakeRecipe, pictures: Pictures) -> dict[str, Any]:
    """What decides the result, as JSON-ready data; no folders of this machine."""
    return {
        "schema": SCHEMA,
        "pictures": pictures.splits_document(),
        "size": list(recipe.size),
        "resize_filter": recipe.resize_filter,
        "network": recipe.network,
        "weights": _weights(recipe.weights),
        "augment": recipe.augment,
        "epochs": recipe.epochs,
        "seed": recipe.seed,
    }


def check_request(recipe: MakeRecipe, document: dict[str, Any]) -> bool:
    """Whether the output folder was begun with this request; False where it was not begun.

    Raises:
        UsageError: it was begun with another, or holds another run, and ``force`` does not say to start over.
    """
    path = Path(recipe.output) / FILE_NAME
    if recipe.force:
        return False
    if not path.is_file():
        _refuse_other_run(recipe)
        return False
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        names = [name for name in document if stored.get(name) != document[name]]
    except (OSError, ValueError, AttributeError):
        names = ["schema"]
    if not names:
        return True
    what = "pictures" if names[0] == "pictures" else f"{names[0]} than {document[names[0]]}"
    raise UsageError(
        f"{recipe.output}: was begun with other {what}.",
        hint="Start over with --force, choose another -o, or give what it was begun with.",
    )


def _refuse_other_run(recipe: MakeRecipe) -> None:
    if (recipe.training / "state.json").exists():
        raise UsageError(
            f"{recipe.training}: holds a run that cifar-make did not begin.",
            hint="Start over with --force, or choose another -o.",
        )


def write_request(recipe: MakeRecipe, document: dict[str, Any]) -> None:
    """Writes ``make.json`` into the output folder, which is made when missing."""
    Path(recipe.output).mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1) + "\n"
    write_atomically(Path(recipe.output) / FILE_NAME, text.encode())


def _weights(weights: str | None) -> str | None:
    """``imagenet``, or a file by its digest."""
    if weights is None or not Path(weights).is_file():
        return weights
    return f"sha256 {hashlib.sha256(Path(weights).read_bytes()).hexdigest()}"
