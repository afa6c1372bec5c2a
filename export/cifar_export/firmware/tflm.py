"""What TensorFlow Lite Micro needs from a model: its bytes without our card, its operators, and a measured arena.

Nothing of TensorFlow Lite Micro's sources is here: its PyPI wheel, ``tflite-micro``, is asked. Its structures are those
of a 64-bit machine, so that the arena is enough on a 32-bit one.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.firmware.c_text import comment, numbers, template
from cifar_runtime.errors import ArtefactError, MissingDependencyError
from cifar_runtime.formats.tflite_graph import tflite_graph
from cifar_runtime.install_hints import install_hint
from cifar_runtime.system.native_stderr import held_stderr

_IDENTIFIER = b"TFL3"
_MAX_ARENA = 16 * 1024 * 1024
_ARENA_TOTAL = re.compile(rb"Arena allocation total (\d+) bytes")


def model_without_card(data: bytes) -> bytes:
    """The .tflite file as its converter wrote it: a card lies in front of the whole of it, and is left out."""
    graph = tflite_graph(data)
    at = data.rfind(_IDENTIFIER)
    while at > 4:
        inner = data[at - 4 :]
        try:
            if tflite_graph(inner) == graph:
                return inner
        except ArtefactError:
            pass  # the same four bytes, somewhere in the weights
        at = data.rfind(_IDENTIFIER, 0, at)
    return data


def run_tflm(data: bytes, images: NDArray[np.int8]) -> NDArray[np.int8]:
    """The scores of TensorFlow Lite Micro's reference kernels: int8, shape (n, num_classes).

    Args:
        data: a .tflite file.
        images: int8, shape (n, height, width, 3), as the model takes them.

    Raises:
        MissingDependencyError: tflite-micro is not installed.
        ArtefactError: the interpreter refuses the model.
    """
    interpreter = _interpreter(data)
    rows = []
    for image in images:
        interpreter.set_input(image[None], 0)
        interpreter.invoke()
        rows.append(np.array(interpreter.get_output(0)).ravel())
    return np.array(rows)


def measure_arena(data: bytes, image: NDArray[np.int8]) -> int:
    """Bytes of its arena that the interpreter has used after one image.

    Args:
        data: a .tflite file.
        image: int8, shape (height, width, 3).

    Raises:
        MissingDependencyError: tflite-micro is not installed.
        ArtefactError: the interpreter refuses the model, or does not say.
    """
    interpreter = _interpreter(data)
    interpreter.set_input(image[None], 0)
    interpreter.invoke()
    said = bytearray()
    with held_stderr(said):
        interpreter.print_allocations()
    total = _ARENA_TOTAL.search(bytes(said))
    if total is None:
        raise ArtefactError(
            f"tflite-micro says of its arena: {said.decode(errors='replace')[:200]!r}, "
            "expected its total.",
            hint="Install the version of tflite-micro that constraints.txt names.",
        )
    return int(total[1])


def _interpreter(data: bytes) -> Any:
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "the tflm engine asks TensorFlow Lite Micro for its scores and its arena, and "
            "tflite-micro is not installed.",
            hint=f"{install_hint('firmware')}, or use the c engine.",
        ) from error
    said = bytearray()
    try:
        with held_stderr(said):
            return runtime.Interpreter.from_bytes(data, arena_size=_MAX_ARENA)
    except RuntimeError as error:
        raise ArtefactError(
            f"TensorFlow Lite Micro refuses the model: {said.decode(errors='replace').strip()}",
            hint="Use the c engine, or replace the operators that it lacks.",
        ) from error


def tflm_files(
    data: bytes, ends: tuple[int, int], operators: Sequence[str], arena_bytes: int, *, title: str
) -> dict[str, str]:
    """model.h, model.c, resolver.h, and what runs them in that library for the self-test.

    Args:
        data: the model, without a card.
        ends: bytes of its input and of its output.
        operators: their names, each once.
        arena_bytes: what the interpreter needs.
        title: what the first comments say.
    """
    first = comment(title)
    header = (
        f"{first}\n#ifndef MODEL_H\n#define MODEL_H\n\n#include <stdint.h>\n\n"
        '#ifdef __cplusplus\nextern "C" {\n#endif\n\n'
        f"#define MODEL_BYTES {len(data)}\n"
        f"#define MODEL_INPUT_BYTES {ends[0]}\n"
        f"#define MODEL_OUTPUT_BYTES {ends[1]}\n"
        "/* Measured on a 64-bit machine, whose structures are larger than a microcontroller's. */\n"
        f"#define MODEL_ARENA_BYTES {arena_bytes}\n\n"
        '#define SELF_TEST_KERNELS "TensorFlow Lite Micro"\n\n'
        "extern const unsigned char model_tflite[MODEL_BYTES];\n\n"
        "/* runner.cc has these: where the input goes, the run, and the scores of the last one. */\n"
        "int8_t *model_input(void);\nvoid model_run(void);\nconst int8_t *model_output(void);\n\n"
        "#ifdef __cplusplus\n}\n#endif\n\n#endif\n"
    )
    source = (
        f'{first}\n#include "model.h"\n\n'
        "/* TensorFlow Lite Micro reads it in place, in words. */\n"
        "#if defined(__GNUC__)\n__attribute__((aligned(16)))\n#endif\n"
        f"const unsigned char model_tflite[MODEL_BYTES] = {numbers(data)};\n"
    )
    calls = " \\\n".join(f"    (resolver).{_method(name)}();" for name in operators)
    resolver = (
        f"{first}\n#ifndef RESOLVER_H\n#define RESOLVER_H\n\n"
        "/* tflite::MicroMutableOpResolver<MODEL_NUM_OPERATORS> resolver; MODEL_ADD_OPERATORS(resolver) */\n"
        f"#define MODEL_NUM_OPERATORS {len(operators)}\n"
        f"#define MODEL_ADD_OPERATORS(resolver) \\\n{calls}\n\n#endif\n"
    )
    templates = {name: template(name) for name in ("runner.cc", "self_test.c", "self_test.h")}
    return {"model.h": header, "model.c": source, "resolver.h": resolver, **templates}


def _method(name: str) -> str:
    """The method of MicroMutableOpResolver that adds an operator: MAX_POOL_2D is AddMaxPool2D."""
    words = [word if word == "2D" else word.capitalize() for word in name.split("_")]
    return "Add" + "".join(words)
