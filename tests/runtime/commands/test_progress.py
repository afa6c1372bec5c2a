"""How commands show how far they are: a bar with the time left on a terminal, a line a step elsewhere."""

import io
from collections.abc import Callable

import numpy as np
import pytest

from cifar_runtime.commands import progress
from cifar_runtime.commands.progress import ProgressLine, duration
from cifar_runtime.progress import PART, counter_of, scored_in_parts

CLEAR = "\r\x1b[K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def test_on_a_terminal_a_bar_says_how_much_is_left(clock: Clock) -> None:
    stream = Terminal()
    line = ProgressLine("", quiet=False, program="cifar-x", stream=stream)
    line("scoring 400 images")
    clock.now += 3
    line.update(100, 400)
    line.say("done")
    assert stream.getvalue() == (
        "cifar-x: scoring 400 images\n"
        f"{CLEAR}[{'#' * 6}{'-' * 18}]  25% 10 s left{CLEAR}"
        "cifar-x: done\n"
    )


def test_the_end_of_a_step_takes_its_bar_away(clock: Clock) -> None:
    stream = Terminal()
    line = ProgressLine("epoch 1/2", quiet=False, stream=stream)
    clock.now += 2
    line.update(1, 2)
    clock.now += 2
    line.update(2, 2)
    assert stream.getvalue().endswith(f"epoch 1/2 [{'#' * 12}{'-' * 12}]  50% 3 s left{CLEAR}")


def test_a_second_pass_over_the_same_counts_its_own_time(clock: Clock) -> None:
    stream = Terminal()
    line = ProgressLine("", quiet=False, stream=stream)
    clock.now += 1000
    line.update(8, 8)
    line.update(1, 8)
    clock.now += 4
    line.update(4, 8)
    assert "50% 5 s left" in stream.getvalue()


@pytest.mark.parametrize(("is_terminal", "quiet"), [(False, False), (True, True)])
def test_elsewhere_or_quiet_there_is_no_bar(clock: Clock, is_terminal: bool, quiet: bool) -> None:
    stream = Terminal() if is_terminal else io.StringIO()
    line = ProgressLine("x", quiet=quiet, stream=stream)
    for done in range(1, 9):
        clock.now += 60
        line.update(done, 9)
    line.say("step")
    assert stream.getvalue() == ("" if quiet else "step\n")


def test_a_step_of_less_than_a_second_has_no_bar(clock: Clock) -> None:
    stream = Terminal()
    line = ProgressLine("x", quiet=False, stream=stream)
    clock.now += 0.9
    line.update(1, 2)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.2, "1 s"), (98.5, "99 s"), (100, "2 min"), (5500, "92 min"), (7300, "2 h 2 min")],
)
def test_time_is_said_in_the_unit_that_fits(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_scores_in_parts_are_those_of_the_whole_and_counted() -> None:
    images = np.arange(2 * PART + 3)[:, None]
    seen: list[tuple[int, int]] = []

    class Counted:
        def __call__(self, sentence: str) -> None:
            raise AssertionError(sentence)

        def update(self, done: int, total: int) -> None:
            seen.append((done, total))

    found = scored_in_parts(lambda part: part * 2, images, Counted())
    np.testing.assert_array_equal(found, images * 2)
    assert seen == [(PART, len(images)), (2 * PART, len(images)), (len(images), len(images))]


@pytest.mark.parametrize("plain", [None, print])
def test_a_plain_function_counts_nothing(plain: Callable[[str], None] | None) -> None:
    assert counter_of(plain)(1, 2) is None
