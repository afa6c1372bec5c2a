"""What in a network's structure kept int8 preparation from a layer, in a sentence; it measures nothing."""

import re
from collections.abc import Collection

from cifar_export.keras_graph.fold import FOLDED_BACK, LAYERS_INSIDE, Folded, activation_of
from cifar_export.keras_graph.trace import trace

_EVENED = ("Conv2D", "DepthwiseConv2D", "Dense")


def obstacle(name: str, folded: Folded, equalized: Collection[str]) -> str:
    """The sentence; empty where the structure shows nothing.

    Args:
        name: of the layer's tensor in the artefact, which holds names of Keras layers between ``/`` and ``;``.
        folded: the model that was converted.
        equalized: names of the layers whose channels were given more equal ranges.
    """
    parts = _layers_in(name, folded.model.name)
    own = _found(parts, folded, equalized)
    if own:
        return own
    for before in _weighted_before(parts, folded):
        inherited = _found({before}, folded, equalized)
        if inherited:
            return f"It takes what {before} gives. {inherited}"
    return ""


def _found(names: set[str], folded: Folded, equalized: Collection[str]) -> str:
    """What kept one of these layers, whose error it is; empty where nothing did."""
    for note in folded.notes:
        if note.action == LAYERS_INSIDE and note.layer in names:
            return f"The layers inside {note.layer} were not prepared for int8."
        if _head_of(note.action) in names - set(equalized):
            return (
                f"{note.layer} follows its activation in the checkpoint: those scales were folded back into it, and "
                "its channels' ranges could not be evened out."
            )
    clipped = _clipped_behind(names - set(equalized), folded)
    if clipped is None:
        return ""
    return (
        f"A ReLU with a ceiling ({clipped}) follows it in the checkpoint, which is not scaled as a ReLU is: its "
        "channels' ranges could not be evened out."
    )


def _weighted_before(names: Collection[str], folded: Folded) -> list[str]:
    """The layers with weights whose numbers these take, through any others: their small channels are lost by then."""
    calls = trace(folded.model).calls
    makers = {number: call for call in calls for number in call.outputs}
    waiting = [number for call in calls if call.layer.name in names for number in call.inputs]
    found: list[str] = []
    while waiting:
        maker = makers.pop(waiting.pop(), None)
        if maker is None or maker.layer.name in names:
            continue
        if type(maker.layer).__name__ in _EVENED:
            found.append(str(maker.layer.name))
        else:
            waiting.extend(maker.inputs)
    return found


def _layers_in(name: str, model: str) -> set[str]:
    """What may be names of layers, without the number that TensorFlow adds to each in a model converted again."""
    parts = re.split(r"[/;:]", name)
    scopes = (re.fullmatch(rf"{re.escape(model)}(_\d+)", part) for part in parts)
    added = next((scope[1] for scope in scopes if scope is not None), "")
    return {part.removesuffix(added) for part in parts}


def _head_of(action: str) -> str | None:
    """The layer that a scale was folded back into."""
    behind = action.partition(FOLDED_BACK)[2]
    return re.split(r"[ ,]", behind)[0] if behind else None


def _clipped_behind(names: Collection[str], folded: Folded) -> str | None:
    """The clipped ReLU that takes what one of the layers gives; None without one."""
    calls = trace(folded.model).calls
    given = {
        number
        for call in calls
        if call.layer.name in names and type(call.layer).__name__ in _EVENED
        for number in call.outputs
    }
    return next(
        (
            str(call.layer.name)
            for call in calls
            if type(call.layer).__name__ == "ReLU"
            and activation_of(call.layer) == "clipped"
            and given.intersection(call.inputs)
        ),
        None,
    )
