"""Opens a Keras checkpoint: the one module of cifar_eval that reaches keras, inside functions.

It reads ``.keras`` files only: an ``.h5`` or a pickle can run code when it is opened.
"""

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cifar_eval.models.batch_size import evaluation_batch_size
from cifar_eval.models.input_mapping import RAW_PIXELS, InputMapping
from cifar_eval.models.keras_archive import (
    FUNCTION_MODULES,
    read_checkpoint,
    read_config,
    refuse_custom_objects,
    serialized_objects,
    without_compilation,
)
from cifar_eval.models.protocols import ModelFile
from cifar_runtime.errors import ArtefactError, MissingDependencyError, UsageError
from cifar_runtime.install_hints import install_hint
from cifar_runtime.plain_text import clause, reason_of
from cifar_runtime.system.interruption import is_listening
from cifar_runtime.system.native_stderr import filtered_native_stderr

_NO_OBJECTS: Mapping[str, Any] = MappingProxyType({})
BATCH_SIZE = 250
_PLAIN_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_MAX_SEARCHED = 100_000


class CheckpointModel:
    """A Keras checkpoint that takes float32, shape (n, height, width, 3).

    A checkpoint does not hold its label names, nor what it takes for a pixel, so the caller gives both.
    """

    def __init__(
        self,
        path: Path,
        *,
        labels: Sequence[str] | None = None,
        threads: int | None = None,
        mapping: InputMapping = RAW_PIXELS,
    ) -> None:
        """Opens the checkpoint.

        Args:
            path: a ``.keras`` file.
            labels: class names in the order of the scores; None numbers them.
            threads: threads one inference may use; holds for the whole process, and only when
                TensorFlow has not started working yet (see ``threads``).
            mapping: what it takes for a pixel.

        Raises:
            ArtefactError: not a .keras file, damaged, too large unpacked, or not an image
                classifier.
            MissingDependencyError: keras is not installed.
        """
        data = read_checkpoint(path)
        self._threads, self._mapping = limit_threads(threads), mapping
        self._model = open_checkpoint(data, path=path)
        self._image_shape, num_classes = _checked_shapes(self._model, path)
        self._labels = tuple(labels or (str(index) for index in range(num_classes)))
        if len(self._labels) != num_classes:
            raise ArtefactError(
                f"{path}: gives {num_classes} scores, expected one for each of "
                f"{len(self._labels)} labels.",
                hint="Measure it on images of its own classes.",
            )
        self._name = path.stem
        self._model_file = ModelFile(
            file=path.name,
            format="keras",
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self._name

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names in the order of the scores."""
        return self._labels

    @property
    def model_file(self) -> ModelFile:
        """The checkpoint's file."""
        return self._model_file

    @property
    def runtime(self) -> str:
        """``keras/<backend>``."""
        import keras

        return f"keras/{keras.backend.backend()}"

    @property
    def threads(self) -> int | None:
        """Threads one inference may use; None where the backend decides by itself."""
        return self._threads

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the images."""
        return self._image_shape

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores, float32, shape (n, num_classes), of images, uint8 RGB, shape (n, height, width, 3)."""
        return scores_in_batches(self._model, images, mapping=self._mapping)

    def probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """The scores where every row is a distribution, else their softmax; float64."""
        exact = scores.astype(np.float64)
        if exact.min() >= 0 and np.allclose(exact.sum(axis=1), 1, atol=1e-3):
            return exact
        exponentials = np.exp(exact - exact.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))

    def prepare(self, images: NDArray[np.uint8]) -> Any:
        """The images as a float32 tensor, shape (n, height, width, 3), of what the checkpoint takes."""
        import keras

        return keras.ops.convert_to_tensor(self._mapping.inputs(images))

    def infer(self, tensor: Any) -> Any:
        """The scores as a numpy array, so that asynchronous backends have finished."""
        import keras

        return keras.ops.convert_to_numpy(self._model(tensor, training=False))

    @property
    def model(self) -> Any:
        """The ``keras.Model``, as it was loaded."""
        return self._model


