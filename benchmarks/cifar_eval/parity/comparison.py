"""Two models compared on labelled images, by what ``cifar-parity`` is made of: open, score, report."""

from pathlib import Path

from cifar_eval.parity.counts import Parity
from cifar_eval.parity.limits import Limits
from cifar_eval.parity.recipe import ParityRecipe, images_by_name
from cifar_eval.parity.report import report_from_outputs
from cifar_eval.parity.score import open_models, score_models


def compare(
    reference: str | Path,
    candidate: str | Path,
    *,
    images: str | Path = "test-sample",
    limit: int | None = None,
    threads: int = 1,
    contract: str | None = None,
) -> Parity:
    """How a model decides beside its reference, image by image; :func:`judge` holds it to limits.

    Args:
        reference: the model that decides as it should: a .keras, .tflite or .onnx file.
        candidate: the model compared with it, of any of these formats.
        images: the name of a split, such as ``test``, or a folder of images, one folder a class.
        limit: compare on at most this many images, evenly over the classes; None for all.
        threads: threads one inference may use.
        contract: of a model without a card: a built-in contract's name, or a JSON file.

    Raises:
        ArtefactError: a model cannot be used, or is made for other labels or sizes than the first.
        InputError: the images are missing, or do not decode.
        MissingDependencyError: keras or an interpreter is not installed.
        UsageError: ``images`` names none.

    Example:
        >>> from cifar_data.packaged import checkpoint
        >>> from cifar_eval import Limits, compare, judge
        >>> from cifar_runtime.classifier import default_model
        >>> parity = compare(checkpoint(), default_model("tflite"))
        >>> parity.seen, parity.agreement > 0.97
        (1000, True)
        >>> [gate.passed for gate in judge(parity, Limits(min_agreement=0.97))]
        [True, True]
    """
    split, folder = images_by_name(images)
    recipe = ParityRecipe(
        reference=Path(reference),
        candidates=(Path(candidate),),
        split=split,
        eval_data=folder,
        limit=limit,
        threads=threads,
        contract=contract,
    )
    outputs = score_models(open_models(recipe))
    return report_from_outputs(outputs, Limits()).candidates[0].parity
