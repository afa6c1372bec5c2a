"""The ``.keras`` file as an archive: its size, and what its configuration names; it imports no keras."""

import io
import json
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from cifar_runtime.errors import ArtefactError
from cifar_runtime.system.files import MAX_MODEL_BYTES, archive_boundary, read_once

# Where Keras looks for a function that a configuration names. Source: keras 3.15, serialization_lib.BUILTIN_MODULES.
FUNCTION_MODULES = (
    "activations",
    "constraints",
    "initializers",
    "losses",
    "metrics",
    "optimizers",
    "regularizers",
)


def refuse_custom_objects(data: bytes, *, path: Path, known: Collection[str] = ()) -> None:
    """Checks that a .keras file's configuration names Keras' own classes only; what it was compiled with is not opened.

    Keras says the same, in two hundred lines and without the layer's name in front.

    Args:
        data: what :func:`read_checkpoint` read.
        path: named in error messages.
        known: names of classes that the user gives.

    Raises:
        ArtefactError: a class from elsewhere is needed, or the configuration cannot be read.
    """
    config = without_compilation(read_config(data, path=path))
    for item, name in serialized_objects(config):
        module = item["module"]
        if item["class_name"] == "Lambda":
            raise ArtefactError(
                f"{path}: layer '{name}' is a Lambda, which holds Python code, expected built-in layers only.",
                hint="Replace it by Keras layers or keras.ops functions, and save the model again.",
            )
        if isinstance(module, str) and module.split(".")[0] in ("keras", "builtins"):
            continue
        if item["class_name"] in known:
            continue
        what = "the model" if name is None else f"layer '{name}'"
        raise ArtefactError(
            f"{path}: {what} is a {item['class_name']}, which is not Keras' own, "
            "expected built-in layers only.",
            hint="Build the model from Keras layers and save it again, or, if you trust its code, give cifar-export "
            f"--custom-objects MODULE:{item['class_name']}.",
        )


def read_config(data: bytes, *, path: Path) -> Any:
    """The configuration in a .keras file, as JSON data.

    Raises:
        ArtefactError: it is missing or damaged.
    """
    what = f"{path}: has no readable config.json"
    with (
        archive_boundary(what, error=ArtefactError, hint="Save the model again."),
        zipfile.ZipFile(io.BytesIO(data)) as archive,
    ):
        return json.loads(archive.read("config.json"))


def without_compilation(config: Any) -> Any:
    """A configuration without loss, metrics and optimizer, which opening without compiling leaves alone."""
    if not isinstance(config, dict):
        return config
    return {name: value for name, value in config.items() if name != "compile_config"}


def compiled_loss(config: Any) -> str | None:
    """The name of the loss that the model of a configuration was compiled with; None where it has none of one name."""
    compilation = config.get("compile_config") if isinstance(config, dict) else None
    loss = compilation.get("loss") if isinstance(compilation, dict) else None
    if isinstance(loss, dict):
        loss = loss.get("class_name")
    return loss if isinstance(loss, str) else None


def serialized_objects(root: Any) -> Iterator[tuple[dict[str, Any], object]]:
    """Every class that a Keras configuration names, outermost first, with the name of the layer it is or is in."""
    waiting: list[tuple[Any, object]] = [(root, None)]
    while waiting:
        item, name = waiting.pop()
        if isinstance(item, dict):
            if "class_name" in item and "module" in item:
                settings = item.get("config")
                name = settings.get("name", name) if isinstance(settings, dict) else name
                yield item, name
            waiting.extend((value, name) for value in item.values())
        elif isinstance(item, list):
            waiting.extend((value, name) for value in item)


MAX_UNPACKED_BYTES = 1024**3
"""Largest sum of a checkpoint's unpacked members; a 4.7 MB file can unpack to 2.3 GB."""


def read_checkpoint(path: Path) -> bytes:
    """The bytes of a ``.keras`` file whose members unpack to a bearable size.

    Raises:
        ArtefactError: not a .keras file, unreadable, damaged, or too large unpacked.
    """
    if path.suffix != ".keras":
        raise ArtefactError(
            f"{path}: is not a .keras file; .h5 and pickle can run code when they are opened.",
            hint=_conversion(path),
        )
    data = read_once(path, max_bytes=MAX_MODEL_BYTES, error=ArtefactError)
    what = f"{path}: is not a Keras archive"
    with (
        archive_boundary(what, error=ArtefactError, hint="Save the model again."),
        zipfile.ZipFile(io.BytesIO(data)) as archive,
    ):
        unpacked_bytes = sum(member.file_size for member in archive.infolist())
    if unpacked_bytes > MAX_UNPACKED_BYTES:
        raise ArtefactError(
            f"{path}: unpacks to {unpacked_bytes} bytes, expected at most {MAX_UNPACKED_BYTES}.",
            hint="Save the model without optimizer state, or get it from its source again.",
        )
    return data


def _conversion(path: Path) -> str:
    """What makes a .keras file of another file or folder, as a line to paste where there is one."""
    if path.name.endswith(".weights.h5"):
        return (
            "It holds weights alone: build the network as it was trained, then "
            f"model.load_weights({path.name!r}) and model.save('NAME.keras')."
        )
    if path.suffix in (".h5", ".hdf5"):
        line = _resaving("keras.saving", path.name, f"{path.stem}.keras")
        return f"If you trust it, run beside it: {line}"
    if path.is_dir() and (path / "saved_model.pb").is_file():
        lines = (
            _resaving("tf_keras.models", path.name, f"{path.name}.h5"),
            _resaving("keras.saving", f"{path.name}.h5", f"{path.name}.keras"),
        )
        return (
            "It is a SavedModel. If Keras 2 made it and you trust it, run beside it, with tf_keras installed: "
            f"{' && '.join(lines)}"
        )
    return "Save the model with model.save('NAME.keras')."


def _resaving(module: str, source: str, target: str) -> str:
    """The command that opens a model with this module and saves it as another file."""
    root = module.partition(".")[0]
    code = f"import {root}; {module}.load_model({source!r}, compile=False).save({target!r})"
    return f'python -c "{code}"'
