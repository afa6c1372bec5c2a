"""Frozen dataclasses as JSON-ready data and back: one writer, one typed reader. Pure.

A dataclass is an object with its fields in their order, a tuple a list, a mapping an object; what a field's type does
not allow is refused with the field's name.
"""

import dataclasses
import types
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import PurePath
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Kind = TypeVar("_Kind")


INLINED: Mapping[str, Any] = types.MappingProxyType({"inlined": True})
"""Metadata of a dataclass' field that is a dataclass itself: its fields are written and read in its place."""

OMITTED: Mapping[str, Any] = types.MappingProxyType({"omitted": True})
"""Metadata of a dataclass' field with a default that documents do not hold."""


@overload
def to_document(
    value: "DataclassInstance", *derived: str, before: str | None = None
) -> dict[str, Any]: ...


@overload
def to_document(value: Any) -> Any: ...


def to_document(value: Any, *derived: str, before: str | None = None) -> Any:
    """The value as JSON-ready data; of a dataclass its fields, and the named properties.

    Args:
        value: a dataclass, tuple, list, mapping, path, text, number or None, in any nesting. A dataclass inside with
            a ``to_json`` of its own is written by that.
        derived: names of properties that follow from the fields.
        before: the field that the derived ones stand before; None puts them last.
    """
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return _written(value)
    document: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        if field.name == before:
            document |= _attributes(value, derived)
        if field.metadata.get("omitted"):
            continue
        written = _written(getattr(value, field.name))
        document |= written if _is_inlined(field) else {field.name: written}
    return document if before else document | _attributes(value, derived)


def from_document(kind: type[_Kind], document: Any) -> _Kind:
    """The dataclass that ``to_document`` wrote; what it does not know is passed over, such as derived figures.

    Args:
        kind: a dataclass.
        document: JSON data.

    Raises:
        KeyError: a field without a default is missing.
        TypeError, ValueError: a value is not of its field's type; the message begins with the field.
    """
    if not isinstance(document, Mapping):
        raise TypeError(f"{kind.__name__}: expected an object, found {type(document).__name__}")
    hints = _hints(cast(Any, kind))
    fields = {}
    for field in dataclasses.fields(cast(Any, kind)):
        if field.name not in document and _has_default(field):
            continue
        own = document if _is_inlined(field) else document[field.name]
        fields[field.name] = _read(hints[field.name], own, field.name)
    return kind(**fields)


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _has_default(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _is_inlined(field: "dataclasses.Field[Any]") -> bool:
    return bool(field.metadata.get("inlined"))


def _attributes(value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _written(getattr(value, name)) for name in names}


def _written(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        return to_document(value)
    if isinstance(value, Mapping):
        return {str(name): _written(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        if _are_all(int, value):
            return list(value)
        return [_written(item) for item in value]
    return str(value) if isinstance(value, PurePath) else value


def _read(hint: Any, value: Any, name: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _read_union(arguments, value, name)
    if origin is tuple:
        return _read_tuple(arguments, value, name)
    if dataclasses.is_dataclass(hint):
        return from_document(cast(type[Any], hint), value)
    if origin is not None and origin is not Literal:
        _check(value, Mapping, name)
        return {arguments[0](key): _read(arguments[1], item, name) for key, item in value.items()}
    return _read_plain(hint, value, name)


def _read_union(hints: tuple[Any, ...], value: Any, name: str) -> Any:
    """One kind or None, or several plain kinds."""
    if value is None and type(None) in hints:
        return None
    kinds = [one for one in hints if one is not type(None)]
    hint = next((one for one in kinds if type(value) is one), kinds[0])
    return _read(hint, value, name)


def _read_plain(hint: Any, value: Any, name: str) -> Any:
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            known = ", ".join(map(repr, get_args(hint)))
            raise ValueError(f"{name}: {value!r} is not one of {known}")
        return value
    if hint is float and isinstance(value, int):
        return float(value)
    if hint is not Any:
        _check(value, hint, name)
    return value


def _read_tuple(arguments: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    _check(value, (list, tuple), name)
    if arguments[1:] == (...,):
        if _are_all(arguments[0], value):
            return tuple(value)
        return tuple(_read(arguments[0], item, name) for item in value)
    return tuple(_read(hint, item, name) for hint, item in zip(arguments, value, strict=True))


def _are_all(kind: Any, values: Sequence[Any]) -> bool:
    """Whether each is of this very kind: the short way for thousands of samples."""
    return set(map(type, values)) == {kind}


def _check(value: Any, kind: Any, name: str) -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{name}: {type(value).__name__} is not what this field holds")
