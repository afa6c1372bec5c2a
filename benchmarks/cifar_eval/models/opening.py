"""Any model file, opened to be measured."""

from collections.abc import Sequence
from pathlib import Path

from cifar_eval.models.exported import ExportedModel
from cifar_eval.models.keras import CheckpointModel
from cifar_eval.models.protocols import BenchmarkModel, is_checkpoint


def open_model(
    model: str | Path,
    *,
    labels: Sequence[str] | None = None,
    contract: str | None = None,
    threads: int = 1,
) -> BenchmarkModel:
    """The model, ready to score images.

    Args:
        model: a .keras, .tflite or .onnx file.
        labels: class names of a checkpoint, which holds none; None numbers them. An exported model has its own.
        contract: of an exported model without a card: a built-in contract's name, or a JSON file.
        threads: threads one inference may use.

    Raises:
        ArtefactError: the model or its card cannot be used.
        MissingDependencyError: keras or an interpreter is not installed.

    Example:
        >>> from cifar_data.packaged import test_sample
        >>> from cifar_eval import open_model
        >>> from cifar_runtime.classifier import default_model
        >>> model = open_model(default_model("tflite"))
        >>> model.name, model.image_shape
        ('edge-s-int8', (32, 32, 3))
        >>> model.scores(test_sample().images[:5]).shape
        (5, 10)
    """
    path = Path(model)
    if is_checkpoint(path):
        return CheckpointModel(path, labels=labels, threads=threads)
    return ExportedModel(path, contract=contract, threads=threads)
