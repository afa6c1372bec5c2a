"""Classes and functions that a checkpoint needs and Keras lacks, by the user's explicit choice: importing runs code."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cifar_runtime.errors import UsageError
from cifar_runtime.plain_text import reason_of

_EXPECTED = "expected MODULE:NAME, several with commas between them"


def custom_objects(text: str | None) -> Mapping[str, Any]:
    """The objects by their names; modules are those of this environment and of the current folder.

    Args:
        text: such as ``layers:Gate,layers:squashed``; None for none.

    Raises:
        UsageError: it is no such list, or a module or a name in it is not there.
    """
    return {} if text is None else dict(_imported(one) for one in text.split(","))


def _imported(one: str) -> tuple[str, Any]:
    module, colon, name = one.strip().partition(":")
    if not (colon and module and name.isidentifier()):
        raise UsageError(f"--custom-objects {one}: is not understood, {_EXPECTED}.")
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        return name, getattr(importlib.import_module(module), name)
    except Exception as error:
        raise UsageError(
            f"--custom-objects {one}: cannot be imported: {reason_of(error)}, {_EXPECTED}.",
            hint="Run it in the folder that the module lies in.",
        ) from error
    finally:
        sys.path.remove(here)
