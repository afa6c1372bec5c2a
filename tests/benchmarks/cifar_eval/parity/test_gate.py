"""The gates' verdicts as tables: what is judged, what passes, and what would have passed."""

import pytest

from cifar_eval.parity.counts import Parity
from cifar_eval.parity.gate import images_to_resolve_drop, judge, resolves_drop
from cifar_eval.parity.limits import Limits
from cifar_runtime.errors import UsageError


def parity(*, lost: int = 0, gained: int = 0, agreeing: int | None = None, seen: int) -> Parity:
    reference = round(0.66 * seen)
    return Parity(
        reference_correct=reference,
        candidate_correct=reference - lost + gained,
        agreeing=seen - lost - gained if agreeing is None else agreeing,
        flips_to_wrong=lost,
        flips_to_right=gained,
        seen=seen,
        max_score_error=0.0,
        mean_score_error=0.0,
        sqnr_db=None,
    )


@pytest.mark.parametrize(
    ("measured", "limits", "passed"),
    [
        # 10,000 images resolve half a point: 20 - 0 lost has the upper end 0.31 %, 40 - 0 0.54 %.
        (parity(lost=20, seen=10_000), Limits(), [True, True]),
        (parity(lost=40, seen=10_000), Limits(), [False, True]),
        (parity(lost=40, seen=10_000), Limits(max_accuracy_drop=0.006), [True, True]),
        (parity(gained=80, seen=10_000), Limits(), [True, True]),
        # 1,000 do not: the measured drop is judged, and reaching the limit exactly passes.
        (parity(lost=5, seen=1000), Limits(), [True, True]),
        (parity(lost=6, seen=1000), Limits(), [False, True]),
        (parity(seen=1000, agreeing=970), Limits(), [True, True]),
        (parity(seen=1000, agreeing=969), Limits(), [True, False]),
        (parity(seen=1000, agreeing=999), Limits(min_agreement=0.999), [True, True]),
        (parity(seen=1000, agreeing=998), Limits(min_agreement=0.999), [True, False]),
        (parity(seen=1000), Limits(min_accuracy=0.7), [True, True, False]),
        (parity(seen=1000), Limits(min_accuracy=0.66), [True, True, True]),
    ],
)
def test_gate_verdicts(measured: Parity, limits: Limits, passed: list[bool]) -> None:
    gates = judge(measured, limits)
    assert [gate.name for gate in gates] == ["accuracy_drop", "agreement", "accuracy"][: len(gates)]
    assert [gate.passed for gate in gates] == passed


def test_the_upper_end_is_judged_where_the_images_resolve_the_limit_else_the_measured_drop() -> (
    None
):
    resolved, unresolved = (
        judge(measured, Limits())[0]
        for measured in (parity(lost=40, seen=10_000), parity(lost=4, seen=1000))
    )
    # The same drop: on ten times the images its upper end is known, and too high.
    assert (resolved.basis, resolved.passed, resolved.images_needed) == (
        "interval_end",
        False,
        None,
    )
    assert resolved.value == pytest.approx(0.0054, abs=0.0001)
    assert (unresolved.basis, unresolved.passed, unresolved.value) == ("measured", True, 0.004)
    assert unresolved.images_needed == images_to_resolve_drop(Limits())


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        # The textbook's half-width: 1.96 * sqrt((1 - agreement) / n) = limit; Tango's is a little wider.
        (Limits(), 1.96**2 * 0.03 / 0.005**2),
        (Limits(max_accuracy_drop=0.01), 1.96**2 * 0.03 / 0.01**2),
        (Limits(min_agreement=0.9), 1.96**2 * 0.1 / 0.005**2),
    ],
)
def test_the_images_that_resolve_a_drop_are_about_those_of_the_textbook(
    limits: Limits, expected: float
) -> None:
    needed = images_to_resolve_drop(limits)
    assert needed == pytest.approx(expected, rel=0.1)
    assert needed is not None
    assert needed > expected
    assert resolves_drop(limits, needed)
    assert not resolves_drop(limits, needed - 1)


def test_no_number_of_images_resolves_a_drop_of_nothing() -> None:
    assert images_to_resolve_drop(Limits(max_accuracy_drop=0.0)) is None


def test_what_is_judged_depends_on_the_images_and_the_limits_never_on_the_candidate() -> None:
    """Else a candidate could pass by flipping more: its interval would be too wide to be judged."""
    for seen, basis in ((1000, "measured"), (10_000, "interval_end")):
        flips = (0, 1, 10, 100, seen // 4)
        measured = (parity(lost=count, gained=count, seen=seen) for count in flips)
        assert {judge(one, Limits())[0].basis for one in measured} == {basis}


@pytest.mark.parametrize("seen", [3, 7, 997, 1000, 4731, 10_000])
@pytest.mark.parametrize(("lost", "gained"), [(1, 0), (0, 1), (2, 1)])
@pytest.mark.parametrize("limit", [0.0, 0.005, 0.5])
def test_the_limit_that_would_have_passed_does_pass(
    seen: int, lost: int, gained: int, limit: float
) -> None:
    """Rounded to hundredths of a percent, always to the side that lets the model through."""
    measured = parity(lost=lost, gained=gained, seen=seen)
    limits = Limits(max_accuracy_drop=limit, min_accuracy=1.0)
    drop, agreement, accuracy = judge(measured, limits)
    suggested = Limits(max_accuracy_drop=drop.passing_limit, min_accuracy=accuracy.passing_limit)
    passing_drop, _, passing_accuracy = judge(measured, suggested)
    assert passing_drop.passed
    assert passing_accuracy.passed
    loosest = Limits(min_agreement=agreement.passing_limit)
    assert judge(measured, loosest)[1].passed
    assert agreement.value - agreement.passing_limit < 1e-4


def test_a_gate_says_its_verdict_in_words() -> None:
    measured = parity(lost=40, seen=10_000, agreeing=9600)
    assert [gate.sentence for gate in judge(measured, Limits(min_accuracy=0.65))] == [
        "accuracy drop (upper end of its 95 % interval) 0.54%, limit at most 0.50%: failed "
        "(0.55% would have passed)",
        "agreement 96.00%, limit at least 97.00%: failed (96.00% would have passed)",
        "accuracy 65.60%, limit at least 65.00%: passed",
    ]


def test_a_limit_that_is_no_share_is_refused() -> None:
    with pytest.raises(UsageError, match=r"min_agreement is 97, expected a share, 0\.\.1"):
        Limits(min_agreement=97)
