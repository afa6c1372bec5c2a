"""Certifies this machine: replays a model's golden vectors here, and on request each operator of the first."""

import importlib.metadata
import platform
import zlib
from pathlib import Path

import numpy as np

from cifar_runtime.artefact import Artefact
from cifar_runtime.certificates.certificate import (
    Certificate,
    CertifiedModel,
    OperatorOutput,
    OperatorOutputs,
    Verdict,
    certified_vectors,
)
from cifar_runtime.certificates.processor import processor
from cifar_runtime.classifier import Classifier
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.known_formats import KNOWN_FORMATS
from cifar_runtime.formats.tflite_graph import tflite_graph
from cifar_runtime.golden import golden_from_card, golden_scores, replay_from_scores
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.sessions.litert_tensors import open_with_all_tensors

_BY_DEFAULT = {"litert": "XNNPACK", "onnxruntime": "CPU"}


def certify(
    model: str | Path, *, contract: str | Path | None = None, layers: bool = False
) -> Certificate:
    """The certificate of this machine for a model.

    Args:
        model: a ``.tflite`` or ``.onnx`` file with golden vectors in its card.
        contract: as for :func:`cifar_runtime.artefact.open_artefact`.
        layers: with the checksum of every operator's output, by LiteRT's reference kernels, which are plain C++ and
            the same on every processor.

    Raises:
        ArtefactError: the model cannot be used, has no golden vectors, or is no .tflite file for ``layers``.
        MissingDependencyError: its interpreter is not installed.
    """
    classifier = Classifier(model, contract=contract)
    try:
        golden, found = golden_scores(classifier)
    finally:
        classifier.session.close()
    artefact = classifier.artefact
    errors = np.abs(found.astype(np.float64) - golden.scores).max(axis=1)
    return Certificate(
        model=CertifiedModel(name=artefact.name, sha256=artefact.sha256),
        device=f"{platform.system()} {platform.machine()}, {processor()}",
        kernels=_kernels(artefact, _BY_DEFAULT[classifier.session.runtime]),
        self_test=replay_from_scores(golden, found),
        vectors=certified_vectors(
            found, [_verdict(error, golden.tolerance) for error in errors], classifier.labels
        ),
        operators=operator_outputs(artefact) if layers else None,
    )


def operator_outputs(artefact: Artefact) -> OperatorOutputs:
    """What each operator of a .tflite artefact makes of its first golden image.

    Raises:
        ArtefactError: it is of another format, has no golden vectors, or LiteRT refuses it.
        MissingDependencyError: LiteRT is not installed.
    """
    if artefact.format != "tflite":
        raise ArtefactError(
            f"{artefact.path}: is {artefact.format}, expected a .tflite file to compare operators of.",
            hint="Leave --layers out.",
        )
    interpreter = open_with_all_tensors(artefact, kernels="reference")
    image = golden_from_card(artefact.card).images[:1]
    table = input_table(artefact.contract.input)
    try:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.take(table, image))
        interpreter.invoke()
        outputs = tuple(
            OperatorOutput(
                operator=operator.name,
                tensor=operator.outputs[0],
                crc32=f"{zlib.crc32(interpreter.get_tensor(operator.outputs[0]).tobytes()):08x}",
            )
            for operator in tflite_graph(artefact.data).operators
        )
    except (RuntimeError, ValueError) as error:
        raise ArtefactError(
            f"{artefact.path}: LiteRT cannot read its intermediate tensors: {error}.",
            hint="Leave --layers out.",
        ) from error
    return OperatorOutputs(kernels=_kernels(artefact, "reference"), outputs=outputs)


def _kernels(artefact: Artefact, family: str) -> str:
    known = KNOWN_FORMATS[artefact.format]
    return f"{known.title} {_version(known.package)}, {family} kernels"


def _version(package: str) -> str:
    """The version of the distribution that brings a package."""
    try:
        return importlib.metadata.version(package.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _verdict(error: float, tolerance: float) -> Verdict:
    return "same" if error == 0 else "close" if error <= tolerance else "differs"
