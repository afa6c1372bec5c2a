"""Standard TFLite Metadata of an image classifier: what Google's readers (MediaPipe Tasks, Android) look for.

It holds the facts, their flatbuffer form and how that is read back; which facts a contract gives is with
``reader_facts``. It never opens a file.

Source: mediapipe/tasks/metadata/metadata_schema.fbs (file identifier M001).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cifar_runtime.contract import ColourOrder
from cifar_runtime.formats.flatbuffer import FlatBuffer, Table

BUFFER_NAME = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
# The first parser knows all that is written here.
# Source: mediapipe/tasks/cc/metadata/metadata_version.cc, kMetadataParserVersion's history.
MIN_PARSER_VERSION = "1.0.0"
_IDENTIFIER = b"M001"

# Fields of the tables and members of the enumerations, numbered as in metadata_schema.fbs.
_MODEL_NAME, _MODEL_DESCRIPTION, _MODEL_VERSION, _MODEL_SUBGRAPHS = 0, 1, 2, 3
_MODEL_AUTHOR, _MODEL_LICENCE, _MODEL_MIN_PARSER, _NUM_MODEL = 4, 5, 7, 9
_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS, _NUM_SUBGRAPH = 2, 3, 9
_TENSOR_NAME, _TENSOR_DESCRIPTION, _TENSOR_CONTENT = 0, 1, 3
_TENSOR_UNITS, _TENSOR_STATS, _TENSOR_FILES, _NUM_TENSOR = 4, 5, 6, 7
_CONTENT_TYPE, _CONTENT, _NUM_CONTENT = 0, 1, 3
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2
_IMAGE_COLOURS, _IMAGE_SIZE, _NUM_IMAGE = 0, 1, 2
_COLOUR_SPACES: Mapping[ColourOrder, int] = {"RGBA": 0, "RGB": 1, "grey": 2}  # 0: unknown
_WIDTH, _HEIGHT, _NUM_SIZE = 0, 1, 2
_UNIT_TYPE, _UNIT, _NUM_UNIT = 0, 1, 2
_NORMALIZATION, _THRESHOLDING = 1, 3
_MEAN, _STD, _NUM_NORMALIZATION = 0, 1, 2
_THRESHOLD, _NUM_THRESHOLDING = 0, 1
_MAX, _MIN, _NUM_STATS = 0, 1, 2
_FILE_NAME, _FILE_DESCRIPTION, _FILE_TYPE, _NUM_FILE, _TENSOR_AXIS_LABELS = 0, 1, 2, 5, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteMetadata:
    """What the metadata says of a classifier of pictures.

    Attributes:
        name: of the model.
        description: of it, in a sentence.
        version: of it; None where nothing says one.
        author: who made it; None where nothing says who.
        licence: an SPDX expression; None when it is not known.
        size: (height, width) of the input.
        input_description: how a picture becomes the input.
        mean: a real input is (pixel - mean) / std, pixels 0..255.
        std: see ``mean``.
        output_description: what the scores are.
        output_range: smallest and largest score in real units; None where they have no bounds.
        score_threshold: readers leave out a label that scores lower; None where none can be said.
        colour_order: what the channels of a picture are.
        min_parser_version: the oldest parser that understands it.
    """

    name: str
    description: str
    version: str | None
    author: str | None
    licence: str | None
    size: tuple[int, int]
    input_description: str
    mean: float
    std: float
    output_description: str
    output_range: tuple[float, float] | None
    score_threshold: float | None
    colour_order: ColourOrder = "RGB"
    min_parser_version: str = MIN_PARSER_VERSION


def metadata_bytes(metadata: TfliteMetadata) -> bytes:
    """The metadata as a flatbuffer; the same bytes for the same facts."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    subgraph = _table(
        builder,
        _NUM_SUBGRAPH,
        {
            _SUBGRAPH_INPUTS: _tables(builder, _input_tensor(builder, metadata)),
            _SUBGRAPH_OUTPUTS: _tables(builder, _output_tensor(builder, metadata)),
        },
    )
    texts = {
        _MODEL_NAME: metadata.name,
        _MODEL_DESCRIPTION: metadata.description,
        _MODEL_VERSION: metadata.version,
        _MODEL_AUTHOR: metadata.author,
        _MODEL_LICENCE: metadata.licence,
        _MODEL_MIN_PARSER: metadata.min_parser_version,
    }
    offsets = {
        index: builder.CreateString(text) for index, text in texts.items() if text is not None
    }
    root = _table(builder, _NUM_MODEL, {**offsets, _MODEL_SUBGRAPHS: _tables(builder, subgraph)})
    builder.Finish(root, _IDENTIFIER)
    return bytes(builder.Output())


