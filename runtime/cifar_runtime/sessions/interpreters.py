"""Imports the interpreters, quietly and without telemetry: nothing else imports them. It opens no model."""

import importlib
import os
from typing import Any

from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import MissingDependencyError
from cifar_runtime.formats.known_formats import KNOWN_FORMATS, ModelFormat
from cifar_runtime.plain_text import reason_of
from cifar_runtime.system.native_stderr import filtered_native_stderr


def import_interpreter(model_format: ModelFormat) -> Any:
    """The module that runs models of a format; not to be called inside ``filtered_native_stderr``.

    Raises:
        ImportError: it is not installed, or broken.
    """
    known = KNOWN_FORMATS[model_format]
    os.environ.update(known.environment)
    with filtered_native_stderr():
        return importlib.import_module(known.module)


def import_litert() -> Any:
    """The module ``ai_edge_litert.interpreter``; see :func:`import_interpreter`."""
    return import_interpreter("tflite")


def import_onnxruntime() -> Any:
    """The package ``onnxruntime``; see :func:`import_interpreter`."""
    return import_interpreter("onnx")


def interpreter_of(artefact: Artefact) -> Any:
    """The module that runs an artefact.

    Raises:
        MissingDependencyError: it is not installed, or broken.
    """
    known = KNOWN_FORMATS[artefact.format]
    try:
        return import_interpreter(artefact.format)
    except ImportError as error:
        raise MissingDependencyError(
            f"{artefact.path}: needs {known.title}, which cannot be imported: {reason_of(error)}.",
            hint=f"Run: {known.pip}",
        ) from error
