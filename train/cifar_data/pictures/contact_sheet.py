"""Draws a folder of pictures as one HTML page: samples of each class, sizes, and what is worth a look; no network.

Thumbnails are what the model will see: the middle of the picture, in the model's size.
"""

import base64
import html
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from cifar_data.pictures.load import Pictures

_SAMPLES, _MOST_CLASSES, _MOST_SHOWN = 8, 60, 24
_THUMBNAIL = 112
_SIDES = (32, 64, 128, 256, 512, 1024, 2048, 4096)


def contact_sheet(pictures: Pictures, document: dict[str, Any]) -> str:
    """The page, with a last newline.

    Args:
        pictures: the folder's.
        document: what :func:`cifar_data.pictures.report.report_document` says of them.
    """
    sheet = _Sheet(pictures)
    height, width = document["size"]
    template = resources.files("cifar_data").joinpath("templates", "contact-sheet.html")
    return Template(template.read_text(encoding="utf-8")).substitute(
        title=html.escape(document["source"]),
        lead=f"{document['pictures']:,} pictures of {len(document['classes'])} classes, shown as a model of "
        f"{width} by {height} pixels sees them.",
        classes=_classes(document["classes"]),
        sizes=_sizes(pictures),
        samples=_samples(sheet, document["classes"]),
        findings="\n".join(filter(None, _findings(sheet, document))),
    )


class _Sheet:
    """Thumbnails by the name of a picture."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        names = [file.name for file in pictures.listing.files]
        self.place = {
            names[position]: (split, row)
            for split in pictures.splits.values()
            for row, position in enumerate(split.ids)
        }

    def names_of(self, label: int) -> list[str]:
        """A few names of a class, evenly spread."""
        names = [name for name, (split, row) in self.place.items() if split.labels[row] == label]
        chosen = np.linspace(0, len(names) - 1, min(_SAMPLES, len(names))).round().astype(int)
        return [names[at] for at in chosen]

    def item(self, name: str, note: str) -> str:
        """A list item: the thumbnail, where the picture is used, and a note."""
        picture = f'<img alt="" src="{self._source(name)}">' if name in self.place else ""
        broken_after_folders = html.escape(note).replace("/", "/<wbr>")
        return f"<li>{picture}<span>{broken_after_folders}</span></li>"

    def _source(self, name: str) -> str:
        from PIL import Image

        split, row = self.place[name]
        thumbnail = Image.fromarray(np.asarray(split.images[row]))
        thumbnail.thumbnail((_THUMBNAIL * 2, _THUMBNAIL * 2))
        buffer = io.BytesIO()
        thumbnail.save(buffer, "JPEG", quality=85)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _classes(classes: Sequence[dict[str, Any]]) -> str:
    rows = [
        "<tr>"
        f'<th scope="row">{html.escape(one["label"])}</th>'
        f"<td>{one['train']:,}</td><td>{one['validation']:,}</td><td>{one['test']:,}</td></tr>"
        for one in classes
    ]
    heads = "".join(
        f'<th scope="col">{head}</th>' for head in ("class", "train", "validation", "test")
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _sizes(pictures: Pictures) -> str:
    """How many pictures have a shorter side of what length, as bars."""
    shorter = [min(one.size) for one in pictures.decoded if one.size]
    bins = Counter(next((side for side in _SIDES if one < side), None) for one in shorter)
    rows = []
    for side in (*_SIDES, None):
        if not bins[side]:
            continue
        name = f"below {side:,}" if side else f"{_SIDES[-1]:,} and more"
        share = 100 * bins[side] / max(bins.values())
        rows.append(
            f'<tr><th scope="row">{name}</th><td>{bins[side]:,}</td>'
            f'<td class="share"><i style="width:{share:.0f}%"></i></td></tr>'
        )
    head = '<thead><tr><th scope="col">shorter side, pixels</th><th scope="col">pictures</th><th></th></tr></thead>'
    return f"<h2>Sizes</h2><table>{head}<tbody>{''.join(rows)}</tbody></table>"


def _samples(sheet: _Sheet, classes: Sequence[dict[str, Any]]) -> str:
    parts = ["<h2>Samples</h2>"]
    if len(classes) > _MOST_CLASSES:
        parts.append(f"<p>The first {_MOST_CLASSES} of {len(classes)} classes.</p>")
    for label, one in enumerate(classes[:_MOST_CLASSES]):
        items = [sheet.item(name, name.rpartition("/")[2]) for name in sheet.names_of(label)]
        parts.append(
            f'<h3>{html.escape(one["label"])}</h3><ul class="pictures">{"".join(items)}</ul>'
        )
    return "\n".join(parts)


def _findings(sheet: _Sheet, document: dict[str, Any]) -> list[str]:
    """A section for each kind of finding that there is."""
    return [
        _shown(
            sheet,
            "Odd ones",
            "Worth a look; they are used.",
            [(one["name"], f"{one['name']}: {one['why']}") for one in document["odd"]],
        ),
        _shown(
            sheet,
            "Copies",
            "One of each is used.",
            [
                (next((name for name in group if name in sheet.place), ""), " = ".join(group))
                for group in document["duplicates"]
            ],
        ),
        _listed(
            "Equal pictures of different classes",
            "None is used: they contradict each other.",
            [" = ".join(group) for group in document["contradicting"]],
        ),
        _listed(
            "Not readable",
            "Save them again, or take them away.",
            [f"{one['name']}: {one['problem']}" for one in document["undecodable"]],
        ),
        _listed(
            "Held-out pictures look the same",
            "In the model's size; they are not trained on.",
            document["look_alikes"],
        ),
    ]


def _shown(sheet: _Sheet, title: str, note: str, items: Sequence[tuple[str, str]]) -> str:
    if not items:
        return ""
    shown = "".join(sheet.item(name, text) for name, text in items[:_MOST_SHOWN])
    return f'{_head(title, note, len(items))}<ul class="pictures">{shown}</ul>'


def _listed(title: str, note: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    return f'{_head(title, note, len(items))}<ul class="names">{_lines(items[:_MOST_SHOWN])}</ul>'


def _head(title: str, note: str, count: int) -> str:
    more = f" The first {_MOST_SHOWN} of {count:,}." if count > _MOST_SHOWN else ""
    return f"<h2>{title} ({count:,})</h2><p>{note}{more}</p>"


def _lines(items: Iterable[str]) -> str:
    return "".join(f"<li>{html.escape(item)}</li>" for item in items)