def scores_in_batches(
    model: Any, images: NDArray[np.uint8], *, mapping: InputMapping
) -> NDArray[np.float32]:
    """A Keras model's scores, float32, shape (n, num_classes), of raw pixels.

    Args:
        model: takes float32, shape (n, height, width, 3).
        images: uint8 RGB, shape (n, height, width, 3), n above zero.
        mapping: what the model takes for a pixel.

    Raises:
        ArtefactError: Keras itself cannot compute them.
    """
    batches = []
    size = evaluation_batch_size(images.shape[1:], at_most=BATCH_SIZE)
    for start in range(0, len(images), size):
        inputs = mapping.inputs(images[start : start + size])
        try:
            batches.append(model.predict_on_batch(inputs))
        except Exception as error:
            raise _unable(model, error) from error
    return np.concatenate(batches).astype(np.float32, copy=False)


def channels_first_layer(model: Any) -> str | None:
    """The name of the first layer, of a model or of one in it, that has its channels first; None without one."""
    return next(
        (
            layer.name
            for layer in model._flatten_layers()
            if getattr(layer, "data_format", None) == "channels_first"
        ),
        None,
    )


def _unable(model: Any, error: Exception) -> ArtefactError:
    """Keras' refusal to compute; convolutions with channels first are computed by a GPU, and by a CPU with oneDNN.

    TensorFlow uses oneDNN by itself where the processor has VNNI or more.
    """
    first = channels_first_layer(model)
    # TensorFlow puts the calls that led there before what it says, and the node behind it.
    what, _, node = str(error).partition("[[{{")
    lines = what.strip().splitlines()
    said = f"{type(error).__name__}: {clause(lines[-1] if node and lines else what)}"
    return ArtefactError(
        f"{model.name}: Keras cannot compute its scores: {said}.",
        hint="Run model.predict on a few pictures, and mend what it names."
        if first is None
        else f"Layer '{first}' has data_format='channels_first', which TensorFlow computes on a CPU with oneDNN "
        "alone: set TF_ENABLE_ONEDNN_OPTS=1, or build the model with 'channels_last' and the same weights, and save "
        "it again.",
    )


def open_checkpoint(
    data: bytes, *, path: Path, custom_objects: Mapping[str, Any] = _NO_OBJECTS
) -> Any:
    """The Keras model in ``data``, uncompiled, opened with ``safe_mode``.

    Args:
        data: what :func:`read_checkpoint` read.
        path: named in error messages; the file is not read again, so what was checked is what is
            opened.
        custom_objects: classes and functions that are not Keras' own, by their names.

    Raises:
        ArtefactError: keras cannot open it.
        MissingDependencyError: keras is not installed.
    """
    refuse_custom_objects(data, path=path, known=custom_objects)
    keras = imported_keras()
    _refuse_custom_functions(data, path=path, known=custom_objects)
    with tempfile.TemporaryDirectory(prefix="cifar-bench-") as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(data)
        try:
            with filtered_native_stderr():  # the first variable looks for a GPU and says so
                model = keras.saving.load_model(
                    copy, custom_objects=dict(custom_objects), compile=False, safe_mode=True
                )
        except Exception as error:
            reason = _reason(str(error).replace(f"{folder}{os.sep}", ""))
            raise ArtefactError(
                f"{path}: keras cannot open it: {reason}.",
                hint="Give the code that it was saved with, or build the model from Keras layers and save it again."
                if custom_objects
                else "Save it with keras 3 and without custom objects.",
            ) from error
    _name_plainly(model)
    return model


def _name_plainly(model: Any) -> None:
    """Gives a model's layers and inputs names that TensorFlow takes: on others Keras takes any, as ``relu (1)``."""
    named = {id(one): one for one in (model, *model._flatten_layers())}
    for one in list(named.values()):
        parts = (*getattr(one, "operations", []), *(getattr(one, "inputs", None) or []))
        named |= {id(part): part for part in parts}
    taken = {str(one.name) for one in named.values()}
    for one in named.values():
        if _PLAIN_NAME.fullmatch(one.name):
            continue
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", one.name)
        name = name if _PLAIN_NAME.fullmatch(name) else f"layer{name}"
        while name in taken:
            name += "_"
        taken.add(name)
        one.name = name


