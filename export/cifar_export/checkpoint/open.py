"""Opens the Keras checkpoint to export, and the training card beside it; reads only."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from cifar_data.split_names import ValidationRule
from cifar_eval.models.keras_archive import compiled_loss, read_checkpoint, read_config
from cifar_export.checkpoint.custom_objects import custom_objects
from cifar_export.checkpoint.ends import with_input_size, with_output
from cifar_export.checkpoint.io_layers import last_activation
from cifar_export.keras_graph.trace import functional_from
from cifar_export.streams import quiet_conversion
from cifar_runtime.contract import COLOUR_ORDERS
from cifar_runtime.errors import ArtefactError
from cifar_runtime.system.files import read_once

_REGRESSION_LOSSES = (
    *("mse", "meansquarederror", "mae", "meanabsoluteerror", "msle", "meansquaredlogarithmicerror"),
    *("mape", "meanabsolutepercentageerror", "huber", "logcosh"),
)
_INDEPENDENT_LOSSES = ("binarycrossentropy", "binaryfocalcrossentropy")
_MAX_CARD_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """An open checkpoint.

    Attributes:
        path: the .keras file.
        model: the Keras model as it was loaded, which nothing changes: one image in, one row of scores out.
        sha256: of the file.
        image_shape: (height, width, channels) of its input.
        num_classes: classes, which is scores per image; two where the model gives one of two alone.
        loss: the name of the loss that it was compiled with; None where it has none.
        training_card: what training wrote beside the file, or None.
    """

    path: Path
    model: Any
    sha256: str
    image_shape: tuple[int, int, int]
    num_classes: int
    training_card: Mapping[str, Any] | None
    loss: str | None = None

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem

    @property
    def validation_rule(self) -> ValidationRule:
        """Which of CIFAR-10's images its training held out, as its card states; the validation split without one."""
        recipe = (self.training_card or {}).get("recipe")
        stated = recipe.get("validation") if isinstance(recipe, Mapping) else None
        return next(
            (rule for rule in get_args(ValidationRule) if rule == stated), "validation split"
        )


def open_checkpoint(
    path: Path,
    *,
    input_size: tuple[int, int] | None = None,
    output_name: str | None = None,
    objects: str | None = None,
    verbose: bool = False,
) -> Checkpoint:
    """The checkpoint at ``path``; it runs no code from the file, and of other files what the user chose.

    Args:
        path: the .keras file.
        input_size: (height, width) of pictures for a model that takes any; None for its own.
        output_name: which of several outputs is wanted; None for the only one.
        objects: see :func:`cifar_export.checkpoint.custom_objects.custom_objects`.
        verbose: pass TensorFlow's messages on to stderr.

    Raises:
        ArtefactError: missing, not a .keras file, damaged, too large unpacked, with custom objects, or not a
            classifier of single images of 1, 3 or 4 channels.
        MissingDependencyError: TensorFlow or Keras is not installed.
        UsageError: an object is not there.
    """
    from cifar_eval.models import keras

    data = read_checkpoint(path)
    with quiet_conversion(verbose=verbose):
        keras.imported_keras("tensorflow")
        model = keras.open_checkpoint(data, path=path, custom_objects=custom_objects(objects))
        model = with_output(model, output_name, path=path)
        model = with_input_size(model, input_size, path=path)
    image_shape, num_classes = _checked_shapes(model, path)
    sha256 = hashlib.sha256(data).hexdigest()
    return Checkpoint(
        path=path,
        model=_of_bare_tensors(model),
        sha256=sha256,
        image_shape=image_shape,
        num_classes=num_classes,
        training_card=read_training_card(path, sha256=sha256),
        loss=compiled_loss(read_config(data, path=path)),
    )


def refuse_doubtful_scores(checkpoint: Checkpoint) -> None:
    """Asks about scores without an activation whose loss says that they are no logits of classes.

    Raises:
        ArtefactError: they are numbers of a regression, or logits of labels of which any number may hold.
    """
    loss = (checkpoint.loss or "").lower().replace("_", "")
    if last_activation(checkpoint.model) != "linear":
        return
    if loss in _INDEPENDENT_LOSSES:
        raise ArtefactError(
            f"{checkpoint.path}: ends without an activation and was compiled with the loss {checkpoint.loss}: its "
            f"{checkpoint.num_classes} scores look like logits of labels of which any number may hold.",
            hint="Give --output-kind independent-probabilities, or --output-kind logits if one label holds.",
        )
    if loss in _REGRESSION_LOSSES:
        raise ArtefactError(
            f"{checkpoint.path}: ends without an activation and was compiled with the loss {checkpoint.loss}: its "
            f"{checkpoint.num_classes} scores look like the numbers of a regression, expected a classifier.",
            hint="If they are scores of classes, give --output-kind logits.",
        )