def metadata_from_bytes(data: bytes) -> TfliteMetadata:
    """The facts that :func:`metadata_bytes` wrote; numbers in the precision of float32.

    Raises:
        ValueError: the bytes are damaged, or are the metadata of another kind of model.
    """
    if data[4:8] != _IDENTIFIER:
        raise ValueError(f"its identifier is {data[4:8]!r}, expected {_IDENTIFIER!r}")
    model = FlatBuffer(data).root()
    subgraph = _only(model, _MODEL_SUBGRAPHS)
    taken, given = _only(subgraph, _SUBGRAPH_INPUTS), _only(subgraph, _SUBGRAPH_OUTPUTS)
    image = _needed(_needed(taken.table(_TENSOR_CONTENT)).table(_CONTENT))
    size = _needed(image.table(_IMAGE_SIZE))
    normalization = _needed(_only(taken, _TENSOR_UNITS).table(_UNIT))
    (mean,), (std,) = normalization.vector(_MEAN, "f"), normalization.vector(_STD, "f")
    stats = given.table(_TENSOR_STATS)
    units = [_needed(unit.table(_UNIT)) for unit in given.tables(_TENSOR_UNITS)]
    return TfliteMetadata(
        name=model.text(_MODEL_NAME),
        description=model.text(_MODEL_DESCRIPTION),
        version=model.text(_MODEL_VERSION) or None,
        author=model.text(_MODEL_AUTHOR) or None,
        licence=model.text(_MODEL_LICENCE) or None,
        size=(size.number(_HEIGHT, "I"), size.number(_WIDTH, "I")),
        input_description=taken.text(_TENSOR_DESCRIPTION),
        mean=mean,
        std=std,
        output_description=given.text(_TENSOR_DESCRIPTION),
        output_range=None
        if stats is None
        else (stats.vector(_MIN, "f")[0], stats.vector(_MAX, "f")[0]),
        score_threshold=units[0].number(_THRESHOLD, "f") if units else None,
        colour_order=_colour_order(image.number(_IMAGE_COLOURS, "b")),
        min_parser_version=model.text(_MODEL_MIN_PARSER),
    )


def _colour_order(code: int) -> ColourOrder:
    named = (name for name, known in _COLOUR_SPACES.items() if known == code)
    found = next(named, None)
    if found is None:
        raise ValueError(
            f"its colour space is {code}, expected one of {tuple(_COLOUR_SPACES.values())}"
        )
    return found


def _input_tensor(builder: Any, metadata: TfliteMetadata) -> int:
    height, width = metadata.size
    size = _table(builder, _NUM_SIZE, {}, {_WIDTH: ("Uint32", width), _HEIGHT: ("Uint32", height)})
    image = _table(
        builder,
        _NUM_IMAGE,
        {_IMAGE_SIZE: size},
        {_IMAGE_COLOURS: ("Int8", _COLOUR_SPACES[metadata.colour_order])},
    )
    normalization = _table(
        builder,
        _NUM_NORMALIZATION,
        {_MEAN: _floats(builder, metadata.mean), _STD: _floats(builder, metadata.std)},
    )
    lowest, highest = ((pixel - metadata.mean) / metadata.std for pixel in (0, 255))
    return _table(
        builder,
        _NUM_TENSOR,
        {
            _TENSOR_NAME: builder.CreateString("image"),
            _TENSOR_DESCRIPTION: builder.CreateString(metadata.input_description),
            _TENSOR_CONTENT: _content(builder, image, _IMAGE_PROPERTIES),
            _TENSOR_UNITS: _tables(builder, _unit(builder, normalization, _NORMALIZATION)),
            _TENSOR_STATS: _stats(builder, (lowest, highest)),
        },
    )


def _output_tensor(builder: Any, metadata: TfliteMetadata) -> int:
    labels = _table(
        builder,
        _NUM_FILE,
        {
            _FILE_NAME: builder.CreateString(LABELS_FILE),
            _FILE_DESCRIPTION: builder.CreateString("one label a line, in the order of the scores"),
        },
        {_FILE_TYPE: ("Int8", _TENSOR_AXIS_LABELS)},
    )
    offsets = {
        _TENSOR_NAME: builder.CreateString("scores"),
        _TENSOR_DESCRIPTION: builder.CreateString(metadata.output_description),
        _TENSOR_CONTENT: _content(builder, _table(builder, 0, {}), _FEATURE_PROPERTIES),
        _TENSOR_FILES: _tables(builder, labels),
    }
    if metadata.output_range is not None:
        offsets[_TENSOR_STATS] = _stats(builder, metadata.output_range)
    if metadata.score_threshold is not None:
        options = _table(
            builder,
            _NUM_THRESHOLDING,
            {},
            {_THRESHOLD: ("Float32", metadata.score_threshold)},
        )
        offsets[_TENSOR_UNITS] = _tables(builder, _unit(builder, options, _THRESHOLDING))
    return _table(builder, _NUM_TENSOR, offsets)


def _content(builder: Any, properties: int, kind: int) -> int:
    return _table(builder, _NUM_CONTENT, {_CONTENT: properties}, {_CONTENT_TYPE: ("Uint8", kind)})


def _unit(builder: Any, options: int, kind: int) -> int:
    return _table(builder, _NUM_UNIT, {_UNIT: options}, {_UNIT_TYPE: ("Uint8", kind)})


def _stats(builder: Any, ends: tuple[float, float]) -> int:
    lowest, highest = ends
    return _table(
        builder, _NUM_STATS, {_MAX: _floats(builder, highest), _MIN: _floats(builder, lowest)}
    )


def _table(
    builder: Any,
    num_fields: int,
    offsets: Mapping[int, int],
    numbers: Mapping[int, tuple[Literal["Int8", "Uint8", "Uint32", "Float32"], float]]
    | None = None,
) -> int:
    """Where a new table lies; its fields are offsets of what was written before, and numbers of their types."""
    builder.StartObject(num_fields)
    for index, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(index, offset, 0)
    for index, (form, value) in (numbers or {}).items():
        getattr(builder, f"Prepend{form}Slot")(index, value, 0)
    return int(builder.EndObject())


def _tables(builder: Any, *positions: int) -> int:
    builder.StartVector(4, len(positions), 4)
    for position in reversed(positions):
        builder.PrependUOffsetTRelative(position)
    return int(builder.EndVector())


def _floats(builder: Any, *values: float) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())


def _only(table: Table, index: int) -> Table:
    (found,) = table.tables(index)
    return found


def _needed(table: Table | None) -> Table:
    if table is None:
        raise ValueError("a table is missing that an image classifier's metadata has")
    return table
