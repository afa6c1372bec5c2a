"""The light runtime of cifar-edge: opens an artefact and classifies images, without TensorFlow.

``from cifar_runtime import Classifier`` is the whole API most programs need.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cifar_runtime.classifier import Classifier as Classifier
    from cifar_runtime.classifier import Prediction as Prediction

__version__ = "0.1.0"
__all__ = ["Classifier", "Prediction", "__version__"]


def __getattr__(name: str) -> Any:
    """Loads the classifier on first use, so that ``--help`` does not pay for numpy."""
    if name in ("Classifier", "Prediction"):
        from cifar_runtime import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
