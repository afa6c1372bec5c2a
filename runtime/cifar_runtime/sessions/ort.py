"""Runs .onnx models in onnxruntime: the only module that knows its interface.

It never preprocesses; batches come in the model's own dtype. Only the CPU provider is used, and
files that point to other files are refused.
"""

import threading
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import ArtefactError, UsageError
from cifar_runtime.formats.known_formats import RuntimeName
from cifar_runtime.formats.protobuf import has_external_data
from cifar_runtime.plain_text import reason_of
from cifar_runtime.sessions.base import DEFAULT_OPTIONS, GraphOptimization, SessionOptions
from cifar_runtime.sessions.forked import (
    OF_THE_PARENT,
    RENEWED_IN_CHILDREN,
    kept_for_the_parent,
)
from cifar_runtime.sessions.interpreters import import_onnxruntime, interpreter_of
from cifar_runtime.sessions.tensors import (
    TensorFacts,
    check_batch,
    check_ends,
    contract_input,
    contract_output,
)
from cifar_runtime.system.native_stderr import filtered_native_stderr

# Enough to amortise a call, small enough that the activations of a large split, or of large images, stay out of memory.
_MAX_BATCH = 64
_MAX_BATCH_PIXELS = 2**18
_FATAL_ONLY = 4
_OPTIMIZATION_LEVELS: dict[GraphOptimization, str] = {
    "none": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_DTYPES = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}


class OrtSession:
    """An onnxruntime session; onnxruntime itself lets threads share it."""

    runtime: RuntimeName

    def __init__(
        self, artefact: Artefact, *, threads: int, options: SessionOptions = DEFAULT_OPTIONS
    ) -> None:
        self.runtime = "onnxruntime"
        self._path = artefact.path
        self._input = contract_input(artefact.contract)
        self._output = contract_output(artefact.contract)
        if has_external_data(artefact.data):
            raise ArtefactError(
                f"{artefact.path}: keeps weights in other files, expected all of them inside.",
                hint="Save the model without external data.",
            )
        self._lock = threading.Lock()
        self._open = partial(_open_onnxruntime, artefact, threads, options.graph_optimization)
        self._session: Any = self._open()
        self._input_name, max_batch = _checked_input(self._session, artefact)
        self._max_batch = max_batch or _batch_size(artefact.contract.input.shape)
        RENEWED_IN_CHILDREN.add(self)

    def run(self, batch: NDArray[Any]) -> NDArray[Any]:
        """The raw scores of a batch; see :class:`cifar_runtime.sessions.base.Session`."""
        check_batch(batch, self._input)
        with self._lock:
            if self._session is OF_THE_PARENT:
                self._session = self._open()
            session = self._session
        if session is None:
            raise UsageError("the session is closed.", hint="Open another one.")
        step = self._max_batch
        parts = [self._run_part(session, batch[i : i + step]) for i in range(0, len(batch), step)]
        no_scores = np.empty((0, self._output.shape[1] or 0), dtype=self._output.dtype)
        return np.concatenate([no_scores, *parts])

    def close(self) -> None:
        """Frees the session once no thread runs it."""
        self._session = None

    def renew(self) -> None:
        """In a forked child: at the next run its own session, with threads of its own."""
        self._lock = threading.Lock()
        self._session = kept_for_the_parent(self._session)

    def _run_part(self, session: Any, part: NDArray[Any]) -> NDArray[Any]:
        try:
            scores: NDArray[Any] = session.run(None, {self._input_name: part})[0]
        except Exception as error:  # onnxruntime raises eight unrelated classes
            raise ArtefactError(
                f"{self._path}: onnxruntime failed while running it: {reason_of(error)}.",
                hint="Run cifar-export again.",
            ) from error
        expected = (len(part), self._output.shape[1])
        if scores.shape != expected:
            raise ArtefactError(
                f"{self._path}: gave scores of shape {scores.shape}, expected {expected}.",
                hint="Run cifar-export again.",
            )
        return scores


def native_session(
    data: bytes,
    *,
    threads: int = 1,
    graph_optimization: GraphOptimization = "all",
    profile_prefix: str | None = None,
) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU that logs nothing; it raises whatever onnxruntime raises.

    Args:
        data: an .onnx file.
        threads: worker threads inside an operator; operators run one after another.
        graph_optimization: how far the graph is rewritten.
        profile_prefix: where a profile goes, as the beginning of a file's path; None: none is made.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    level = _OPTIMIZATION_LEVELS[graph_optimization]
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    with filtered_native_stderr():
        return onnxruntime.InferenceSession(
            data, sess_options=options, providers=["CPUExecutionProvider"]
        )


def _open_onnxruntime(
    artefact: Artefact, threads: int, graph_optimization: GraphOptimization
) -> Any:
    interpreter_of(artefact)
    try:
        return native_session(artefact.data, threads=threads, graph_optimization=graph_optimization)
    except Exception as error:
        raise ArtefactError(
            f"{artefact.path}: onnxruntime cannot open it: {reason_of(error)}.",
            hint="Run cifar-export again.",
        ) from error


def _batch_size(image_shape: tuple[int, ...]) -> int:
    return max(1, min(_MAX_BATCH, _MAX_BATCH_PIXELS // (image_shape[0] * image_shape[1])))


def _checked_input(session: Any, artefact: Artefact) -> tuple[str, int | None]:
    """The input's name and its fixed batch size, None when that is free."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    # An ONNX file has no scale of an integer input: the contract's stands.
    check_ends(artefact, inputs, outputs, facts=_facts, quantization_known=False)
    return inputs[0].name, _facts(inputs[0]).shape[0]


def _facts(tensor: Any) -> TensorFacts:
    return TensorFacts(
        shape=tuple(size if isinstance(size, int) else None for size in tensor.shape),
        dtype=_DTYPES.get(tensor.type, tensor.type),
    )
