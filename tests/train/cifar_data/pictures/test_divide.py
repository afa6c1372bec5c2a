"""Splits follow from content alone: for ever, stratified, with equal pictures on one side."""

import hashlib

from cifar_data.pictures.divide import PARTS, divide, share_of
from cifar_data.pictures.find import Found, Part


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def found(*labels: int, part: Part | None = None) -> list[Found]:
    return [Found(name=f"{at}.png", label=label, part=part) for at, label in enumerate(labels)]


def test_a_digest_decides_by_its_share_of_all() -> None:
    low, middle, high = "0" * 64, "33" + "0" * 62, "f" * 64  # shares 0, 0.2, nearly 1
    assert [share_of(one) for one in (low, middle)] == [0, 51 / 256]
    division = divide(found(0, 0, 0), [high, middle, low], fitted=[high, middle, low])
    assert division.parts == {"train": (0,), "validation": (1,), "test": (2,)}
    assert division.borrowed == ()


def test_each_class_is_divided_in_the_same_shares() -> None:
    labels = [0] * 2000 + [1] * 1000
    digests = [digest(str(at)) for at in range(3000)]
    parts = divide(found(*labels), digests, fitted=digests).parts
    for label, total in ((0, 2000), (1, 1000)):
        for part, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
            count = sum(labels[at] == label for at in parts[part])  # type: ignore[index]
            # Four standard deviations of a binomial count.
            assert abs(count - share * total) < 4 * (total * share * (1 - share)) ** 0.5


def test_pictures_that_are_added_move_none_of_the_old_ones() -> None:
    digests = [digest(str(at)) for at in range(300)]
    before = divide(found(*[0] * 150), digests[:150], fitted=digests[:150]).parts
    after = divide(found(*[0] * 300), digests, fitted=digests).parts
    for part in PARTS:
        assert before[part] == tuple(at for at in after[part] if at < 150)


def test_of_equal_pictures_one_is_used_and_under_two_labels_none() -> None:
    same, other, rest = digest("same"), digest("other"), digest("rest")
    division = divide(
        found(0, 0, 0, 1, 1),
        [same, same, other, other, rest],
        fitted=[same, same, other, other, rest],
    )
    assert division.duplicates == ((0, 1),)
    assert division.contradicting == ((2, 3),)
    assert sorted(at for part in PARTS for at in division.parts[part]) == [0, 4]


def test_a_copy_of_a_test_picture_is_not_trained_on() -> None:
    """Even where the folder's own splits say so."""
    files = [
        Found(name="train/a.png", label=0, part="train"),
        Found(name="test/a.png", label=0, part="test"),
        Found(name="val/b.png", label=0, part="validation"),
        Found(name="train/c.png", label=0, part="train"),
    ]
    a, b, c = digest("a"), digest("b"), digest("c")
    division = divide(files, [a, a, b, c], fitted=[a, a, b, c])
    assert division.parts == {"train": (3,), "validation": (2,), "test": (1,)}


def test_a_picture_that_looks_like_a_held_out_one_in_the_models_size_is_not_used() -> None:
    low, high = "0" * 64, "f" * 64
    division = divide(found(0, 0), [high, low], fitted=["same", "same"])
    assert division.parts["test"] == (1,)
    assert (division.look_alikes, division.parts["train"]) == ((0,), ())


def test_a_small_class_lends_what_it_needs_to_be_judged() -> None:
    digests = ["f" * 63 + digit for digit in "0123"]  # all would be trained on
    division = divide(found(0, 0, 0, 0), digests, fitted=digests)
    assert division.parts == {"train": (2, 3), "validation": (1,), "test": (0,)}
    assert division.borrowed == (0, 1)


def test_what_was_not_decoded_is_in_no_split() -> None:
    division = divide(found(0, 0), [None, "f" * 64], fitted=[None, "f" * 64])
    assert division.parts["train"] == (1,)
