"""Reads tables out of a FlatBuffers file without trusting it: every offset and length is checked.

The generated schema classes check nothing, need the flatbuffers package, and follow a vector of four
thousand million elements to its end. Here the work is bounded, also where parts of a file refer to
the same other parts again and again. It knows the encoding only; the meaning of fields is with its
callers (``embedding``, ``tflite_graph``).

Source: flatbuffers.dev/internals (root offset, tables, vtables, vectors; all little-endian).
"""

import struct
from collections.abc import Iterator

UOFFSET = struct.Struct("<I")
_SOFFSET = struct.Struct("<i")
_VOFFSET = struct.Struct("<H")
# A file names each of its numbers a few times at most.
_NUMBERS_PER_BYTE = 4
# A classifier has some hundreds: operators, tensors, buffers. So many take half a second to read.
_MAX_TABLES = 50_000


class FlatBuffer:
    """The bytes of a FlatBuffers file and how much of them may still be read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._numbers_left = _NUMBERS_PER_BYTE * len(data)
        self._tables_left = _MAX_TABLES

    def root(self) -> "Table":
        """The root table.

        Raises:
            ValueError: the file is too short or points outside itself.
        """
        return Table(self, self.follow(0))

    def number(self, form: struct.Struct, position: int) -> int:
        """The integer at a position."""
        if not 0 <= position <= len(self.data) - form.size:
            raise ValueError("an offset points outside the file")
        value: int = form.unpack_from(self.data, position)[0]
        return value

    def follow(self, position: int) -> int:
        """Where the unsigned offset at a position points."""
        return position + self.number(UOFFSET, position)

    def numbers(self, position: int, form: str) -> tuple[float, ...]:
        """The numbers of the vector at a position, in the struct format ``form``."""
        start, count = self._extent(position, struct.calcsize("<" + form))
        self._numbers_left -= count
        if self._numbers_left < 0:
            raise ValueError("its parts refer to each other again and again")
        return struct.unpack_from(f"<{count}{form}", self.data, start)

    def tables(self, position: int) -> "Iterator[Table]":
        """The tables of the vector at a position."""
        start, count = self._extent(position, UOFFSET.size)
        self._tables_left -= count
        if self._tables_left < 0:
            raise ValueError(f"it has more than {_MAX_TABLES} tables")
        for entry in range(start, start + count * UOFFSET.size, UOFFSET.size):
            yield Table(self, self.follow(entry))

    def slice(self, position: int) -> memoryview:
        """The bytes of the vector at a position, not copied."""
        start, count = self._extent(position, 1)
        return memoryview(self.data)[start : start + count]

    def _extent(self, position: int, element_size: int) -> tuple[int, int]:
        count = self.number(UOFFSET, position)
        start = position + UOFFSET.size
        if start + count * element_size > len(self.data):
            raise ValueError("a vector is longer than the file")
        return start, count


class Table:
    """One table; fields are numbered as in the schema, from 0."""

    __slots__ = ("_buffer", "_num_fields", "_vtable", "position")

    def __init__(self, buffer: FlatBuffer, position: int) -> None:
        self._buffer = buffer
        self.position = position
        self._vtable = position - buffer.number(_SOFFSET, position)
        self._num_fields = max(0, (buffer.number(_VOFFSET, self._vtable) - 4) // 2)

    @property
    def num_fields(self) -> int:
        """How many fields the table's layout names, absent ones among them."""
        return self._num_fields

    def field(self, index: int) -> int | None:
        """Where a field stands; None when it is absent."""
        if index >= self._num_fields:
            return None
        offset = self._buffer.number(_VOFFSET, self._vtable + 4 + 2 * index)
        return self.position + offset if offset else None

    def number(self, index: int, form: str, *, default: int = 0) -> int:
        """A number field; ``form`` is its struct format, such as ``i``."""
        position = self.field(index)
        if position is None:
            return default
        return self._buffer.number(struct.Struct("<" + form), position)

    def table(self, index: int) -> "Table | None":
        """A table field."""
        position = self.field(index)
        return None if position is None else Table(self._buffer, self._buffer.follow(position))

    def tables(self, index: int) -> Iterator["Table"]:
        """The tables of a vector field; none when it is absent."""
        position = self.field(index)
        return iter(()) if position is None else self._buffer.tables(self._buffer.follow(position))

    def vector(self, index: int, form: str) -> tuple[float, ...]:
        """The numbers of a vector field, in the struct format ``form``; none when it is absent."""
        position = self.field(index)
        return () if position is None else self._buffer.numbers(self._buffer.follow(position), form)

    def integers(self, index: int, form: str = "i") -> tuple[int, ...]:
        """The integers of a vector field; none when it is absent."""
        return tuple(map(int, self.vector(index, form)))

    def data(self, index: int) -> memoryview:
        """The bytes of a byte vector or string field; none when it is absent."""
        position = self.field(index)
        if position is None:
            return memoryview(b"")
        return self._buffer.slice(self._buffer.follow(position))

    def text(self, index: int) -> str:
        """A string field, undecodable bytes replaced; empty when it is absent."""
        return bytes(self.data(index)).decode("utf-8", "replace")
