"""Text from elsewhere becomes one plain line."""

import pytest

from cifar_runtime.plain_text import printable, printable_lines, reason_of, shortened


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Katze, 猫 🐈", "Katze, 猫 🐈"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),  # turns the reading direction
        ("od\udcffd", "od\\udcffd"),  # an undecodable byte of a path
    ],
)
def test_what_would_move_the_cursor_or_mislead_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\n  two", "one two"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 297 + "..."),
        (" " * 5000 + "late", "..."),
    ],
)
def test_a_long_text_keeps_its_beginning_on_one_line(text: str, expected: str) -> None:
    assert shortened(text) == expected


def test_an_exception_without_words_is_its_class() -> None:
    assert reason_of(MemoryError()) == "MemoryError"
    assert reason_of(ValueError("two\nlines")) == "two lines"


def test_a_line_of_many_cannot_begin_another() -> None:
    assert (
        printable_lines(["cat\nforged  100 %", "dog\x1b[A"]) == "cat\\nforged  100 %\ndog\\x1b[A\n"
    )
    assert printable_lines([]) == ""


@pytest.mark.parametrize(
    ("said", "expected"),
    [("No such layer.", "No such layer"), ("it ended...", "it ended..."), ("", "ValueError")],
)
def test_a_reason_ends_no_sentence_twice(said: str, expected: str) -> None:
    """What follows it is the full stop of our own sentence."""
    assert reason_of(ValueError(said)) == expected
