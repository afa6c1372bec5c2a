"""Which split each picture belongs to: a function of its content, so that it is the same for ever; reads no files.

A picture's digest is a number that nobody chose, and it alone decides, so that pictures which are added later move
none of the old ones, copies of a picture always stand together, and renaming changes nothing.
"""

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import get_args

from cifar_data.pictures.find import Found, Part

# Of each class, in expectation; the rest is trained on.
_SHARES: dict[Part, tuple[float, float]] = {"test": (0.0, 0.15), "validation": (0.15, 0.3)}
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Positions of pictures, by what becomes of them.

    Attributes:
        parts: by split, ascending.
        duplicates: groups of equal pictures of one label; one of each is used.
        contradicting: groups of equal pictures under different labels; none is used.
        look_alikes: pictures that are not used because one that is held out has their pixels in the model's size.
        borrowed: pictures that are held out because their small class had none there.
    """

    parts: dict[Part, tuple[int, ...]]
    duplicates: tuple[tuple[int, ...], ...]
    contradicting: tuple[tuple[int, ...], ...]
    look_alikes: tuple[int, ...]
    borrowed: tuple[int, ...]


def divide(
    files: Sequence[Found], digests: Sequence[str | None], *, fitted: Sequence[str | None]
) -> Division:
    """Divides pictures into train, validation and test.

    Where a folder names the splits, they stay as they are, and only a missing validation or test split is taken from
    train. A class that would have nothing to validate or test on lends the picture with the lowest digest.

    Args:
        files: the pictures.
        digests: SHA-256 of each one's content, hexadecimal; None for one that cannot be used.
        fitted: the same of its pixels in the model's size.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for position, digest in enumerate(digests):
        if digest is not None:
            groups[digest].append(position)
    contradicting: list[list[int]] = []
    agreeing: list[list[int]] = []
    for group in groups.values():
        several = len({files[position].label for position in group}) > 1
        (contradicting if several else agreeing).append(group)
    keys: dict[int, dict[int, str]] = defaultdict(dict)
    for group in agreeing:
        first = _first(group, files)
        keys[files[first].label][first] = str(digests[first])
    named = {files[position].part for of_class in keys.values() for position in of_class}
    divided = [_divide_class(keys[label], files, named) for label in sorted(keys)]
    chosen = {position: part for one, _ in divided for position, part in one.items()}
    parts = {part: tuple(sorted(at for at, of in chosen.items() if of == part)) for part in PARTS}
    parts, look_alikes = _without_look_alikes(parts, fitted)
    return Division(
        parts=parts,
        duplicates=tuple(tuple(group) for group in agreeing if len(group) > 1),
        contradicting=tuple(tuple(group) for group in contradicting),
        look_alikes=look_alikes,
        borrowed=tuple(sorted(position for _, lent in divided for position in lent)),
    )


def share_of(digest: str) -> float:
    """Where a digest lies among all, 0..1."""
    return int(digest[:16], 16) / 16**16


def _first(group: Sequence[int], files: Sequence[Found]) -> int:
    """The one of equal pictures that is used: what is tested on is never trained on."""
    order = {"test": 0, "validation": 1, "train": 2, None: 2}
    return min(group, key=lambda position: (order[files[position].part], position))


def _divide_class(
    keys: dict[int, str], files: Sequence[Found], named: Set[Part | None]
) -> tuple[dict[int, Part], list[int]]:
    """The split of each picture of one class, and which were lent."""
    chosen: dict[int, Part] = {at: files[at].part or "train" for at in keys}
    free = sorted((key, at) for at, key in keys.items() if chosen[at] == "train")
    wanted = [part for part in _SHARES if part not in named]
    for part in wanted:
        low, high = _SHARES[part]
        chosen |= {at: part for key, at in free if low <= share_of(key) < high}
    lent = []
    for part in wanted:
        left = [at for _, at in free if chosen[at] == "train"]
        if part not in chosen.values() and len(left) > 1:
            chosen[left[0]] = part
            lent.append(left[0])
    return chosen, lent


def _without_look_alikes(
    parts: dict[Part, tuple[int, ...]], fitted: Sequence[str | None]
) -> tuple[dict[Part, tuple[int, ...]], tuple[int, ...]]:
    """The splits without what a split of more weight shows too, and what was taken out."""
    held_out: set[str | None] = set()
    kept: dict[Part, tuple[int, ...]] = {}
    for part in reversed(PARTS):
        kept[part] = tuple(at for at in parts[part] if fitted[at] not in held_out)
        held_out |= {fitted[at] for at in parts[part]}
    taken_out = {at for part in PARTS for at in parts[part]} - {
        at for part in PARTS for at in kept[part]
    }
    return {part: kept[part] for part in PARTS}, tuple(sorted(taken_out))