def _reason(message: str) -> str:
    """What Keras says, on one short line; of a layer's whole configuration it says what is wrong with that."""
    text = " ".join(message[:_MAX_SEARCHED].split())
    configured = re.search(r"class '?(\w+)'? using config=.*?'name': '([^']*)'", text)
    said = text.rpartition("Exception encountered: ")[2]
    if configured is None or said == text:
        return clause(message)
    return clause(f"layer '{configured[2]}' ({configured[1]}): {said}")


def _checked_shapes(model: Any, path: Path) -> tuple[tuple[int, int, int], int]:
    """(height, width, channels) of the one input, and the number of classes of the one output."""
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    shapes = [tuple(tensor.shape) for tensor in (*inputs, *outputs)]
    if len(inputs) != 1 or len(outputs) != 1 or len(shapes[0]) != 4 or len(shapes[1]) != 2:
        raise ArtefactError(
            f"{path}: has {len(inputs)} inputs and {len(outputs)} outputs of shapes {shapes}, "
            "expected one (n, height, width, 3) and one (n, classes).",
            hint="Give an image classifier.",
        )
    _, height, width, channels = shapes[0]
    if None in (height, width, shapes[1][1]) or channels != 3:
        raise ArtefactError(
            f"{path}: its input is {shapes[0]} and its output {shapes[1]}, expected fixed sizes and "
            "3 channels.",
            hint="Give the Input layer a fixed shape.",
        )
    return (int(height), int(width), 3), int(shapes[1][1])


def limit_threads(threads: int | None) -> int | None:
    """The threads in force after asking for ``threads``; None where the backend decides by itself."""
    if threads is None or os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return None
    imported_keras()
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        # TensorFlow has started in this process and keeps the threads it has.
        pass
    return tf.config.threading.get_intra_op_parallelism_threads() or None


def imported_keras(backend: str | None = None) -> ModuleType:
    """The keras module, with its backend imported quietly.

    Args:
        backend: what keras must run on; None for what the environment says.

    Raises:
        MissingDependencyError: keras or its backend is not installed.
        UsageError: keras runs on another backend already.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if backend is not None and "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend
        # TensorFlow turns oneDNN on by itself only where AVX-512 VNNI is; on AVX2 it trains the seed 1.4 times faster.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        with filtered_native_stderr(), _without_scikit_learn():
            import keras
    except ImportError as error:
        raise MissingDependencyError(
            f"opening a Keras checkpoint needs keras and its backend: {reason_of(error)}.",
            hint=install_hint("train"),
        ) from error
    if backend is not None and keras.backend.backend() != backend:
        raise UsageError(
            f"Keras runs on {keras.backend.backend()} already, {backend} was asked for.",
            hint="Use a process of its own.",
        )
    return cast(ModuleType, keras)


@contextmanager
def _without_scikit_learn() -> Iterator[None]:
    """Keeps Keras from importing scikit-learn, a quarter of the import, for wrappers that no command of ours has.

    In a process of someone else's they stay.
    """
    if "sklearn" in sys.modules or not is_listening():
        yield
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment] # as documented: its import raises ImportError
    try:
        yield
    finally:
        del sys.modules["sklearn"]


def _refuse_custom_functions(data: bytes, *, path: Path, known: Collection[str]) -> None:
    """Checks that the functions a .keras file names, such as activations, are Keras' own; imports keras.

    Raises:
        ArtefactError: one is not.
    """
    import keras

    for item, name in serialized_objects(without_compilation(read_config(data, path=path))):
        function = item.get("config")
        if item["class_name"] != "function" or not isinstance(function, str) or function in known:
            continue
        if not any(hasattr(getattr(keras, module), function) for module in FUNCTION_MODULES):
            raise ArtefactError(
                f"{path}: layer '{name}' uses the function {function}, which is not Keras' own, "
                "expected built-in ones only.",
                hint="Use one of keras.activations, and save the model again.",
            )
