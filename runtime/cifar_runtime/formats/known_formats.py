"""The model formats that the runtime runs, a row each: whatever depends on a format is looked up here.

A row names what it needs as ``module:object``, like an entry point, so that looking up a format imports
no reader, no interpreter and no numpy. It never opens a file. A new format is a row here, its session,
and its reader.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

ModelFormat = Literal["tflite", "onnx"]
RuntimeName = Literal["litert", "onnxruntime"]
RuntimeChoice = Literal["auto", ModelFormat]
# Of any interpreter: at 5,000 onnxruntime hangs, at 100,000 LiteRT ends the process.
MAX_THREADS = 256


class KnownFormat(NamedTuple):  # not a dataclass: importing those takes 10 ms, a third of --help
    """One model format.

    Attributes:
        name: the format.
        runtime: the interpreter that runs it, as reports name it.
        title: the interpreter, as messages name it.
        package: what must be installed, as Python imports it.
        module: the module of that package that runs models.
        pip: the command that installs it.
        environment: what must be set before the interpreter is imported.
        signature: the bytes at :data:`SIGNATURE_POSITION` of every file; None: the format has none.
        graph: the function from a file's bytes to its :class:`cifar_runtime.formats.graph.Graph`.
        metadata: the module whose ``metadata_entry`` and ``with_metadata_entry`` read and write the
            document inside a file.
        session: the class of its :class:`cifar_runtime.sessions.base.Session`.
    """

    name: ModelFormat
    runtime: RuntimeName
    title: str
    package: str
    module: str
    pip: str
    environment: Mapping[str, str]
    signature: bytes | None
    graph: str
    metadata: str
    session: str

    @property
    def suffix(self) -> str:
        """What a file's name ends in, such as ``.tflite``."""
        return f".{self.name}"


# The file identifier of a flatbuffer stands at byte 4. Source: flatbuffers.dev/internals.
SIGNATURE_POSITION = 4
# Source: tensorflow/compiler/mlir/lite/schema/schema.fbs, ``file_identifier "TFL3"``.
TFLITE_SIGNATURE = b"TFL3"

# The first whose interpreter is installed is the default.
KNOWN_FORMATS: Mapping[ModelFormat, KnownFormat] = {
    "tflite": KnownFormat(
        name="tflite",
        runtime="litert",
        title="LiteRT",
        package="ai_edge_litert",
        module="ai_edge_litert.interpreter",
        pip="pip install ai-edge-litert",
        environment={},
        signature=TFLITE_SIGNATURE,
        graph="cifar_runtime.formats.tflite_graph:tflite_graph",
        metadata="cifar_runtime.formats.metadata_buffer",
        session="cifar_runtime.sessions.litert:LiteRTSession",
    ),
    "onnx": KnownFormat(
        name="onnx",
        runtime="onnxruntime",
        title="onnxruntime",
        package="onnxruntime",
        module="onnxruntime",
        pip="pip install onnxruntime",
        # Without it onnxruntime starts a thread, writes to ~/.cache and calls home.
        environment={"ORT_DISABLE_TELEMETRY": "1"},
        signature=None,
        graph="cifar_runtime.formats.onnx_graph:onnx_graph",
        metadata="cifar_runtime.formats.protobuf",
        session="cifar_runtime.sessions.ort:OrtSession",
    ),
}
SUFFIXES = tuple(known.suffix for known in KNOWN_FORMATS.values())


def format_from_suffix(suffix: str) -> ModelFormat | None:
    """The format of files with a suffix such as ``.tflite``, in either case; None: it is no model's."""
    known = (row.name for row in KNOWN_FORMATS.values() if row.suffix == suffix.lower())
    return next(known, None)


def has_content_of(data: bytes, model_format: ModelFormat) -> bool:
    """Whether a file's bytes bear the signature of its format or, where that has none, of no other one."""
    found = data[SIGNATURE_POSITION : SIGNATURE_POSITION + 4]
    signatures = {known.signature: known.name for known in KNOWN_FORMATS.values()}
    claimed = signatures.get(found)
    return claimed == model_format or (
        claimed is None and KNOWN_FORMATS[model_format].signature is None
    )


def load(reference: str) -> Any:
    """The module, or the object ``module:object``, that a row names."""
    import importlib  # not for --help

    module, _, name = reference.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, name) if name else loaded