def read_training_card(path: Path, *, sha256: str) -> Mapping[str, Any] | None:
    """The card beside a checkpoint: ``NAME.json``, ``NAME.keras.json`` or ``card.json``; None without one.

    A card that states the digest of another model is somebody else's and passed over.

    Args:
        path: the checkpoint.
        sha256: its digest.

    Raises:
        ArtefactError: it is there but is not a JSON object.
    """
    names = (f"{path.stem}.json", f"{path.name}.json", "card.json")
    for card in (path.with_name(name) for name in names):
        if not card.is_file():
            continue
        try:
            document = json.loads(read_once(card, max_bytes=_MAX_CARD_BYTES, error=ArtefactError))
        except (ValueError, RecursionError) as cause:
            document = cause
        if not isinstance(document, dict):
            raise ArtefactError(
                f"{card}: is not a JSON object, expected the training card of {path.name}.",
                hint="Restore it, or move it away.",
            )
        if _stated_sha256(document) in (None, sha256):
            return document
    return None


def _stated_sha256(card: Mapping[str, Any]) -> object:
    model = card.get("model")
    return model.get("sha256") if isinstance(model, dict) else None


def _checked_shapes(model: Any, path: Path) -> tuple[tuple[int, int, int], int]:
    inputs = [tuple(tensor.shape) for tensor in getattr(model, "inputs", None) or []]
    outputs = [tuple(tensor.shape) for tensor in getattr(model, "outputs", None) or []]
    if not inputs:
        raise ArtefactError(
            f"{path}: is a {type(model).__name__} without a graph, expected a Sequential or functional one.",
            hint="Build it with keras.Sequential or keras.Model(inputs, outputs).",
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ArtefactError(
            f"{path}: has {len(inputs)} inputs ({_layer_names(model.inputs)}) and {len(outputs)} outputs "
            f"({_layer_names(model.outputs)}), expected one of each.",
            hint="Export a classifier of single images.",
        )
    return _image_shape(inputs[0], path), _num_classes(model, outputs[0], path)


def _of_bare_tensors(model: Any) -> Any:
    """The model, or one of the same layers where it takes or returns a list or a dictionary of one tensor."""
    import keras

    if isinstance(model, keras.Sequential):
        return model
    is_bare = all(isinstance(end, keras.KerasTensor) for end in (model.input, model.output))
    return model if is_bare else functional_from(model)


def _layer_names(tensors: Iterable[Any]) -> str:
    """The names of the layers that give the tensors."""
    return ", ".join(tensor._keras_history.operation.name for tensor in tensors)


def _image_shape(shape: tuple[int | None, ...], path: Path) -> tuple[int, int, int]:
    if len(shape) != 4 or None in shape[1:] or shape[3] not in COLOUR_ORDERS:
        raise ArtefactError(
            f"{path}: its input has the shape {shape}, expected (any, height, width, channels) with 3 channels (RGB), "
            "1 (grey) or 4 (RGBA).",
            hint="Give the Input layer the shape of one picture, channels last.",
        )
    return int(shape[1] or 0), int(shape[2] or 0), int(shape[3] or 0)


def _num_classes(model: Any, shape: tuple[int | None, ...], path: Path) -> int:
    activation = last_activation(model)
    if len(shape) == 2 and shape[1] == 1 and activation == "sigmoid":
        return 2
    if len(shape) == 2 and shape[1] == 1:
        raise ArtefactError(
            f"{path}: gives one number without a sigmoid, expected a score for each class: it is a regression, or the "
            "logit of two classes.",
            hint="For two classes, save keras.Sequential([model, keras.layers.Activation('sigmoid')]) and export that.",
        )
    if len(shape) != 2 or shape[1] is None or shape[1] < 2:
        raise ArtefactError(
            f"{path}: its output has the shape {shape}, expected (any, classes) with two classes or more.",
            hint="End the model in one score a class.",
        )
    return int(shape[1])
