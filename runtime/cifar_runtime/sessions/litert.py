"""Runs .tflite models in LiteRT: the only module that knows its interface.

It never preprocesses; batches come in the model's own dtype.
"""

import threading
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import ArtefactError, UsageError
from cifar_runtime.formats.known_formats import RuntimeName
from cifar_runtime.plain_text import shortened
from cifar_runtime.sessions.base import DEFAULT_OPTIONS, SessionOptions
from cifar_runtime.sessions.forked import (
    OF_THE_PARENT,
    RENEWED_IN_CHILDREN,
    kept_for_the_parent,
)
from cifar_runtime.sessions.interpreters import interpreter_of
from cifar_runtime.sessions.tensors import (
    TensorFacts,
    check_batch,
    check_ends,
    contract_input,
    contract_output,
)
from cifar_runtime.system.native_stderr import filtered_native_stderr


class LiteRTSession:
    """A LiteRT interpreter that threads may share: a lock lets one in at a time.

    Images run one after another, so that a file exported for batch 1 takes any batch, and every
    image gets the same arithmetic whatever its neighbours are.
    """

    runtime: RuntimeName

    def __init__(
        self, artefact: Artefact, *, threads: int, options: SessionOptions = DEFAULT_OPTIONS
    ) -> None:
        self.runtime = "litert"
        self._input = contract_input(artefact.contract)
        self._output = contract_output(artefact.contract)
        self._lock = threading.Lock()
        self._open = partial(_open_interpreter, artefact, threads, options)
        self._interpreter: Any = self._open()
        self._input_index, self._output_index = _checked_indices(self._interpreter, artefact)
        RENEWED_IN_CHILDREN.add(self)

    def run(self, batch: NDArray[Any]) -> NDArray[Any]:
        """The raw scores of a batch; see :class:`cifar_runtime.sessions.base.Session`."""
        check_batch(batch, self._input)
        with self._lock:
            if self._interpreter is None:
                raise UsageError("the session is closed.", hint="Open another one.")
            if self._interpreter is OF_THE_PARENT:
                self._interpreter = self._open()
            rows = [self._run_one(batch[i : i + 1]) for i in range(len(batch))]
        if len(rows) == 1 and rows[0].shape[1:] == self._output.shape[1:]:
            return rows[0]
        no_scores = np.empty((0, self._output.shape[1] or 0), dtype=self._output.dtype)
        return np.concatenate([no_scores, *rows])

    def close(self) -> None:
        """Frees the interpreter."""
        with self._lock:
            self._interpreter = None

    def renew(self) -> None:
        """In a forked child: its own lock, and at the next run its own interpreter."""
        self._lock = threading.Lock()
        self._interpreter = kept_for_the_parent(self._interpreter)

    def _run_one(self, image: NDArray[Any]) -> NDArray[Any]:
        try:
            self._interpreter.set_tensor(self._input_index, image)
            self._interpreter.invoke()
            scores: NDArray[Any] = self._interpreter.get_tensor(self._output_index)
        except (RuntimeError, ValueError) as error:
            raise ArtefactError(
                f"LiteRT failed while running the model: {_reason(error)}.",
                hint="Run cifar-export again.",
            ) from error
        return scores


def _open_interpreter(artefact: Artefact, threads: int, options: SessionOptions) -> Any:
    litert = interpreter_of(artefact)
    try:
        return native_interpreter(litert, artefact.data, threads=threads, xnnpack=options.xnnpack)
    except (RuntimeError, ValueError) as error:
        raise ArtefactError(
            f"{artefact.path}: LiteRT cannot open it: {_reason(error)}.",
            hint="Run cifar-export again.",
        ) from error


def native_interpreter(litert: Any, data: bytes, *, threads: int, xnnpack: bool) -> Any:
    """LiteRT's own interpreter of a model, ready to run.

    Args:
        litert: its module.
        data: a .tflite file.
        threads: it computes with.
        xnnpack: leave to XNNPACK what that takes over.

    Raises:
        RuntimeError, ValueError: it cannot open the model.
    """
    resolvers = litert.OpResolverType
    own_kernels = resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with filtered_native_stderr():
        interpreter = litert.Interpreter(
            model_content=data,
            num_threads=threads,
            experimental_op_resolver_type=resolvers.AUTO if xnnpack else own_kernels,
        )
        interpreter.allocate_tensors()
    return interpreter


def _checked_indices(interpreter: Any, artefact: Artefact) -> tuple[int, int]:
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    check_ends(artefact, inputs, outputs, facts=_facts, quantization_known=True)
    return inputs[0]["index"], outputs[0]["index"]


def _facts(details: dict[str, Any]) -> TensorFacts:
    quantization = details["quantization_parameters"]
    per_tensor = len(quantization["scales"]) == 1
    return TensorFacts(
        shape=tuple(int(size) for size in details["shape"]),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(quantization["scales"][0]) if per_tensor else None,
        zero_point=int(quantization["zero_points"][0]) if per_tensor else None,
    )


def _reason(error: Exception) -> str:
    return shortened(str(error)).rstrip(".") or "it gives no reason, as when memory runs out"
