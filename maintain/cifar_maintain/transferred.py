"""Makes a small transfer-learned MobileNet, as a user would: ``python -m cifar_maintain.transferred -o FOLDER``.

MobileNetV2 (alpha 0.35) on 96x96 pixels learns five of CIFAR-10's classes, enlarged, and is then transferred to the
other five: a new head on its features, then a little training with BatchNorm held. The weights of ImageNet would be
better; nothing is downloaded here. FOLDER gets ``mobilenet.keras`` and ``pictures/train|test``, one folder a class,
for ``cifar-export --eval-data``. It publishes nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.commands.parser import Parser, positive_int, run_command, sentences_to_stderr

if TYPE_CHECKING:
    from cifar_data.split import Split

_PROGRAM = "python -m cifar_maintain.transferred"
_SIZE, _ALPHA, _BATCH = 96, 0.35, 32
_PICTURES = (
    20  # of each class for calibration, and as many for the gate: operators are what is to be shown
)
_BEFORE, _AFTER = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)


def chosen(split: "Split", classes: Sequence[int], per_class: int) -> tuple[NDArray[np.uint8], Any]:
    """The first images of each class, enlarged: uint8, shape (n, 96, 96, 3), and their places among the classes."""
    from PIL import Image

    labels = np.asarray(split.labels)
    positions = np.concatenate([np.flatnonzero(labels == one)[:per_class] for one in classes])
    images = [
        np.asarray(Image.fromarray(image).resize((_SIZE, _SIZE), Image.Resampling.BICUBIC))
        for image in np.asarray(split.images)[positions]
    ]
    return np.stack(images), np.searchsorted(classes, labels[positions])


def transferred(split: "Split", *, per_class: int, epochs: int) -> Any:
    """A Keras model of five classes that takes pixels 0..255; the same seed draws all weights and batches."""
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((_SIZE, _SIZE, 3), name="image")
    pixels = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    features = keras.applications.MobileNetV2(
        input_shape=(_SIZE, _SIZE, 3), alpha=_ALPHA, include_top=False, weights=None, pooling="avg"
    )(pixels)
    model = _with_head(keras.Model(image, features), len(_BEFORE))
    for layer in model.layers[2].layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # Keras' 0.999 averages over more steps than there are
    _fit(model, *chosen(split, _BEFORE, per_class), rate=1e-3, epochs=epochs)
    model = _with_head(keras.Model(image, model.layers[-1].input), len(_AFTER))
    images, labels = chosen(split, _AFTER, per_class)
    for layer in model.layers[:-1]:
        layer.trainable = False
    _fit(model, images, labels, rate=3e-3, epochs=epochs)
    for layer in model.layers[:-1]:
        layer.trainable = True
    for layer in model.layers[2].layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    _fit(model, images, labels, rate=1e-4, epochs=epochs)
    return model


def _with_head(base: Any, classes: int) -> Any:
    import keras

    return keras.Model(base.input, keras.layers.Dense(classes, "softmax")(base.output))


def _fit(
    model: Any, images: NDArray[np.uint8], labels: NDArray[Any], *, rate: float, epochs: int
) -> None:
    import keras

    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    order = np.random.default_rng(0).permutation(len(labels))
    model.fit(images[order], labels[order], batch_size=_BATCH, epochs=epochs, verbose=0)


def _write_pictures(folder: Path, split: "Split", per_class: int) -> None:
    from PIL import Image

    images, labels = chosen(split, _AFTER, per_class)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / split.label_names[_AFTER[label]] / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace.

    Raises:
        UsageError: it makes no sense.
    """
    parser = Parser(prog=_PROGRAM, description="Make a small transfer-learned MobileNet.")
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="FOLDER", help="model and pictures")
    add("--per-class", type=positive_int, default=100, metavar="N", help="training images a class")
    add("--epochs", type=positive_int, default=4, metavar="N", help="of each of three stages")
    return parser.parse_args(argv)


def _run(argv: Sequence[str]) -> int:
    from cifar_data.load import load_split

    options = parse(argv)
    progress = sentences_to_stderr(_PROGRAM)
    train, test = load_split("train"), load_split("test")
    progress("pictures")
    _write_pictures(options.output / "pictures" / "train", train, _PICTURES)
    _write_pictures(options.output / "pictures" / "test", test, _PICTURES)
    progress("training")
    model = transferred(train, per_class=options.per_class, epochs=options.epochs)
    images, labels = chosen(test, _AFTER, 100)
    right = int((model.predict(images, verbose=0).argmax(axis=1) == labels).sum())
    model.save(options.output / "mobilenet.keras")
    sys.stdout.write(
        f"{options.output / 'mobilenet.keras'}: {right} of {len(labels)} test images\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
