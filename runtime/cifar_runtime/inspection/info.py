"""What a model is: its card, what the file computes, and whether its golden vectors still hold.

Nothing here runs a model but :func:`self_test`; nothing prints (see ``commands.info``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_runtime.artefact import Artefact, open_artefact
from cifar_runtime.documents import to_document
from cifar_runtime.formats.graph import Graph, graph_from_bytes
from cifar_runtime.golden import Replay, replay

SCHEMA = "cifar-edge/info/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model, described.

    Attributes:
        artefact: the opened model.
        graph: what the file computes.
        self_test: what the golden vectors gave here; None when they were not replayed.
    """

    artefact: Artefact
    graph: Graph
    self_test: Replay | None

    def to_json(self) -> dict[str, Any]:
        """The description as JSON-ready data, the whole card included."""
        return {
            "schema": SCHEMA,
            "card": dict(self.artefact.card),
            "content": content_to_json(self.graph),
            "self_test": None if self.self_test is None else self.self_test.to_json(),
        }


def model_info(
    model: str | Path, *, contract: str | Path | None = None, with_self_test: bool = False
) -> ModelInfo:
    """The description of a model file.

    Args:
        model: a ``.tflite`` or ``.onnx`` file.
        contract: as for :func:`cifar_runtime.artefact.open_artefact`.
        with_self_test: replay the golden vectors on this machine.

    Raises:
        ArtefactError: the model cannot be used, or there are no golden vectors to replay.
        MissingDependencyError: the self-test's interpreter is not installed.
        UsageError: as for ``open_artefact``.

    Example:
        >>> from cifar_runtime import model_info
        >>> model_info("edge-s-int8.onnx").graph.num_parameters
        96234
    """
    artefact = open_artefact(model, contract=contract)
    return ModelInfo(
        artefact=artefact,
        graph=graph_of(artefact),
        self_test=self_test(model, contract=contract) if with_self_test else None,
    )


def graph_of(artefact: Artefact) -> Graph:
    """What an artefact's file computes.

    Raises:
        ArtefactError: the file is damaged.
    """
    return graph_from_bytes(artefact.data, artefact.format)


def self_test(model: str | Path, *, contract: str | Path | None = None) -> Replay:
    """The golden vectors of a model, replayed on this machine.

    Raises:
        ArtefactError: the model cannot be used, or has no golden vectors.
        MissingDependencyError: its interpreter is not installed.

    Example:
        >>> from cifar_runtime import self_test
        >>> result = self_test("edge-s-int8.tflite")
        >>> result.passed, result.num_vectors
        (True, 8)
    """
    from cifar_runtime.classifier import Classifier

    classifier = Classifier(model, contract=contract)
    try:
        return replay(classifier)
    finally:
        classifier.session.close()


def without_bulk(document: Mapping[str, Any]) -> dict[str, Any]:
    """What :meth:`ModelInfo.to_json` gives, with counts in place of pictures, ids and the scales of channels."""
    card, content = dict(document["card"]), document["content"]
    if golden := card.get("golden_vectors"):
        kept = {name: golden[name] for name in ("tolerance", "shape") if name in golden}
        card["golden_vectors"] = {"count": len(golden["scores"]), **kept}
    if (provenance := card.get("provenance")) and (images := provenance.get("calibration")):
        short = {name: value for name, value in images.items() if name != "ids"}
        card["provenance"] = {**provenance, "calibration": short}
    tensors = [_short_tensor(tensor) for tensor in content["tensors"]]
    return {**document, "card": card, "content": {**content, "tensors": tensors}}


def _short_tensor(tensor: Mapping[str, Any]) -> dict[str, Any]:
    if len(tensor["scales"]) <= 1:
        return dict(tensor)
    short = {name: tensor[name] for name in tensor if name not in ("scales", "zero_points")}
    return {**short, "num_scales": len(tensor["scales"])}


def content_to_json(graph: Graph) -> dict[str, Any]:
    """A graph as JSON-ready data."""
    return {
        "operators": graph.operator_counts,
        "parameters": graph.num_parameters,
        "parameter_bytes": graph.parameter_bytes,
        "macs": graph.macs,
        "tensors": to_document(graph.tensors),
    }
