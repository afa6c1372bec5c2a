"""What is worth knowing of a folder of pictures before training on it: as a document and as lines of text."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cifar_data.pictures.divide import PARTS
from cifar_data.pictures.find import Part
from cifar_data.pictures.load import Pictures
from cifar_data.pictures.odd import odd_pictures
from cifar_runtime.errors import InputError

SCHEMA = "cifar-edge/picture-check/1"
# With fewer, a split of 15 % tells little more than that the class exists.
FEW_PICTURES = 20
UNEQUAL = 1.5
_NAMES_SHOWN = 3


def report_document(pictures: Pictures) -> dict[str, Any]:
    """The report as JSON-ready data; names are paths below the folder."""
    listing, division = pictures.listing, pictures.division
    names = [file.name for file in listing.files]

    def named(positions: Sequence[int]) -> list[str]:
        return [names[position] for position in positions]

    height, width, _ = pictures.contract.shape
    return {
        "schema": SCHEMA,
        "source": listing.name,
        "size": [height, width],
        "resize_filter": pictures.contract.resize_filter,
        "pictures": len(names),
        "classes": _classes(pictures),
        "splits": pictures.splits_document(),
        "sizes": _sizes(pictures),
        "undecodable": [
            {"name": name, "problem": one.problem}
            for name, one in zip(names, pictures.decoded, strict=True)
            if one.problem is not None
        ],
        "duplicates": [named(group) for group in division.duplicates],
        "contradicting": [named(group) for group in division.contradicting],
        "look_alikes": named(division.look_alikes),
        "lent": named(division.borrowed),
        "ignored": listing.ignored,
        "odd": [{"name": names[one.position], "why": one.why} for one in odd_pictures(pictures)],
    }


def report_lines(document: dict[str, Any]) -> list[str]:
    """The same for a person: a table of the classes, then what is odd, one line each."""
    height, width = document["size"]
    sizes = document["sizes"]
    lines = [
        f"{document['source']}: {document['pictures']:,} pictures of {len(document['classes'])} classes, "
        f"{_by(sizes['smallest'])} to {_by(sizes['largest'])}, for models of {width} by {height} pixels",
        f"  {'class':<20}{'train':>8}{'validation':>12}{'test':>7}",
    ]
    for one in document["classes"]:
        lines.append(
            f"  {one['label']:<20}{one['train']:>8}{one['validation']:>12}{one['test']:>7}"
        )
    return [*lines, *remarks(document)]


def remarks(document: dict[str, Any]) -> list[str]:
    """What is odd about the pictures, a line each; none where nothing is."""
    found = [
        _some(
            "not readable", [f"{one['name']} ({one['problem']})" for one in document["undecodable"]]
        ),
        _some(
            "copies, of which one is used", [" = ".join(group) for group in document["duplicates"]]
        ),
        _some(
            "equal but labelled differently, none is used",
            [" = ".join(group) for group in document["contradicting"]],
        ),
        _some("not used, a held-out picture looks the same in this size", document["look_alikes"]),
        _some("held out by hand, the class is small", document["lent"]),
        _some(
            "formats that are not decoded, save these as JPEG or PNG",
            [f"{suffix} ({count:,})" for suffix, count in document["ignored"].items()],
        ),
        _some("worth a look", [f"{one['name']} ({one['why']})" for one in document["odd"]]),
        *_about_classes(document["classes"]),
        *_about_sizes(document),
    ]
    return [f"  note: {remark}" for remark in found if remark is not None]


def check_trainable(pictures: Pictures) -> None:
    """Checks that each class has pictures to train on, and each split any at all.

    Raises:
        InputError: not so.
    """
    for label, name in enumerate(pictures.listing.labels):
        if not np.any(pictures.splits["train"].labels == label):
            raise InputError(
                f"{pictures.listing.name}: class {name} has no picture to train on, expected a few dozen.",
                hint="Add pictures of it, or take its folder away; cifar-data check says what became of each.",
            )
    for part in ("validation", "test"):
        if not len(pictures.splits[part].labels):
            raise InputError(
                f"{pictures.listing.name}: has no {part} pictures, expected 15 % of them.",
                hint="Add pictures: of three or more of a class, one is held out.",
            )


def _classes(pictures: Pictures) -> list[dict[str, Any]]:
    def count(part: Part, label: int) -> int:
        return int(np.count_nonzero(pictures.splits[part].labels == label))

    return [
        {"label": name, **{part: count(part, label) for part in PARTS}}
        for label, name in enumerate(pictures.listing.labels)
    ]


def _sizes(pictures: Pictures) -> dict[str, Any]:
    """Width and height of the smallest and the largest picture, and how many the model's size enlarges."""
    height, width, _ = pictures.contract.shape
    sizes = sorted(
        (one.size for one in pictures.decoded if one.size), key=lambda size: size[0] * size[1]
    )
    return {
        "smallest": list(sizes[0]),
        "largest": list(sizes[-1]),
        "enlarged": sum(size[0] < width or size[1] < height for size in sizes),
    }


def _about_classes(classes: list[dict[str, Any]]) -> list[str | None]:
    counts = {one["label"]: sum(one[part] for part in PARTS) for one in classes}
    few = [f"{label} ({count})" for label, count in counts.items() if count < FEW_PICTURES]
    smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    unequal = counts[largest] >= UNEQUAL * counts[smallest]
    return [
        _some(f"classes of fewer than {FEW_PICTURES} pictures", few),
        f"{largest} has {counts[largest]:,} pictures, {smallest} {counts[smallest]:,}: training draws "
        "each class equally often"
        if unequal
        else None,
    ]


def _about_sizes(document: dict[str, Any]) -> list[str]:
    enlarged = document["sizes"]["enlarged"]
    if not enlarged:
        return []
    return [
        f"{enlarged:,} pictures are smaller than the model's size and are enlarged: a smaller --size costs less"
    ]


def _some(what: str, items: Sequence[str]) -> str | None:
    if not items:
        return None
    shown = "; ".join(items[:_NAMES_SHOWN])
    return f"{what} ({len(items):,}): {shown}{'; …' if len(items) > _NAMES_SHOWN else ''}"


def _by(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]}"
