"""The light runtime of cifar-edge: opens an artefact and classifies images, without TensorFlow.

``from cifar_runtime import Classifier`` is the whole API most programs need. Names are loaded on first use, so that
``import cifar_runtime`` costs no numpy.
"""

from typing import TYPE_CHECKING

from cifar_runtime.public_names import public_names

if TYPE_CHECKING:
    from cifar_runtime.artefact import Artefact as Artefact
    from cifar_runtime.artefact import open_artefact as open_artefact
    from cifar_runtime.classifier import Classifier as Classifier
    from cifar_runtime.classifier import Prediction as Prediction
    from cifar_runtime.contract import Contract as Contract
    from cifar_runtime.errors import ArtefactError as ArtefactError
    from cifar_runtime.errors import CifarEdgeError as CifarEdgeError
    from cifar_runtime.errors import GateError as GateError
    from cifar_runtime.errors import InputError as InputError
    from cifar_runtime.errors import MissingDependencyError as MissingDependencyError
    from cifar_runtime.errors import UsageError as UsageError
    from cifar_runtime.inspection.info import model_info as model_info
    from cifar_runtime.inspection.info import self_test as self_test

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = public_names(
    __name__,
    {
        "artefact": (
            "Artefact",
            "open_artefact",
        ),
        "classifier": (
            "Classifier",
            "Prediction",
        ),
        "contract": ("Contract",),
        "errors": (
            "ArtefactError",
            "CifarEdgeError",
            "GateError",
            "InputError",
            "MissingDependencyError",
            "UsageError",
        ),
        "inspection.info": (
            "model_info",
            "self_test",
        ),
    },
)
