"""Trains one kind of the battery in a process of its own: ``python -m models.train KIND FOLDER``.

Keras names layers by counters that start at 0 in every process; an export reads the file in yet another one.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.kinds import KINDS, Kind
from models.pictures import Images, Labels, pictures

_BATCH_SIZE = 64


def trained(kind: Kind) -> Any:
    """The model of a kind, trained for seconds."""
    import keras

    keras.utils.set_random_seed(11)
    (images, labels), _ = pictures(kind.size, num_classes=kind.num_classes)
    model, inputs = kind.build(), model_inputs(kind, images)
    if kind.trains == "backbone":
        _train_backbone(kind, model, inputs, labels)
        return model
    if not model.compiled:
        is_one, is_logits = model.output_shape[-1] == 1, not _ends_in_probabilities(model)
        loss = keras.losses.BinaryCrossentropy() if is_one else _crossentropy(is_logits)
        model.compile(keras.optimizers.Adam(kind.learning_rate), loss)
    model.fit(inputs, labels, batch_size=_BATCH_SIZE, epochs=kind.epochs, verbose=0)
    return model


def model_inputs(kind: Kind, images: Images) -> NDArray[np.float32]:
    """What a model of that kind takes for pictures, float32."""
    scale, offset = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}[
        kind.input_range
    ]
    return (images * np.float32(scale) + np.float32(offset)).astype(np.float32)


def _train_backbone(kind: Kind, model: Any, inputs: NDArray[np.float32], labels: Labels) -> None:
    """Trains a model whose backbone is called with ``training=False``, and has its BatchNorms see real pictures."""
    import keras

    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    before = keras.Model(model.input, backbone._inbound_nodes[-1].input_tensors[0])
    backbone.trainable = True
    features = keras.layers.GlobalAveragePooling2D()(backbone(before.output))
    twin = keras.Model(model.input, model.layers[-1](features))
    optimizer, loss = keras.optimizers.Adam(kind.learning_rate), _crossentropy(from_logits=False)
    twin.compile(optimizer, loss, jit_compile=False)  # compiling such a graph takes minutes
    twin.fit(inputs, labels, batch_size=_BATCH_SIZE, epochs=kind.epochs, verbose=0)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    backbone(before(inputs[:512]), training=True)
    backbone.trainable = False


def _ends_in_probabilities(model: Any) -> bool:
    last = model.outputs[0]._keras_history.operation
    name = getattr(getattr(last, "activation", None), "__name__", type(last).__name__)
    return name.lower() == "softmax"


def _crossentropy(from_logits: bool) -> Any:
    import keras

    return keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)


def main(name: str, folder: Path) -> None:
    """Trains the kind; writes net.keras, scores.npy of the test pictures, and what plain converters make of it."""
    kind, path = KINDS[name], folder / "net.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trained(kind).save(path)
    _, (images, _) = pictures(kind.size, num_classes=kind.num_classes)
    np.save(folder / "scores.npy", scores_of_checkpoint(path, model_inputs(kind, images)))


def scores_of_checkpoint(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """What Keras says of a checkpoint, float32, shape (n, number of its scores)."""
    import keras

    model = keras.saving.load_model(path, compile=False)
    return np.asarray(model.predict(inputs, batch_size=100, verbose=0), np.float32)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
