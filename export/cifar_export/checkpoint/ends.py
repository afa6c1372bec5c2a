"""A loaded model with the one output that is wanted, at the one size of pictures: same layer objects, other ends."""

from pathlib import Path
from typing import Any

from cifar_runtime.errors import ArtefactError, UsageError
from cifar_runtime.plain_text import reason_of


def with_output(model: Any, name: str | None, *, path: Path) -> Any:
    """The model that gives one of several outputs; another model, and one without a graph, as it is.

    Args:
        model: as loaded.
        name: of the output, as the model has it in a dictionary, or of the layer that makes it; None for its only one.
        path: the checkpoint, for messages.

    Raises:
        ArtefactError: there are several, and none is named.
        UsageError: none has that name.
    """
    import keras

    tensors = list(getattr(model, "outputs", None) or [])
    if not tensors or (name is None and len(tensors) == 1):
        return model
    named = {tensor._keras_history.operation.name: tensor for tensor in tensors}
    if isinstance(getattr(model, "output", None), dict):
        named |= model.output
    listed = ", ".join(named)
    if name is None:
        raise ArtefactError(
            f"{path}: has {len(tensors)} outputs ({listed}), expected one, a score a class.",
            hint=f"Give --output-name {'|'.join(named)}.",
        )
    if name not in named:
        raise UsageError(
            f"--output-name {name}: {path.name} has no such output, expected one of {listed}.",
            hint="Name one of them.",
        )
    if len(tensors) == 1:
        return model
    return keras.Model(model.inputs[0] if len(model.inputs) == 1 else model.inputs, named[name])


def with_input_size(model: Any, size: tuple[int, int] | None, *, path: Path) -> Any:
    """The model for pictures of one size where it takes any; another one as it is.

    Args:
        model: with one input.
        size: (height, width); None for the model's own.
        path: the checkpoint, for messages.

    Raises:
        ArtefactError: the model takes pictures of any size and none is named, or cannot take that.
        UsageError: it takes another size.
    """
    import keras

    inputs = list(getattr(model, "inputs", None) or [])
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        return model
    taken, dtype = inputs[0].shape[1:3], inputs[0].dtype
    if size is None:
        if None not in taken:
            return model
        raise ArtefactError(
            f"{path}: takes pictures of any size, expected one: an artefact has a fixed input.",
            hint="Give --input-size HEIGHTxWIDTH, that of the pictures it was trained on.",
        )
    if any(known not in (None, wanted) for known, wanted in zip(taken, size, strict=True)):
        raise UsageError(
            f"--input-size {size[0]}x{size[1]}: {path.name} takes {taken[0]}x{taken[1]}, height first.",
            hint="Leave --input-size out.",
        )
    if None not in taken:
        return model
    fixed = keras.Input((*size, inputs[0].shape[3]), dtype=dtype)
    try:
        return keras.Model(fixed, model(fixed), name=model.name)
    except Exception as error:
        raise ArtefactError(
            f"{path}: cannot take pictures of {size[0]}x{size[1]}: {reason_of(error)}.",
            hint="Give the --input-size that it was trained with.",
        ) from error
