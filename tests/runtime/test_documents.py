"""Dataclasses are written as JSON-ready data and read back by their fields' types."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from cifar_runtime.documents import INLINED, OMITTED, from_document, to_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A part."""

    share: float
    kind: Literal["one", "two"] = "one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """A whole."""

    name: str
    counts: tuple[int, ...]
    place: tuple[float, str]
    inner: Inner | None
    parts: tuple[Inner, ...] = ()
    by_k: Mapping[int, int] | None = None

    @property
    def total(self) -> int:
        return sum(self.counts)


OUTER = Outer(
    name="n",
    counts=(1, 2),
    place=(0.5, "here"),
    inner=Inner(share=1.0, kind="two"),
    parts=(Inner(share=0.0),),
    by_k={1: 9, 5: 10},
)
DOCUMENT = {
    "name": "n",
    "counts": [1, 2],
    "place": [0.5, "here"],
    "inner": {"share": 1.0, "kind": "two"},
    "parts": [{"share": 0.0, "kind": "one"}],
    "by_k": {"1": 9, "5": 10},
    "total": 3,
}


def test_fields_come_in_their_order_and_derived_figures_after_them() -> None:
    assert json.dumps(to_document(OUTER, "total")) == json.dumps(DOCUMENT)


def test_what_was_written_is_read_back_and_derived_figures_are_passed_over() -> None:
    assert from_document(Outer, json.loads(json.dumps(DOCUMENT))) == OUTER


def test_a_missing_field_takes_its_default() -> None:
    few = {"name": "n", "counts": [], "place": [1, "x"], "inner": None}
    assert from_document(Outer, few) == Outer(name="n", counts=(), place=(1.0, "x"), inner=None)


def test_derived_figures_can_stand_before_a_field() -> None:
    names = list(to_document(OUTER, "total", before="parts"))
    assert names == ["name", "counts", "place", "inner", "total", "parts", "by_k"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """Holds another's fields as its own."""

    name: str
    inner: Inner = field(metadata=INLINED)
    options: Mapping[str, str | bool]


def test_an_inlined_dataclass_stands_between_the_fields_around_it() -> None:
    flat = Flat(name="n", inner=Inner(share=0.5), options={"xnnpack": True, "level": "all"})
    document = to_document(flat)
    options = {"xnnpack": True, "level": "all"}
    expected = {"name": "n", "share": 0.5, "kind": "one", "options": options}
    assert json.dumps(document) == json.dumps(expected)
    assert from_document(Flat, document) == flat


@pytest.mark.parametrize("option", [1, None, ["all"]])
def test_a_value_of_none_of_several_kinds_is_refused(option: Any) -> None:
    with pytest.raises(TypeError, match=r"options: .* is not what this field holds"):
        from_document(Flat, {"name": "n", "share": 1, "options": {"xnnpack": option}})


def test_paths_are_text() -> None:
    assert to_document({"file": Path("a") / "b"}) == {"file": "a/b"}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"name": 1}, TypeError, "name: int is not what this field holds"),
        ({"counts": [True]}, TypeError, "counts: bool is not what this field holds"),
        ({"counts": 3}, TypeError, "counts: int is not what this field holds"),
        ({"place": [1]}, ValueError, "zip"),
        ({"inner": {"share": 1, "kind": "three"}}, ValueError, "kind: 'three' is not one of"),
        ({"inner": {}}, KeyError, "share"),
        ({"inner": []}, TypeError, "Inner: expected an object, found list"),
    ],
)
def test_what_a_field_does_not_hold_is_refused_by_name(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        from_document(Outer, {**DOCUMENT, **changes})


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A value with something that no document holds."""

    name: str
    data: memoryview | None = field(default=None, metadata=OMITTED)


def test_an_omitted_field_is_neither_written_nor_asked_for() -> None:
    assert to_document(Holder(name="n", data=memoryview(b"x"))) == {"name": "n"}
    assert from_document(Holder, {"name": "n"}) == Holder(name="n")
