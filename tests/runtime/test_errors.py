"""Exceptions of a reader as words about the document."""

import json

import pytest

from cifar_runtime.errors import json_error_reason


def caught(text: str) -> Exception:
    try:
        json.loads(text)["a"]["b"].keys()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (caught("{}"), "the field a is missing"),
        (caught('{"a": {}}'), "the field b is missing"),
        (caught("[]"), "a field is of another type than expected"),
        (caught('{"a": {"b": 1}}'), "a field is of another type than expected"),
        (
            caught("{"),
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (ValueError("two models have one name."), "two models have one name"),
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory"),
        (OSError(), "it cannot be read"),
    ],
)
def test_a_flaw_is_said_in_words(error: Exception, words: str) -> None:
    assert json_error_reason(error) == words
