"""Opens a .tflite model in LiteRT with all its tensors kept, without XNNPACK, which would fuse layers away."""

from typing import Any, Literal

from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import ArtefactError
from cifar_runtime.plain_text import reason_of
from cifar_runtime.sessions.interpreters import interpreter_of
from cifar_runtime.system.native_stderr import filtered_native_stderr


def open_with_all_tensors(
    artefact: Artefact, *, kernels: Literal["built-in", "reference"] = "built-in"
) -> Any:
    """LiteRT's interpreter, ready to run, one thread.

    Args:
        artefact: a .tflite model.
        kernels: LiteRT's own for this processor, or its reference kernels in plain C++.

    Raises:
        ArtefactError: LiteRT cannot open it.
        MissingDependencyError: LiteRT is not installed.
    """
    litert = interpreter_of(artefact)
    resolvers = litert.OpResolverType
    try:
        with filtered_native_stderr():
            interpreter = litert.Interpreter(
                model_content=artefact.data,
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=(
                    resolvers.BUILTIN_REF
                    if kernels == "reference"
                    else resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
                ),
            )
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ArtefactError(
            f"{artefact.path}: LiteRT cannot open it with all tensors kept: {reason_of(error)}.",
            hint="Compare without layers.",
        ) from error
    return interpreter
